// The Firestore page: the collections below a place, the documents of one of them, the fields of one of these.
import { askIn } from "./dialog.js";
import { element } from "./elements.js";
import { DatabaseApi, databases } from "./firestore-api.js";
import "./firestore-fields.js";
import "./firestore-query.js";
import { Pages } from "./virtual-list.js";

const DEFAULT = "(default)";

export class FirestorePage extends HTMLElement {
  connectedCallback() {
    this.className = "stack browser";
    this.database = element("select", { "aria-label": "Database", onchange: () => this.#open([]) });
    this.path = element("input", {
      className: "code", placeholder: "rooms/blue", "aria-label": "Path of a collection or document",
      onkeydown: (event) => event.key === "Enter" && this.#open(this.path.value.split("/").filter(Boolean)),
    });
    this.up = element("button", { type: "button", onclick: () => this.#open(this.#parent()) }, "Up");
    this.said = element("span", { role: "status", className: "bad" });
    this.dialog = element("dialog");
    this.replaceChildren(element("div", { className: "row" }, this.database, this.up, this.path, this.said),
      element("div", { className: "columns" }, this.#collections(), this.#documents(), this.#document()), this.dialog);
    this.stop = this.app.onChange("state", () => this.#refresh());
    this.segments = [];
    this.go(this.place);
  }

  disconnectedCallback() {
    this.stop();
  }

  focusFilter() {
    this.path.focus();
    this.path.select();
  }

  // -- the three columns

  #collections() {
    this.collections = element("virtual-list", { className: "plain", "aria-label": "Collections" });
    this.collections.addEventListener("choose", (event) => this.#open([...this.#parent(), event.detail], true));
    const add = element("button", { type: "button", onclick: () => this.#askForNew(this.#parent(), true) }, "Add collection");
    return element("section", { className: "stack" },
      element("h2", {}, "Collections"), element("div", { className: "row" }, add), this.collections);
  }

  #documents() {
    this.query = element("firestore-query");
    this.query.addEventListener("ask", () => this.#showDocuments());
    this.count = element("span", { className: "quiet", role: "status" });
    this.documents = element("virtual-list", { className: "plain", "aria-label": "Documents" });
    this.documents.addEventListener("choose", (event) => this.#open(event.detail.path.split("/"), true));
    this.add = element("button", { type: "button", onclick: () => this.#askForNew(this.#collection(), false) }, "Add document");
    this.deleteAll = element("button", { type: "button", onclick: () => this.#askToDelete(this.#collection()) }, "Delete all");
    return element("section", { className: "stack" },
      element("h2", {}, "Documents ", this.count), element("div", { className: "row" }, this.add, this.deleteAll), this.query,
      this.documents);
  }

  #document() {
    this.name = element("h2", { className: "code" });
    this.below = element("div", { className: "row", role: "group", "aria-label": "Collections below this document" });
    this.fields = element("firestore-fields", { hidden: true });
    this.absent = element("p", { className: "quiet" });
    this.tools = element("div", { className: "row" },
      element("button", { type: "button", onclick: () => this.#askForNew(this.segments, true) }, "Add collection below"),
      element("button", { type: "button", onclick: () => this.#askToDelete(this.segments) }, "Delete document"));
    return element("section", { className: "stack", "aria-label": "Document" },
      this.name, this.tools, this.below, this.absent, this.fields);
  }

  // -- where one is

  #collection() {
    return this.segments.length % 2 === 0 ? this.segments.slice(0, -1) : this.segments;
  }

  #parent() {
    return this.#collection().slice(0, -1);
  }

  // `isStep`: moving along a list leaves no trail of pages to go back through.
  #open(segments, isStep = false) {
    const hash = `#${["firestore", this.database.value || DEFAULT, ...segments].map(encodeURIComponent).join("/")}`;
    if (isStep) location.replace(hash);
    else location.hash = hash;
  }

  async go(place) {
    const [database = DEFAULT, ...segments] = place.map(decodeURIComponent);
    const before = { database: this.api?.database, collection: this.#collection().join("/") };
    this.segments = segments;
    if (!this.app.state) return;  // it comes with the first state
    if (!this.app.runs("firestore")) {
      this.said.textContent = "this suite runs no Firestore";
      return;
    }
    if (before.database !== database) {
      this.api = new DatabaseApi(this.app.state.project, database);
      await this.#listDatabases();
    }
    this.path.value = segments.join("/");
    this.up.disabled = segments.length === 0;
    const collection = this.#collection().join("/");
    const isElsewhere = before.database !== database || before.collection !== collection;
    // A document of a query over all collections of a name leaves the query as it is.
    if (isElsewhere && !(this.query.group.checked && segments.length && segments.length % 2 === 0)) this.query.reset();
    await this.#refresh();
  }

  // Each answer is for the place that was asked for: what comes too late is dropped.
  async #refresh() {
    if (!this.api) {
      if (this.app.state) await this.go(this.place);
      return;
    }
    const asked = location.hash;
    const parent = this.#parent().join("/");
    try {
      const ids = await this.api.collections(parent);
      if (asked !== location.hash || !this.isConnected) return;
      this.collections.show(ids, { key: (id) => id, fill: (id) => [element("span", { className: "code" }, id)] });
      const chosen = this.segments[this.#parent().length] ?? null;
      this.collections.mark(chosen, ids.indexOf(chosen));
      this.said.textContent = "";
      await this.#showDocuments();
      await this.#showDocument();
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  async #listDatabases() {
    const names = new Set([...await databases(), this.api.database]);
    this.database.replaceChildren(...[...names].map((name) => element("option", { value: name }, name)));
    this.database.value = this.api.database;
  }

  async #showDocuments() {
    const collection = this.#collection();
    this.add.disabled = this.deleteAll.disabled = collection.length === 0;
    if (!collection.length || !this.api) {
      this.count.textContent = "";
      this.documents.show([], { key: String, fill: () => [] });
      return;
    }
    const asked = this.asked = {};
    try {
      const { query, limit, group, isAll } = this.query.read(collection.at(-1), this.api.documents);
      const parent = group ? "" : this.#parent().join("/");
      const missing = isAll ? await this.api.missing(collection.join("/")) : { ids: [], total: 0 };
      const found = await this.api.count(parent, query);
      if (this.asked !== asked) return;
      const total = Math.min(found, limit ?? found);
      this.#fill(parent, query, total, group, missing.ids.map((id) => ({ path: [...collection, id].join("/"), isMissing: true })));
      this.count.textContent = `${total.toLocaleString("en")}${missing.total ? ` and ${missing.total} missing` : ""}`;
      this.said.textContent = "";
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  #fill(parent, query, total, isGroup, missing) {
    const prefix = this.api.documents.length;
    const load = async (first, count) => {
      const known = missing.slice(first, first + count);
      const start = Math.max(0, first - missing.length);
      const names = known.length < count ? await this.api.names(parent, query, start, count - known.length) : [];
      return [...known, ...names.map((name) => ({ path: name.slice(prefix) }))];
    };
    // A query is another list, news of the same query are not.
    const identity = JSON.stringify([this.api.root, parent, query]);
    if (this.pages && this.identity === identity) this.pages.renew(missing.length + total, load);
    else {
      this.pages = new Pages(missing.length + total, load);
      this.documents.scrollTop = 0;
    }
    this.identity = identity;
    this.pages.onerror = (error) => { this.said.textContent = error.message; };
    this.documents.show(this.pages, {
      key: (item) => item.path,
      fill: (item) => [element("span", { className: item.isMissing ? "code quiet missing" : "code" },
        isGroup ? item.path : item.path.slice(item.path.lastIndexOf("/") + 1))],
    });
  }

  async #showDocument() {
    const path = this.segments.join("/");
    const isDocument = this.segments.length > 0 && this.segments.length % 2 === 0;
    this.tools.hidden = this.below.hidden = !isDocument;
    this.name.textContent = isDocument ? this.segments.at(-1) : "";
    if (!isDocument) {
      this.documents.mark(null);
      this.fields.hidden = true;
      this.absent.textContent = this.segments.length ? "Choose a document." : "Choose a collection.";
      return;
    }
    if (this.documents.selected?.path !== path) this.documents.mark(path);
    const [document, below] = await Promise.all([this.api.get(path), this.api.collections(path)]);
    if (path !== this.segments.join("/") || !this.isConnected) return;
    this.absent.textContent = document ? "" : "There is no document here.";
    this.fields.hidden = !document;
    if (document) this.fields.show(document, this.api);
    if (this.below.dataset.ids !== JSON.stringify([path, below])) {  // what has the keyboard keeps it
      this.below.dataset.ids = JSON.stringify([path, below]);
      this.below.replaceChildren(...below.map((id) =>
        element("button", { type: "button", className: "code", onclick: () => this.#open([...path.split("/"), id]) }, `${id} ›`)));
    }
  }

  // -- adding and deleting

  #askForNew(place, isCollection) {
    const api = this.api;
    const collection = element("input", { className: "code", placeholder: "collection", "aria-label": "Collection" });
    const id = element("input", { className: "code", placeholder: "id, or empty for a new one", "aria-label": "Id of the document" });
    const where = place.length ? `\`${place.join("/")}\`` : "the root";
    askIn(this.dialog, isCollection ? `A collection below ${where}, with its first document` : `A document in ${where}`,
      isCollection ? [collection, id] : [id], [["Add", async () => {
        if (isCollection && !collection.value) throw new Error("a collection needs a name");
        if (/\//.test(collection.value + id.value)) throw new Error("a name has no slash in it");
        const target = isCollection ? [...place, collection.value] : place;
        this.#open((await api.create(target.join("/"), id.value)).split("/"));
      }]]);
  }

  #askToDelete(segments) {
    const api = this.api;
    const path = segments.join("/");
    const isDocument = segments.length % 2 === 0;
    const done = () => this.#open(isDocument ? segments.slice(0, -1) : segments.slice(0, -2));
    const alone = ["Delete the document alone", async () => {
      await api.commit([{ delete: api.documents + path }]);
      done();
    }];
    const all = [isDocument ? "Delete with everything below" : "Delete all documents", async () => {
      await api.deleteAll(path);
      done();
    }];
    askIn(this.dialog, isDocument ? `Delete \`${path}\`?` : `Delete every document of \`${path}\`, and everything below?`, [],
      isDocument ? [alone, all] : [all]);
  }
}
customElements.define("firestore-page", FirestorePage);
