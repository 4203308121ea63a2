// A picture in a place of fixed size: its placeholder at once, then the smallest variant, then the one that fits.
import { placeholderCanvas } from "./blurhash.js";
import { element } from "./element.js";
import { addressOf } from "./stored_files.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Which variants to show one after the other, for a place of so many pixels. */
export function steps(variants, width) {
  let known = variants.filter((variant) => variant.content_type === "image/webp");
  if (!known.length) known = variants;
  const moving = known.filter((variant) => variant.animated);
  const still = known.filter((variant) => !variant.animated);
  if (calm.matches && still.length) known = still;
  else if (moving.length) known = moving;
  const bySize = [...known].sort((one, other) => one.width - other.width);
  const fitting = bySize.find((variant) => variant.width >= width) ?? bySize.at(-1);
  return fitting ? [...new Set([bySize[0], fitting])] : [];
}

export class Picture {
  #backend;
  #width;
  #shown = new Set();

  constructor(backend, { width, alt }) {
    this.#backend = backend;
    this.#width = width * Math.min(2, devicePixelRatio);
    this.alt = alt;
    this.node = element("span", { class: "picture" });
  }

  /** Takes what a record says now; called again with each change of it. */
  update(record) {
    const hash = record.placeholder?.blurhash;
    if (hash && !this.node.querySelector("canvas, img")) {
      const canvas = placeholderCanvas(hash);
      canvas?.setAttribute("aria-hidden", "true");
      if (canvas) this.node.append(canvas);
    }
    const wanted = steps(record.variants ?? [], this.#width);
    // In the list a thumbnail is enough; the smallest is only a step on the way to it.
    for (const variant of wanted) this.#bring(variant);
  }

  async #bring(variant) {
    if (this.#shown.has(variant.path)) return;
    this.#shown.add(variant.path);
    let address;
    try {
      address = await addressOf(this.#backend, variant.bucket, variant.path);
    } catch {
      this.#shown.delete(variant.path); // the record's next change tries again
      return;
    }
    const image = element("img", { alt: this.alt, draggable: "false", "data-width": variant.width });
    image.addEventListener("load", () => {
      image.classList.add("here");
      for (const other of [...this.node.children]) {
        if (other !== image && Number(other.dataset.width ?? 0) < variant.width)
          other.setAttribute("aria-hidden", "true");
      }
      if (this.node.dataset.width === undefined || Number(this.node.dataset.width) < variant.width) {
        this.node.dataset.width = variant.width;
      }
    });
    image.src = address;
    const later = [...this.node.children].find((other) => Number(other.dataset.width ?? 0) > variant.width);
    this.node.insertBefore(image, later ?? null);
  }
}
