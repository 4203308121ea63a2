// A collection, the newest first: its first page is listened to, what is older comes in pages when somebody gets there.
import { getCountFromServer, getDocs, limit, onSnapshot, orderBy, query, startAfter } from "firebase/firestore";

const NEWEST = 60;
const OLDER = 300;

export class LivePages {
  #ordered;
  #by;
  #newest = [];
  #older = [];
  #hidden = new Set();
  #isAllHere = false;
  #loading = null;
  #count = 0;
  #options;
  #stop;

  /** `changed(items, total)` gets `{id, ...fields}`; an item stays the same object until its document changes. */
  constructor(collection, by, { changed, failed }) {
    this.#options = { changed, failed };
    this.#by = by;
    this.#ordered = query(collection, orderBy(by, "desc"));
    this.#stop = onSnapshot(query(this.#ordered, limit(NEWEST)), (found) => this.#heard(found), failed);
    getCountFromServer(collection).then(
      (found) => {
        this.#count = found.data().count;
        this.#tell();
      },
      () => {}, // without a network the length is what is here
    );
  }

  /** The next page of what is older. */
  more() {
    const last = (this.#older.at(-1) ?? this.#newest.at(-1))?.document;
    if (this.#isAllHere || this.#loading || !last) return;
    this.#loading = getDocs(query(this.#ordered, startAfter(last), limit(OLDER)))
      .then((found) => {
        this.#isAllHere = found.size < OLDER;
        this.#older.push(...found.docs.map(itemOf));
        this.#loading = null;
        this.#tell();
      })
      .catch((error) => {
        this.#loading = null;
        this.#options.failed(error);
      });
  }

  /** Leaves an item out, such as one that is about to be deleted. */
  hide(id) {
    this.#hidden.add(id);
    this.#tell();
  }

  unhide(id) {
    this.#hidden.delete(id);
    this.#tell();
  }

  close() {
    this.#stop();
    this.#options.changed = () => {};
  }

  #heard(found) {
    const before = new Map(this.#newest.map((item) => [item.id, item]));
    const changed = new Set(found.docChanges().map((change) => change.doc.id));
    this.#newest = found.docs.map((one) => (!changed.has(one.id) && before.get(one.id)) || itemOf(one));
    const here = new Set(this.#newest.map((item) => item.id));
    // Who left the page because others came before is still there; who left a page with room was deleted.
    const last = this.#newest.at(-1);
    const pushed = [...before.values()].filter(
      (item) => !here.has(item.id) && found.size === NEWEST && this.#place(item) < this.#place(last),
    );
    this.#older = [...pushed, ...this.#older].filter((item) => !here.has(item.id));
    if (found.size < NEWEST) this.#isAllHere = true;
    this.#tell();
  }

  #place(item) {
    return item.document.get(this.#by)?.valueOf() ?? "";
  }

  #tell() {
    const items = [...this.#newest, ...this.#older].filter((item) => !this.#hidden.has(item.id));
    const total = this.#isAllHere ? items.length : Math.max(this.#count - this.#hidden.size, items.length);
    this.#options.changed(items, total);
  }
}

function itemOf(found) {
  const item = { id: found.id, ...found.data({ serverTimestamps: "estimate" }) };
  Object.defineProperty(item, "document", { value: found });
  return item;
}
