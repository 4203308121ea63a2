// The objects of Storage by folders, each with a preview and its metadata. What users stored is never a page here.
import { askService, fetchService } from "./api.js";
import { askIn } from "./dialog.js";
import { element, facts } from "./elements.js";
import { UploadList } from "./uploads.js";
import "./virtual-list.js";

const PREVIEWED_TEXT_BYTES = 64 * 1024;
const PREVIEWED_IMAGE_BYTES = 20 * 1024 * 1024;
const PREVIEWED_MEDIA_BYTES = 100 * 1024 * 1024;
const MEDIA = /^(video|audio)\/[\w.+-]+$/;
// Pictures that hold no scripts; SVG is text, as HTML is.
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"]);
const TEXTS = /^(text\/|application\/(json|xml|javascript|yaml|x-yaml|x-ndjson)|image\/svg)|\+(json|xml)/;

export class StoragePage extends HTMLElement {
  connectedCallback() {
    this.className = "split";
    this.bucket = element("select", { "aria-label": "Bucket", onchange: () => this.#open([]) });
    this.up = element("button", { type: "button", onclick: () => this.#open(this.folder.slice(0, -1)) }, "Up");
    this.path = element("input", {
      className: "code", placeholder: "users/ann/", "aria-label": "Folder",
      onkeydown: (event) => event.key === "Enter" && this.#open(this.path.value.split("/").slice(0, -1)),
    });
    this.count = element("span", { className: "quiet", role: "status" });
    this.said = element("p", { role: "status", className: "bad" });
    this.list = element("virtual-list", { className: "users", "aria-label": "Folders and objects" });
    this.list.addEventListener("choose", (event) => this.#choose(event.detail));
    this.list.addEventListener("keydown", (event) => event.key === "Enter" && this.#enter(this.list.selected));
    this.list.addEventListener("dblclick", () => this.#enter(this.list.selected));
    this.detail = element("section", { "aria-label": "The chosen object", tabIndex: 0 },
      element("p", { className: "quiet" }, "Choose an object. Enter opens a folder."));
    this.dialog = element("dialog");
    this.uploads = new UploadList({
      place: () => ({ bucket: this.name, folder: this.path.value }), done: () => this.load(),
    });
    this.replaceChildren(element("div", { className: "stack" },
      element("div", { className: "row" }, this.bucket, this.up, this.path, this.count), this.uploads, this.said, this.list),
    this.detail, this.dialog);
    this.stop = this.app.onChange("state", () => this.name || this.go(this.place));
    this.go(this.place);
  }

  disconnectedCallback() {
    this.stop();
    this.uploads.abort();
    URL.revokeObjectURL(this.picture);
  }

  focusFilter() {
    this.path.focus();
  }

  #open(folder) {
    location.hash = `#${["storage", this.bucket.value, ...folder].map(encodeURIComponent).join("/")}`;
  }

  async go(place) {
    if (!this.app.state) return;
    if (!this.app.runs("storage")) {
      this.said.textContent = "this suite runs no Storage";
      return;
    }
    const [name, ...folder] = place.map(decodeURIComponent);
    try {
      const { items = [] } = await askService("storage", `/storage/v1/b?project=${encodeURIComponent(this.app.state.project)}`);
      this.name = name ?? items[0]?.name;
      this.folder = folder;
      this.bucket.replaceChildren(...items.map((each) => element("option", { value: each.name }, each.name)));
      this.bucket.value = this.name;
      this.path.value = folder.map((each) => `${each}/`).join("");
      this.up.disabled = !folder.length;
      await this.load();
    } catch (error) {
      this.said.textContent = error.message;
    }
  }

  // A thousand at a time: the last row brings the next thousand.
  async load(pageToken = "", before = []) {
    const prefix = this.path.value;
    const query = new URLSearchParams({ prefix, delimiter: "/", maxResults: 1000, ...(pageToken ? { pageToken } : {}) });
    const found = await askService("storage", `/storage/v1/b/${encodeURIComponent(this.name)}/o?${query}`);
    if (prefix !== this.path.value || !this.isConnected) return;
    const items = [
      ...before, ...(found.prefixes ?? []).map((name) => ({ name, isFolder: true })), ...found.items ?? [],
      ...(found.nextPageToken ? [{ name: "", more: found.nextPageToken }] : []),
    ];
    this.count.textContent = `${items.length}${found.nextPageToken ? " and more" : ""}`;
    this.said.textContent = "";
    this.items = items;
    this.list.show(items, {
      key: (item) => item.name,
      fill: (item) => [
        element("span", { className: "code" }, item.more ? "more…" : item.name.slice(prefix.length) || item.name),
        element("span", { className: "quiet" }, item.isFolder ? "folder" : ""),
        element("span", { className: "quiet" }, item.size ? size(item.size) : ""),
      ],
    });
  }

  #enter(item) {
    if (item?.isFolder) this.#open(item.name.split("/").slice(0, -1));
    if (item?.more) this.load(item.more, this.items.slice(0, -1));
  }

  #place(item, before = "") {
    return `${before}/storage/v1/b/${encodeURIComponent(this.name)}/o/${encodeURIComponent(item.name)}`;
  }

  async #choose(item) {
    if (item.isFolder || item.more) return;
    const chosen = this.chosen = {};
    try {
      const [object, preview] = await Promise.all([askService("storage", this.#place(item)), this.#preview(item)]);
      if (this.chosen === chosen) this.#show(object, preview);
    } catch (error) {
      if (this.chosen === chosen) this.detail.replaceChildren(element("p", { className: "bad" }, error.message));
    }
  }

  async #preview(item) {
    const kind = (item.contentType ?? "").split(";")[0].trim().toLowerCase();
    const isPicture = PICTURES.has(kind) && Number(item.size) <= PREVIEWED_IMAGE_BYTES;
    const isMedia = MEDIA.test(kind) && Number(item.size) <= PREVIEWED_MEDIA_BYTES;
    if (!Number(item.size) || !(isPicture || isMedia || TEXTS.test(kind))) return element("p", { className: "quiet" }, "no preview");
    const range = isPicture || isMedia ? {} : { range: `bytes=0-${PREVIEWED_TEXT_BYTES - 1}` };
    const answer = await fetchService("storage", `${this.#place(item, "/download")}?alt=media`, range);
    if (isPicture || isMedia) {
      URL.revokeObjectURL(this.picture);
      this.picture = URL.createObjectURL(new Blob([await answer.arrayBuffer()], { type: kind }));
      if (isMedia) {
        return element(kind.startsWith("video") ? "video" : "audio", {
          className: "preview", src: this.picture, controls: true, preload: "metadata", "aria-label": `Preview of ${item.name}`,
        });
      }
      return element("img", { className: "preview", src: this.picture, alt: `Preview of ${item.name}` });
    }
    return element("div", {}, element("pre", { className: "preview" }, await answer.text()),
      Number(item.size) > PREVIEWED_TEXT_BYTES ? element("p", { className: "quiet" }, "the first 64 KiB") : null);
  }

  #show(object, preview) {
    const said = element("span", { role: "status" });
    const type = element("input", { className: "code", "aria-label": "Content type", value: object.contentType ?? "" });
    const metadata = element("textarea", {
      rows: 4, className: "code", "aria-label": "Custom metadata as JSON", value: JSON.stringify(object.metadata ?? {}, null, 2),
    });
    const save = async () => {
      try {
        const given = JSON.parse(metadata.value || "{}");
        // A name that is gone from the text goes from the object.
        const gone = Object.fromEntries(Object.keys(object.metadata ?? {}).map((name) => [name, null]));
        const now = await askService("storage", `${this.#place(object)}?ifMetagenerationMatch=${object.metageneration}`, {
          method: "PATCH", body: { contentType: type.value, metadata: { ...gone, ...given } },
        });
        this.#show(now, preview);
      } catch (error) {
        said.className = "bad";
        said.textContent = error.message;
      }
    };
    const remove = () => askIn(this.dialog, `Delete the object \`${object.name}\`?`, [], [["Delete", async () => {
      await askService("storage", this.#place(object), { method: "DELETE" });
      this.detail.replaceChildren();
      await this.load();
    }]]);
    const names = ["size", "generation", "metageneration", "timeCreated", "updated", "md5Hash", "crc32c", "cacheControl",
      "contentEncoding", "contentDisposition", "contentLanguage"];
    this.detail.replaceChildren(element("h2", { className: "code" }, object.name), preview,
      facts(names.map((name) => [name, object[name] && String(object[name])])),
      element("div", { className: "row" }, element("label", {}, "content type ", type)), metadata,
      element("div", { className: "row" }, element("button", { type: "button", onclick: save }, "Save metadata"),
        element("button", { type: "button", onclick: remove }, "Delete object"), said));
  }
}

function size(text) {
  const bytes = Number(text);
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
customElements.define("storage-page", StoragePage);
