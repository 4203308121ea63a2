// Files on their way into Storage: dropped or chosen, one after the other, each with its progress.
import { uploadTo } from "./api.js";
import { element } from "./elements.js";

const SHOWN = 100;

export class UploadList extends HTMLElement {
  #waiting = [];
  #current = null;

  // `place()` is the bucket and the folder in sight; `done()` is called after each file that arrived.
  constructor({ place, done }) {
    super();
    Object.assign(this, { place, done });
  }

  connectedCallback() {
    const input = element("input", {
      type: "file", multiple: true, "aria-label": "Files to upload",
      onchange: () => {
        this.add([...input.files]);
        input.value = "";
      },
    });
    this.rows = element("ul", { className: "log", "aria-label": "Uploads" });
    this.replaceChildren(element("label", { className: "drop row" }, "Drop files here, or ", input), this.rows);
    for (const name of ["dragover", "drop"]) {
      this.addEventListener(name, (event) => {
        event.preventDefault();
        if (name === "drop") this.add([...event.dataTransfer.files]);
      });
    }
  }

  abort() {
    this.#waiting = [];
    this.#current?.abort();
  }

  add(files) {
    const { bucket, folder } = this.place();
    for (const file of files) {
      const upload = { file, bucket, name: `${folder}${file.name}`, onlyNew: true };
      upload.progress = element("progress", { max: Math.max(file.size, 1), value: 0, "aria-label": `Upload of ${upload.name}` });
      upload.said = element("span", { className: "quiet", role: "status" }, "waits");
      upload.row = element("li", { className: "upload" }, element("code", {}, upload.name), upload.progress, upload.said);
      this.rows.prepend(upload.row);
      this.#waiting.push(upload);
    }
    while (this.rows.childElementCount > SHOWN) this.rows.lastElementChild.remove();
    if (!this.#current) this.#next();
  }

  async #next() {
    const upload = this.#waiting.shift();
    if (!upload) return;
    const query = new URLSearchParams({ uploadType: "media", name: upload.name, ...(upload.onlyNew ? { ifGenerationMatch: 0 } : {}) });
    const stop = element("button", { type: "button", onclick: () => this.#current?.abort() }, "Stop");
    this.#current = uploadTo("storage", `/upload/storage/v1/b/${encodeURIComponent(upload.bucket)}/o?${query}`, upload.file, (bytes) => {
      upload.progress.value = bytes;
      upload.said.textContent = `${Math.floor((bytes / Math.max(upload.file.size, 1)) * 100)} %`;
    });
    upload.row.append(stop);
    try {
      await this.#current;
      upload.progress.value = upload.progress.max;
      upload.said.textContent = "stored";
      this.done();
    } catch (error) {
      upload.said.className = "bad";
      upload.said.textContent = error.status === 412 ? "there is such an object already" : error.message;
      if (error.status === 412) upload.row.append(this.#replacing(upload));
    }
    stop.remove();
    this.#current = null;
    this.#next();
  }

  #replacing(upload) {
    const button = element("button", { type: "button", onclick: () => {
      button.remove();
      upload.said.className = "quiet";
      upload.said.textContent = "waits";
      this.#waiting.push({ ...upload, onlyNew: false });
      if (!this.#current) this.#next();
    } }, "Replace it");
    return button;
  }
}
customElements.define("upload-list", UploadList);
