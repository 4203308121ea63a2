// A list or grid of any length: only what is in sight has elements. Arrows, Home, End and the page keys move in it.
import { element } from "./element.js";

const ROWS_BESIDE = 3;

export class VirtualList {
  #items = [];
  #last = [];
  #total = 0;
  #shown = new Map();
  #current = 0;
  #isMoving = false;
  #options;
  #all;
  #resized;

  /**
   * `rowHeight()` is asked whenever the list's own size changes. `draw(item)` makes an element with one button in it; it is asked again when the item of that id is another object.
   * `more(index)` is called where an item comes into sight that is not here yet.
   */
  constructor({ label, rowHeight, columnWidth = 0, draw, more = () => {} }) {
    this.#options = { rowHeight, columnWidth, draw, more };
    this.#all = element("ul", { class: "all", role: "list", "aria-label": label });
    this.node = element("div", { class: "virtual" }, this.#all);
    this.node.addEventListener("scroll", () => this.#render(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.#move(event));
    this.node.addEventListener("focusin", (event) => this.#focused(event.target));
    // In the next frame: what is drawn gives the list another height, which the observer would be told of at once.
    this.#resized = new ResizeObserver(() => requestAnimationFrame(() => this.#render()));
    this.#resized.observe(this.node);
  }

  /** Items, each with an `id`; `total` counts also those that are not here yet, and `last` are those at the end. */
  show(items, total = items.length, last = []) {
    this.#items = items;
    this.#last = last;
    this.#total = Math.max(total, items.length + last.length);
    this.#current = Math.max(0, Math.min(this.#current, this.#total - 1));
    this.#render();
  }

  close() {
    this.#resized.disconnect();
  }

  #at(index) {
    return this.#items[index] ?? this.#last[index - this.#total + this.#last.length];
  }

  get #rowHeight() {
    return this.#options.rowHeight();
  }

  get #columns() {
    const { columnWidth } = this.#options;
    return columnWidth ? Math.max(1, Math.floor(this.#all.clientWidth / columnWidth)) : 1;
  }

  #render() {
    const { draw, more } = this.#options;
    const rowHeight = this.#rowHeight;
    this.node.hidden = this.#total === 0;
    const columns = this.#columns;
    this.#all.style.height = `${Math.ceil(this.#total / columns) * rowHeight}px`;
    const [top, height] = [this.node.scrollTop, this.node.clientHeight];
    const first = Math.max(0, Math.floor(top / rowHeight) - ROWS_BESIDE) * columns;
    const last = Math.min(this.#total, (Math.ceil((top + height) / rowHeight) + ROWS_BESIDE) * columns);
    const inSight = new Set();
    let missing = null;
    for (let index = first; index < last; index++) {
      const item = this.#at(index);
      if (!item) {
        missing ??= index;
        continue;
      }
      inSight.add(item.id);
      let kept = this.#shown.get(item.id);
      if (!kept) {
        kept = { place: element("li", { class: "one" }), item: null };
        this.#shown.set(item.id, kept);
        this.#all.append(kept.place);
      }
      if (kept.item !== item) {
        const held = kept.place.contains(document.activeElement);
        kept.place.replaceChildren(draw(item));
        kept.item = item;
        if (held) buttonOf(kept.place)?.focus({ preventScroll: true });
      }
      this.#place(kept.place, index, columns);
    }
    for (const [id, { place }] of this.#shown) {
      if (inSight.has(id)) continue;
      place.remove();
      this.#shown.delete(id);
    }
    const current = this.#isMoving && this.#at(this.#current);
    if (current) {
      // What was not here when the key was pressed is chosen as soon as it comes.
      this.#isMoving = false;
      buttonOf(this.#shown.get(current.id)?.place)?.focus({ preventScroll: true });
    }
    // What cannot be reached by a button in it is scrolled by keys all the same.
    if (buttonOf(this.#all)) this.node.removeAttribute("tabindex");
    else this.node.tabIndex = 0;
    if (missing !== null) more(missing);
  }

  #place(place, index, columns) {
    const rowHeight = this.#rowHeight;
    place.style.top = `${Math.floor(index / columns) * rowHeight}px`;
    place.style.left = `${((index % columns) * 100) / columns}%`;
    place.style.width = `${100 / columns}%`;
    place.style.height = `${rowHeight}px`;
    place.ariaSetSize = String(this.#total);
    place.ariaPosInSet = String(index + 1);
    place.dataset.index = String(index);
    const pressed = buttonOf(place);
    if (pressed) pressed.tabIndex = index === this.#current ? 0 : -1;
  }

  #focused(target) {
    const index = Number(target.closest(".one")?.dataset.index ?? this.#current);
    if (index === this.#current) return;
    this.#current = index;
    this.#render();
  }

  #move(event) {
    const columns = this.#columns;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.#rowHeight)) * columns;
    const steps = {
      ArrowDown: columns,
      ArrowUp: -columns,
      ArrowRight: columns > 1 ? 1 : 0,
      ArrowLeft: columns > 1 ? -1 : 0,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    const step = steps[event.key];
    if (!step || !this.#total) return;
    event.preventDefault();
    const index = Math.max(0, Math.min(this.#total - 1, this.#current + step));
    this.#current = index;
    this.#bringIntoSight(Math.floor(index / columns));
    this.#isMoving = true;
    this.#render();
  }

  #bringIntoSight(row) {
    const [top, bottom] = [row * this.#rowHeight, (row + 1) * this.#rowHeight];
    if (top < this.node.scrollTop) this.node.scrollTop = top;
    else if (bottom > this.node.scrollTop + this.node.clientHeight)
      this.node.scrollTop = bottom - this.node.clientHeight;
  }
}

function buttonOf(place) {
  return place?.querySelector("button");
}
