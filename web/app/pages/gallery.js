// The gallery: files dropped or picked, on their way and stored; each shown as its record says, live.
import { collection } from "firebase/firestore";
import { button, element } from "../element.js";
import { LivePages } from "../live_pages.js";
import { Picture } from "../picture.js";
import { reasonOf } from "../reasons.js";
import { bytes, number, say, sayCount, sayOr } from "../texts.js";
import { undoable } from "../undo.js";
import { uploadsOf } from "../uploads.js";
import { VirtualList } from "../virtual_list.js";
import { Viewer } from "./viewer.js";

const [TILE, NARROWEST_TILE] = [160, 146]; // two beside each other on the narrowest screen
const NARROW = matchMedia("(max-width: 40rem)");
// What needs somebody comes first, then what is under way; what is over is never in front of them.
const TURNS = { refused: 0, sending: 1, held: 1, waiting: 2, done: 3, cancelled: 3 };
const SIGNS = { image: "▨", video: "▶", audio: "♪", other: "▢" };

export function open(place, backend) {
  const pictures = new Map();
  const counted = element("p", { class: "quiet", role: "status" });
  const problem = element("p", { class: "problem", role: "alert" });
  const uploads = uploadsOf(backend);
  const hidden = new Set();
  let known = [[], 0, []];
  const draw = () => {
    const coming = uploads.withoutRecord(known[0].map((item) => item.id)).filter((item) => !hidden.has(item.id));
    const [items, total] = [[...coming, ...known[0]], known[1] + coming.length];
    counted.textContent = total ? sayCount("files", total) : say("gallery.empty");
    const ids = new Set([...items, ...known[2]].map((item) => item.id));
    for (const id of pictures.keys()) if (!ids.has(id)) pictures.delete(id);
    grid.show(items, total, known[2]);
  };
  const files = new LivePages(collection(backend.db, "users", backend.user.uid, "objects"), "source.stored_at", {
    changed: (...here) => {
      known = here;
      draw();
    },
    failed: (error) => {
      problem.textContent = reasonOf(error);
    },
  });
  const hide = (id, isHidden) => {
    hidden[isHidden ? "add" : "delete"](id);
    files[isHidden ? "hide" : "unhide"](id);
  };
  const viewer = new Viewer(backend, (item) => remove(item, hide, backend));
  const grid = new VirtualList({
    label: say("room.gallery"),
    rowHeight: () => TILE,
    columnWidth: NARROWEST_TILE,
    draw: (item) => tile(item, pictures, backend, () => viewer.show(item)),
    more: (index) => files.more(index - uploads.withoutRecord([]).length),
  });
  const shownUploads = uploadsShown(uploads);
  place.append(dropZone(uploads), shownUploads.node, problem, counted, grid.node, viewer.node);
  uploads.addEventListener("changed", draw);
  return () => {
    uploads.removeEventListener("changed", draw);
    files.close();
    grid.close();
    viewer.close();
    shownUploads.close();
  };
}

/** The name that its owner knows a file by is not in the record: its kind and when it came are. */
function tile(item, pictures, backend, show) {
  const says = statusText(item);
  const name = [item.kind ? sayOr(`kind.${item.kind}`, item.kind) : "", says].filter(Boolean).join(", ") || say("status.processing");
  const made = element("button", {
    type: "button",
    class: "tile",
    "aria-label": name,
    "data-status": item.status,
    onclick: show,
  });
  if (item.kind === "image" || item.kind === null || item.kind === undefined || item.variants?.length) {
    if (!pictures.has(item.id)) pictures.set(item.id, new Picture(backend, { width: TILE, alt: "" }));
    const picture = pictures.get(item.id);
    picture.update(item);
    made.append(picture.node);
  }
  if (SIGNS[item.kind] && !item.variants?.length && item.status !== "processing")
    made.append(element("span", { class: "kind", "aria-hidden": "true" }, SIGNS[item.kind]));
  if (says) made.append(element("span", { class: "says" }, says));
  return made;
}

/** What a file says of itself while it is not ready: how far it is, or why nothing is shown of it. */
export function statusText(item) {
  if (item.status === "ready") return "";
  const status = sayOr(`status.${item.status}`, item.status);
  return item.reason ? `${status}: ${item.reason}` : status;
}

function remove(item, hide, backend) {
  hide(item.id, true);
  undoable(say("gallery.deleted"), {
    back: () => hide(item.id, false),
    act: async () => {
      const { deleteObject, ref } = await import("firebase/storage");
      await deleteObject(ref(await backend.storage(item.source.bucket), item.source.name));
    },
  });
}

// -- what is on its way

function dropZone(uploads) {
  const picker = element("input", { type: "file", multiple: true, hidden: true, "aria-label": say("upload.pick") });
  picker.addEventListener("change", () => {
    uploads.add(picker.files);
    picker.value = "";
  });
  const pick = element(
    "button",
    { type: "button", class: "strong", onclick: () => picker.click() },
    say("upload.pick"),
  );
  const zone = element("div", { class: "drop" }, pick, picker, element("p", { class: "quiet" }, say("upload.drop")));
  const over = (event, isOver) => {
    event.preventDefault();
    zone.classList.toggle("over", isOver);
  };
  zone.addEventListener("dragover", (event) => over(event, true));
  zone.addEventListener("dragleave", (event) => over(event, false));
  zone.addEventListener("drop", (event) => {
    over(event, false);
    uploads.add(event.dataTransfer.files);
  });
  return zone;
}

function uploadsShown(uploads) {
  const line = element("p", { role: "status" });
  const bar = element("progress", { max: 1, value: 0, "aria-label": say("upload.all") });
  const hold = element("button", {
    type: "button",
    onclick: () => (uploads.isPaused ? uploads.resume() : uploads.pause()),
  });
  const stop = element("button", { type: "button", onclick: () => uploads.cancelAll() }, say("upload.cancel.all"));
  const tidy = element("button", { type: "button", class: "plain", onclick: () => uploads.tidy() }, say("upload.tidy"));
  const list = new VirtualList({
    label: say("upload.all"),
    rowHeight: () => (NARROW.matches ? 84 : 48),
    draw: (entry) => uploadLine(entry, uploads),
  });
  list.node.classList.add("uploads");
  const node = element("section", { class: "card", "aria-label": say("upload.all") });
  node.append(line, bar, element("div", { class: "row" }, hold, stop, tidy), list.node);
  const draw = () => {
    const sums = uploads.totals();
    node.hidden = uploads.entries.length === 0;
    line.textContent = [
      say("upload.sums", { done: number(sums.done), all: number(uploads.entries.length), size: bytes(sums.size) }),
      sums.refused ? sayCount("upload.refused", sums.refused) : "",
      sums.cancelled ? sayCount("upload.cancelled", sums.cancelled) : "",
      uploads.isPaused ? say("upload.paused") : !navigator.onLine && sums.underWay ? say("upload.waits") : "",
    ]
      .filter(Boolean)
      .join(" ");
    bar.value = sums.size ? sums.sent / sums.size : 0;
    hold.textContent = say(uploads.isPaused ? "upload.resume" : "upload.pause");
    hold.hidden = stop.hidden = sums.underWay === 0;
    tidy.hidden = sums.underWay === uploads.entries.length;
    const inOrder = [...uploads.entries].sort((one, other) => TURNS[one.state] - TURNS[other.state]);
    list.show(inOrder.map((entry) => entry.shown));
  };
  draw();
  uploads.addEventListener("changed", draw);
  return {
    node,
    close: () => {
      uploads.removeEventListener("changed", draw);
      list.close();
    },
  };
}

function uploadLine(entry, uploads) {
  const isUnderWay = ["waiting", "sending", "held"].includes(entry.state);
  const made = element("div", { class: "line", "data-state": entry.state });
  made.append(
    element("span", { class: "grows" }, element("bdi", {}, entry.name), " ", element("span", { class: "quiet" }, bytes(entry.size))),
  );
  if (isUnderWay) {
    const bar = element("progress", { max: entry.size, value: entry.sent, "aria-label": entry.name });
    made.append(
      bar,
      element(
        "button",
        {
          type: "button",
          "aria-label": say("upload.cancel", { name: entry.name }),
          onclick: () => uploads.cancel(entry.id),
        },
        "×",
      ),
    );
  } else {
    const says = entry.reason || say(`upload.${entry.state}`);
    made.append(element("span", { class: entry.state === "refused" ? "says problem" : "says" }, says));
    if (entry.mayGoAgain) made.append(button(say("try.again"), () => uploads.again(entry.id)));
  }
  return made;
}
