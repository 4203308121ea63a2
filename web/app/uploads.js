// Uploads of any number of files: a few at a time, paused, resumed and cancelled, waiting while there is no network.
import { objectId, placeOf } from "./stored_files.js";
import { reasonOf } from "./reasons.js";
import { say } from "./texts.js";

const AT_ONCE = 4;
const queues = new WeakMap();

/** The uploads of the user who is here; they go on while somebody looks at another room. */
export function uploadsOf(backend) {
  const found = queues.get(backend);
  if (found && found.uid === backend.user.uid) return found;
  found?.cancelAll();
  const made = new Uploads(backend);
  queues.set(backend, made);
  return made;
}

class Uploads extends EventTarget {
  entries = [];
  isPaused = false;
  #backend;
  #number = 0;
  #told = false;

  constructor(backend) {
    super();
    this.#backend = backend;
    this.uid = backend.user.uid;
    addEventListener("online", () => this.#go());
    addEventListener("offline", () => this.#holdAll());
    addEventListener("beforeunload", (event) => {
      if (this.totals().underWay && backend.user?.uid === this.uid) event.preventDefault();
    });
  }

  add(files) {
    for (const file of files) {
      const { refused, ...place } = placeOf(this.uid, file);
      const entry = { id: `upload-${++this.#number}`, file, name: file.name, size: file.size, sent: 0, ...place };
      this.entries.push(entry);
      this.#change(entry, { state: refused ? "refused" : "waiting", reason: refused ? say(refused) : "" });
    }
    this.#go();
  }

  totals() {
    const counts = { waiting: 0, sending: 0, held: 0, done: 0, refused: 0, cancelled: 0 };
    let [sent, size] = [0, 0];
    for (const entry of this.entries) {
      counts[entry.state]++;
      if (entry.state === "refused" || entry.state === "cancelled") continue;
      sent += entry.sent;
      size += entry.size;
    }
    return { ...counts, sent, size, underWay: counts.waiting + counts.sending + counts.held };
  }

  pause() {
    this.isPaused = true;
    this.#holdAll();
  }

  resume() {
    this.isPaused = false;
    this.#go();
  }

  cancel(id) {
    const entry = this.entries.find((one) => one.id === id);
    if (!entry || !["waiting", "sending", "held"].includes(entry.state)) return;
    this.#change(entry, { state: "cancelled" });
    entry.task?.cancel();
    this.#go();
  }

  cancelAll() {
    for (const { id } of [...this.entries]) this.cancel(id);
  }

  /** Once more what was refused by the service, not by its kind. */
  again(id) {
    const entry = this.entries.find((one) => one.id === id);
    if (entry?.state === "refused" && entry.path) this.#change(entry, { state: "waiting", reason: "", sent: 0 });
    this.#go();
  }

  /** What is stored while the functions have not said anything of it yet, as a record will say it; `ids` have one. */
  withoutRecord(ids) {
    const here = new Set(ids);
    const { bucket } = this.#backend;
    return this.entries
      .filter((entry) => entry.state === "done" && !entry.hasRecord)
      .flatMap((entry) => {
        entry.record ??= {
          id: objectId(bucket, entry.path),
          status: "processing",
          source: {
            bucket,
            name: entry.path,
            bytes: entry.size,
            declared_type: entry.contentType,
            stored_at: new Date(),
          },
        };
        entry.hasRecord = here.has(entry.record.id);
        return entry.hasRecord ? [] : [entry.record];
      });
  }

  /** Leaves out what is over. */
  tidy() {
    this.entries = this.entries.filter((entry) => ["waiting", "sending", "held"].includes(entry.state));
    this.#tell();
  }

  #holdAll() {
    for (const entry of this.entries.filter((one) => one.state === "sending")) {
      entry.task?.pause();
      this.#change(entry, { state: "held" });
    }
    this.#tell();
  }

  #go() {
    if (!this.isPaused && navigator.onLine) {
      for (const entry of this.entries.filter((one) => one.state === "held")) {
        this.#change(entry, { state: entry.task ? "sending" : "waiting" });
        entry.task?.resume();
      }
      let free = AT_ONCE - this.entries.filter((one) => one.state === "sending").length;
      for (const entry of this.entries) {
        if (free <= 0) break;
        if (entry.state !== "waiting") continue;
        free--;
        this.#send(entry);
      }
    }
    this.#tell();
  }

  async #send(entry) {
    this.#change(entry, { state: "sending" });
    try {
      await this.#sendOnce(entry);
    } catch (error) {
      if (error.code === "storage/unauthenticated" && !entry.isSecondTry) {
        // The token ran out on its way: with a new one the same file goes again.
        entry.isSecondTry = true;
        await this.#backend.user.getIdToken(true).catch(() => {});
        this.#change(entry, { state: "waiting", sent: 0 });
      } else if (entry.state !== "cancelled") {
        this.#change(entry, { state: "refused", reason: reasonOf(error), sent: 0 });
      }
    }
    this.#go();
  }

  async #sendOnce(entry) {
    const { ref, uploadBytesResumable } = await import("firebase/storage");
    const { path, contentType, customMetadata } = entry;
    const storage = await this.#backend.storage();
    if (entry.state !== "sending") return; // held or cancelled before it began
    const task = uploadBytesResumable(ref(storage, path), entry.file, { contentType, customMetadata });
    entry.task = task;
    await new Promise((resolve, reject) => {
      const progress = (snapshot) => this.#change(entry, { sent: snapshot.bytesTransferred });
      task.on("state_changed", progress, reject, resolve);
    });
    Object.assign(entry, { task: null, file: null });
    this.#change(entry, { state: "done", sent: entry.size });
  }

  #change(entry, changes) {
    Object.assign(entry, changes);
    // A new object, by which whoever shows the list sees which of its entries changed.
    const { id, name, size, sent, state, reason, path } = entry;
    entry.shown = { id, name, size, sent, state, reason, mayGoAgain: state === "refused" && Boolean(path) };
    this.#tell();
  }

  #tell() {
    if (this.#told) return;
    this.#told = true;
    requestAnimationFrame(() => {
      this.#told = false;
      this.dispatchEvent(new Event("changed"));
    });
  }
}
