// The fields of one document: a list of typed rows, and below it the editor of the chosen one.
import { element } from "./elements.js";
import { TYPES, change, read, rows, summary, textOf } from "./firestore-values.js";
import "./virtual-list.js";

export class FirestoreFields extends HTMLElement {
  #document = null;

  connectedCallback() {
    this.className = "stack";
    this.list = element("virtual-list", { className: "fields", "aria-label": "Fields" });
    this.isWriting = false;
    this.editor = element("div", { className: "editor", oninput: () => { this.isWriting = true; } });
    this.said = element("p", { role: "status" });
    this.list.addEventListener("choose", (event) => this.#edit(event.detail));
    this.list.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.editor.querySelector("textarea, input")?.focus();
      if (event.key === "Delete" && this.list.selected) this.#remove(this.list.selected);
    });
    const add = element("button", { type: "button", onclick: () => this.#add([], "map") }, "Add field");
    this.replaceChildren(element("div", { className: "row" }, add, this.said), this.list, this.editor);
  }

  // `api` is the database's. What is being written stays while the document is the same one.
  show(document, api) {
    const isSame = this.#document?.name === document.name;
    if (isSame && this.#document.updateTime === document.updateTime) return;
    this.api = api;
    this.#document = document;
    this.list.show(rows(document.fields), {
      key: (row) => JSON.stringify(row.path),
      fill: (row) => [
        element("span", { className: "code", style: `padding-left: ${row.path.length - 1}rem` }, String(row.path.at(-1))),
        element("span", { className: "quiet" }, row.type),
        element("span", { className: "code" }, summary(row.value, api.documents)),
      ],
    });
    if (!isSame) {
      this.list.mark(null);
      this.list.scrollTop = 0;
      this.isWriting = false;
      this.editor.replaceChildren();
      this.said.textContent = "";
    } else if (!this.isWriting) {
      if (this.list.selected) this.#edit(this.list.selected);
      else this.editor.replaceChildren();
    }
  }

  #edit(row) {
    const document = this.#document;
    this.isWriting = false;
    const isNested = row.type === "map" || row.type === "array";
    const remove = element("button", { type: "button", onclick: () => this.#remove(row) }, "Delete field");
    if (isNested) {
      this.editor.replaceChildren(element("h3", { className: "code" }, label(row.path)), element("div", { className: "row" },
        element("button", { type: "button", onclick: () => this.#add(row.path, row.type, row.value) },
          row.type === "map" ? "Add field inside" : "Add element"), remove));
      return;
    }
    const { type, text } = valueInputs(row.type, textOf(row.value, this.api.documents));
    this.editor.replaceChildren(this.#form(element("h3", { className: "code" }, label(row.path)), type, text, [remove],
      () => this.#write(document, row.path, read(type.value, text.value, this.api.documents))));
  }

  #close() {
    this.isWriting = false;
    this.editor.replaceChildren();
    this.list.focus();
  }

  #add(path, into, value) {
    const document = this.#document;
    this.isWriting = true;
    const name = into === "map" ? element("input", { className: "code", placeholder: "name", "aria-label": "Name" }) : null;
    const { type, text } = valueInputs("string", "");
    const cancel = element("button", { type: "button", onclick: () => this.#close() }, "Cancel");
    const title = element("h3", {}, path.length ? `New in ${label(path)}` : "New field");
    this.editor.replaceChildren(this.#form(element("div", {}, title, name ?? ""), type, text, [cancel], async () => {
      const step = name ? name.value : (value.arrayValue.values ?? []).length;
      if (step === "") throw new Error("a field needs a name");
      if (name && has(document.fields, path, step)) throw new Error(`\`${step}\` is there already`);
      await this.#write(document, [...path, step], read(type.value, text.value, this.api.documents));
    }));
    (name ?? text).focus();
  }

  #form(head, type, text, buttons, act) {
    return element("form", { onsubmit: (event) => {
      event.preventDefault();
      this.#try(act);
    }, onkeydown: (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#try(act);
      if (event.key === "Escape") this.list.focus();
    } }, head, element("div", { className: "row" }, type, text), element("div", { className: "row" },
      element("button", {}, "Save"), ...buttons));
  }

  #remove(row) {
    return this.#try(() => this.#write(this.#document, row.path, undefined));
  }

  // `document` is what the writer saw: a change that somebody else made since is not overwritten.
  async #write(document, path, value) {
    await this.api.commit([change(document, path, value)]);
    const now = await this.api.get(document.name.slice(this.api.documents.length));
    if (now === null || this.#document.name !== now.name) return;
    this.#close();
    this.show(now, this.api);
    if (this.list.selected) this.#edit(this.list.selected);
  }

  async #try(act) {
    this.said.className = this.said.textContent = "";
    try {
      await act();
      this.said.textContent = "saved";
    } catch (error) {
      this.said.className = "bad";
      this.said.textContent = error.message;
    }
  }
}

function has(fields, path, name) {
  const place = path.reduce((value, step) =>
    (typeof step === "number" ? value.arrayValue.values[step] : value.mapValue.fields[step]), { mapValue: { fields } });
  return Object.hasOwn(place.mapValue.fields ?? {}, name);
}

function valueInputs(chosen, written) {
  const type = element("select", { "aria-label": "Type" }, ...TYPES.map((name) =>
    element("option", { value: name, selected: name === chosen }, name)));
  const text = element("textarea", { rows: written.length > 80 ? 6 : 2, className: "code", "aria-label": "Value", value: written });
  return { type, text };
}

function label(path) {
  return path.map((step) => (typeof step === "number" ? `[${step}]` : step)).join(" › ");
}
customElements.define("firestore-fields", FirestoreFields);
