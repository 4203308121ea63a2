// One file large: as it comes, what is known of it, its sizes, and what can be done with it.
import { doc, onSnapshot } from "firebase/firestore";
import { button, element, table } from "../element.js";
import { Picture } from "../picture.js";
import { reasonOf } from "../reasons.js";
import { addressOf, download } from "../stored_files.js";
import { bytes, moment, number, say, sayOr } from "../texts.js";
import { tell } from "../undo.js";
import { statusText } from "./gallery.js";

export class Viewer {
  #backend;
  #remove;
  #stop = () => {};

  /** `remove(item)` is called where somebody wants the file deleted. */
  constructor(backend, remove) {
    this.#backend = backend;
    this.#remove = remove;
    this.node = element("dialog", { class: "viewer", "aria-label": say("viewer") });
    this.node.addEventListener("close", () => this.#stop());
  }

  /** Opens with what is known of the item, and follows its record. */
  show(item) {
    const shown = element("div", { class: "large" });
    const known = element("div", {});
    const close = element("button", { type: "button", onclick: () => this.node.close() }, say("close"));
    this.node.replaceChildren(element("div", { class: "row" }, close), shown, known);
    this.#draw(item, shown, known);
    this.#stop = onSnapshot(
      doc(this.#backend.db, "users", this.#backend.user.uid, "objects", item.id),
      (found) => {
        if (found.exists()) this.#draw({ id: item.id, ...found.data() }, shown, known);
        else this.node.close();
      },
      (error) => tell(reasonOf(error)),
    );
    this.node.showModal();
  }

  close() {
    this.#stop();
    this.node.close();
  }

  #draw(item, shown, known) {
    if (item.kind === "video" || item.kind === "audio") this.#play(item, shown);
    else this.#showPicture(item, shown);
    const says = statusText(item);
    const act = (work) => ({ failed: (error) => tell(reasonOf(error)) });
    const save = async (bucket, path) => download(await addressOf(this.#backend, bucket, path), path.split("/").at(-1));
    known.replaceChildren(
      says ? element("p", { class: item.status === "processing" ? "quiet" : "problem" }, says) : "",
      this.#facts(item),
      element(
        "div",
        { class: "row" },
        button(say("viewer.original"), () => save(item.source.bucket, item.source.name), act()),
        button(say("delete"), () => {
          this.node.close();
          this.#remove(item);
        }),
      ),
    );
    if (item.variants?.length) {
      const rows = item.variants.map((variant) => [
        button(variant.name, () => save(variant.bucket, variant.path), {
          ...act(),
          class: "plain",
          "aria-label": say("download.of", { name: variant.name }),
        }),
        `${number(variant.width)} × ${number(variant.height)}`,
        bytes(variant.bytes),
      ]);
      known.append(table(say("viewer.sizes"), [[say("download"), "long"], [say("pixels"), "figure"], [say("size"), "figure"]], rows));
    }
  }

  #facts({ source, kind }) {
    const facts = [
      [say("kind"), kind ? sayOr(`kind.${kind}`, kind) : say("status.processing")],
      [say("size"), bytes(source.bytes)],
      [say("pixels"), source.width ? `${number(source.width)} × ${number(source.height)}` : null],
      [say("type"), source.content_type ?? source.declared_type],
      [say("stored"), moment(source.stored_at)],
      [say("seconds"), source.duration_seconds ? number(source.duration_seconds, { maximumFractionDigits: 1 }) : null],
      [say("note"), source.note],
    ].filter(([, value]) => value);
    return element(
      "dl",
      {},
      facts.map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    );
  }

  #showPicture(item, shown) {
    const { width = 4, height = 3 } = item.source;
    if (!this.picture || this.picture.id !== item.id) {
      this.picture = new Picture(this.#backend, { width: Math.min(1600, innerWidth), alt: say("kind.image") });
      this.picture.id = item.id;
    }
    this.picture.node.style.setProperty("--shape", `${width || 4} / ${height || 3}`);
    this.picture.update(item);
    if (this.picture.node.parentNode !== shown) shown.replaceChildren(this.picture.node);
  }

  async #play(item, shown) {
    if (shown.firstChild) return;
    const player = element(item.kind, { controls: true, preload: "metadata", "aria-label": say(`kind.${item.kind}`) });
    shown.replaceChildren(player);
    player.src = await addressOf(this.#backend, item.source.bucket, item.source.name).catch(() => "");
  }
}
