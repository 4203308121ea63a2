// A list of any length: only the rows in sight are elements. Arrows, Home, End, Page Up and Down move the selection.
import { element } from "./elements.js";

const ROW = 28;
const MARGIN = 8;

export class VirtualList extends HTMLElement {
  #items = [];
  #selected = null;
  #space = element("div", { className: "space", role: "presentation" });

  connectedCallback() {
    this.tabIndex = 0;
    this.setAttribute("role", "listbox");
    this.#space.style.position = "relative";
    this.replaceChildren(this.#space);
    this.addEventListener("scroll", () => this.#draw());
    this.addEventListener("keydown", (event) => this.#move(event));
    new ResizeObserver(() => this.#draw()).observe(this);
  }

  // `fill(item)` gives the children of a row; `key(item)` tells items apart.
  show(items, { fill, key }) {
    Object.assign(this, { fill, key });
    this.#items = items;
    this.#space.style.height = `${items.length * ROW}px`;
    this.#draw();
  }

  get selected() {
    return this.#items.find((item) => this.key(item) === this.#selected) ?? null;
  }

  select(item) {
    this.#selected = item === null ? null : this.key(item);
    this.#draw();
    this.dispatchEvent(new CustomEvent("choose", { detail: item }));
  }

  #move(event) {
    const page = Math.max(1, Math.floor(this.clientHeight / ROW) - 1);
    const last = this.#items.length - 1;
    const at = this.#items.findIndex((item) => this.key(item) === this.#selected);
    const to = {
      ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const index = Math.min(Math.max(to, 0), last);
    const top = index * ROW;
    if (top < this.scrollTop) this.scrollTop = top;
    else if (top + ROW > this.scrollTop + this.clientHeight) this.scrollTop = top + ROW - this.clientHeight;
    this.select(this.#items[index]);
  }

  #draw() {
    if (!this.fill) return;
    const first = Math.max(0, Math.floor(this.scrollTop / ROW) - MARGIN);
    const end = Math.min(this.#items.length, Math.ceil((this.scrollTop + this.clientHeight) / ROW) + MARGIN);
    const rows = [];
    this.removeAttribute("aria-activedescendant");
    for (let index = first; index < end; index++) {
      const item = this.#items[index];
      const chosen = this.key(item) === this.#selected;
      const row = element("div", {
        className: "item", role: "option", id: `item-${this.key(item)}`, onclick: () => this.select(item),
        "aria-selected": String(chosen), "aria-posinset": index + 1, "aria-setsize": this.#items.length,
      }, ...this.fill(item));
      Object.assign(row.style, { position: "absolute", top: `${index * ROW}px`, height: `${ROW}px`, left: 0, right: 0 });
      if (chosen) this.setAttribute("aria-activedescendant", row.id);
      rows.push(row);
    }
    this.#space.replaceChildren(...rows);
  }
}
customElements.define("virtual-list", VirtualList);
