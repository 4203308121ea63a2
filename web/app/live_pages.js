// A collection, the newest first: its first page is listened to, the rest comes in pages, from whichever end is nearer.
import {
  endBefore,
  getCountFromServer,
  getDocs,
  limit,
  limitToLast,
  onSnapshot,
  orderBy,
  query,
  startAfter,
} from "firebase/firestore";

const NEWEST = 60;
const PAGE = 200;

export class LivePages {
  #ordered;
  #by;
  #newest = [];
  #older = [];
  #oldest = [];
  #hidden = new Set();
  #isAllHere = false;
  #loading = null;
  #count = 0;
  #options;
  #stop;

  /**
   * `changed(items, total, oldest)` gets `{id, ...fields}`: from the newest on, and from the end, where somebody looked
   * there. An item stays the same object until its document changes.
   */
  constructor(collection, by, { changed, failed }) {
    this.#options = { changed, failed };
    this.#by = by;
    this.#ordered = query(collection, orderBy(by, "desc"));
    this.#stop = onSnapshot(query(this.#ordered, limit(NEWEST)), (found) => this.#heard(found), failed);
  }

  #countAll() {
    getCountFromServer(this.#ordered).then(
      (found) => {
        this.#count = found.data().count;
        this.#tell();
      },
      () => {}, // without a network the length is what is here
    );
  }

  /** The next page on the way to the item at `index`. */
  more(index = 0) {
    const from = this.#older.at(-1) ?? this.#newest.at(-1);
    if (this.#isAllHere || this.#loading || !from) return;
    const [here, end] = [this.#newest.length + this.#older.length, this.#total - this.#oldest.length];
    const isFromTheEnd = index - here > end - index;
    const first = this.#oldest[0]?.document;
    const part = isFromTheEnd
      ? query(this.#ordered, ...(first ? [endBefore(first)] : []), limitToLast(PAGE))
      : query(this.#ordered, startAfter(from.document), limit(PAGE));
    this.#loading = getDocs(part)
      .then((found) => {
        this.#loading = null;
        const items = found.docs.map(itemOf);
        if (isFromTheEnd) this.#oldest.unshift(...items);
        else this.#older.push(...items);
        if (!isFromTheEnd && found.size < PAGE) this.#isAllHere = true;
        this.#join();
        this.#tell();
      })
      .catch((error) => {
        this.#loading = null;
        this.#options.failed(error);
      });
  }

  /** Where both ends meet, there is one list. */
  #join() {
    const here = new Set([...this.#newest, ...this.#older].map((item) => item.id));
    if (!this.#isAllHere && !this.#oldest.some((item) => here.has(item.id))) return;
    this.#older.push(...this.#oldest.filter((item) => !here.has(item.id)));
    this.#oldest = [];
    this.#isAllHere = true;
  }

  get #total() {
    const here = this.#newest.length + this.#older.length + this.#oldest.length;
    return this.#isAllHere ? here : Math.max(this.#count, here);
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
    // What the cache has says nothing about how much there is.
    if (!found.metadata.fromCache && found.size < NEWEST) this.#isAllHere = true;
    else if (!found.metadata.fromCache && !this.#isAllHere) this.#countAll();
    this.#tell();
  }

  #place(item) {
    return item.document.get(this.#by)?.valueOf() ?? "";
  }

  #tell() {
    const shown = (items) => items.filter((item) => !this.#hidden.has(item.id));
    const items = shown([...this.#newest, ...this.#older]);
    const gone = this.#newest.length + this.#older.length - items.length;
    this.#options.changed(items, this.#total - gone, shown(this.#oldest));
  }
}

function itemOf(found) {
  const item = { id: found.id, ...found.data({ serverTimestamps: "estimate" }) };
  Object.defineProperty(item, "document", { value: found });
  return item;
}
