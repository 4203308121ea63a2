// A list of any length: only the rows in sight are elements. Arrows, Home, End, Page Up and Down move the selection.
// Items are an array, or `Pages`, which asks for those in sight.
import { element } from "./elements.js";

const ROW = 28;
const MARGIN = 8;
const PAGE = 100;
const KEPT_PAGES = 40;
let lists = 0;

// Items that somebody else has: `load(first, count)` brings some of them, `at` gives what was brought.
export class Pages {
  #kept = new Map();
  onload = () => {};
  onerror = () => {};

  constructor(length, load) {
    Object.assign(this, { length, load });
  }

  at(index) {
    const number = Math.floor(index / PAGE);
    const page = this.#kept.get(number) ?? { items: [], stale: true };
    this.#kept.delete(number);  // what was used last goes last
    this.#kept.set(number, page);
    if (page.stale && !page.loading) this.#bring(number, page);
    return page.items[index % PAGE];
  }

  // Shows what is known until the news is here.
  renew(length, load) {
    Object.assign(this, { length, load });
    for (const page of this.#kept.values()) page.stale = true;
  }

  async whole(index) {
    this.at(index);
    const page = this.#kept.get(Math.floor(index / PAGE));
    await page.loading;
    return page.items[index % PAGE];
  }

  #bring(number, page) {
    page.stale = false;
    page.loading = this.load(number * PAGE, Math.min(PAGE, this.length - number * PAGE))
      .then((items) => { page.items = items; }, (error) => this.onerror(error))
      .then(() => {
        page.loading = null;
        for (const old of this.#kept.keys()) {
          if (this.#kept.size <= KEPT_PAGES) break;
          this.#kept.delete(old);
        }
        this.onload();
      });
  }
}

export class VirtualList extends HTMLElement {
  #items = [];
  #selected = null;
  #at = -1;
  #moves = 0;  // counts what was pressed or clicked: only the last of them decides
  #isMoving = false;  // a key was pressed, and its row is not here yet
  #name = `list-${lists++}`;
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
    if (items !== this.#items) this.#endMove();
    this.#items = items;
    if (items instanceof Pages) items.onload = () => this.#draw();
    this.#at = Array.isArray(items) ? items.findIndex((item) => key(item) === this.#selected) : this.#at;
    this.#space.style.height = `${items.length * ROW}px`;
    this.#draw();
  }

  get selected() {
    const item = this.#at < 0 ? undefined : this.#items.at(this.#at);
    return item !== undefined && this.key(item) === this.#selected ? item : null;
  }

  select(item, index = Array.isArray(this.#items) ? this.#items.indexOf(item) : this.#at) {
    this.#endMove();
    this.mark(item === null ? null : this.key(item), index);
    this.dispatchEvent(new CustomEvent("choose", { detail: item }));
  }

  // Shows as chosen what somebody chose elsewhere.
  mark(key, index = -1) {
    this.#selected = key;
    if (!this.#isMoving) this.#at = key === null ? -1 : index;
    this.#draw();
  }

  #endMove() {
    this.#moves++;
    this.#isMoving = false;
  }

  async #move(event) {
    const page = Math.max(1, Math.floor(this.clientHeight / ROW) - 1);
    const last = this.#items.length - 1;
    const at = this.#at;
    const to = {
      ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last,
    }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const index = Math.min(Math.max(to, 0), last);
    const top = index * ROW;
    if (top < this.scrollTop) this.scrollTop = top;
    else if (top + ROW > this.scrollTop + this.clientHeight) this.scrollTop = top + ROW - this.clientHeight;
    this.#endMove();
    this.#at = index;
    this.#isMoving = true;
    const move = this.#moves;
    const items = this.#items;
    const item = Array.isArray(items) ? items[index] : await items.whole(index);
    // Whoever moved on meanwhile, or shows another list, wants another one.
    if (move !== this.#moves) return;
    this.#endMove();
    if (item !== undefined) this.select(item, index);
  }

  #draw() {
    if (!this.fill) return;
    const first = Math.max(0, Math.floor(this.scrollTop / ROW) - MARGIN);
    const end = Math.min(this.#items.length, Math.ceil((this.scrollTop + this.clientHeight) / ROW) + MARGIN);
    const rows = [];
    this.removeAttribute("aria-activedescendant");
    for (let index = first; index < end; index++) {
      const item = this.#items.at(index);
      const chosen = item !== undefined && this.key(item) === this.#selected;
      if (chosen && !this.#isMoving) this.#at = index;
      const row = element("div", {
        className: "item", role: "option", id: `${this.#name}-${index}`,
        onclick: () => item !== undefined && this.select(item, index),
        "aria-selected": String(chosen), "aria-posinset": index + 1, "aria-setsize": this.#items.length,
      }, ...(item === undefined ? ["…"] : this.fill(item)));
      Object.assign(row.style, { position: "absolute", top: `${index * ROW}px`, height: `${ROW}px`, left: 0, right: 0 });
      if (chosen) this.setAttribute("aria-activedescendant", row.id);
      rows.push(row);
    }
    this.#space.replaceChildren(...rows);
  }
}
customElements.define("virtual-list", VirtualList);
