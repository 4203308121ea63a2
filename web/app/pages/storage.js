// Room: how much is used, what could be done for more, taking one's data along, and erasing all of it.
import { collection, doc, getDoc, getDocs, limit, onSnapshot, orderBy, query } from "firebase/firestore";
import { ask } from "../api.js";
import { showDrive } from "../drive.js";
import { button, element, field, redraw, table } from "../element.js";
import { reasonOf } from "../reasons.js";
import { addressOf, download } from "../stored_files.js";
import { bytes, moment, number, percent, say, sayCount } from "../texts.js";
import { tell, undoable } from "../undo.js";

const failed = (error) => tell(reasonOf(error));
const ROOT = "/api/phase5/storage";
const MOST_ARCHIVED = 200;

export function open(place, backend) {
  const names = ["usage", "advice", "archived", "drive"];
  const [usage, advice, archived, drive] = names.map((name) => element("div", { class: name }));
  place.append(usage, element("h2", {}, say("advice")), advice, archived, drive, exporting(backend), erasing(backend));
  adviceOrWhyNot(advice, backend);
  const files = collection(backend.db, "artifacts", backend.user.uid, "files");
  const stops = [
    onSnapshot(doc(backend.db, "quota", backend.user.uid), (found) => drawUsage(usage, found.data()), failed),
    onSnapshot(
      query(files, orderBy("archived_at", "desc"), limit(MOST_ARCHIVED)),
      (found) => drawArchived(archived, backend, found.docs),
      failed,
    ),
    showDrive(drive, backend),
  ];
  return () => stops.forEach((stop) => stop());
}

function drawUsage(place, fields = {}) {
  const [used, reserved, limit] = [fields.used_bytes ?? 0, fields.reserved_bytes ?? 0, fields.shown_limit_bytes];
  const text = limit
    ? say("usage.of", { used: bytes(used), limit: bytes(limit), share: percent(used / limit) })
    : say("usage", { used: bytes(used) });
  place.replaceChildren(
    element(
      "div",
      { class: "card" },
      element("p", {}, text, reserved ? ` ${say("usage.reserved", { size: bytes(reserved) })}` : ""),
      element("progress", { max: limit || 1, value: limit ? used + reserved : 0, "aria-label": say("usage.name") }),
    ),
  );
}

// -- what could be done

function adviceOrWhyNot(place, backend) {
  return showAdvice(place, backend).catch((error) =>
    place.replaceChildren(element("p", { class: "problem", role: "alert" }, reasonOf(error))),
  );
}

async function showAdvice(place, backend) {
  place.replaceChildren(element("p", { class: "quiet" }, say("advice.asking")));
  const { recommendations } = await ask(backend, "GET", `${ROOT}/recommendations`);
  const again = () => adviceOrWhyNot(place, backend);
  place.replaceChildren(
    ...(recommendations.length
      ? recommendations.map((each) => adviceCard(each, backend, again))
      : [element("p", { class: "quiet" }, say("advice.none"))]),
  );
}

function adviceCard(each, backend, again) {
  const made = element("article", { class: "card", "data-kind": each.kind });
  const plan = element("div", { "aria-live": "polite" });
  const acts = { cleanup, archive, merge, delete: remove };
  made.append(
    element("h3", {}, say(`advice.${each.kind}`)),
    element("p", {}, each.reason),
    element("p", {}, say("advice.frees", { size: bytes(each.bytes) })),
    button(say(`advice.do.${each.action}`), () => acts[each.action](each, backend, { made, plan, again }), { failed }),
    plan,
  );
  return made;
}

/** Something that happens a little later: the card is gone meanwhile, and back where it is taken back. */
function later(text, act, { made, again }) {
  made.hidden = true;
  const back = () => {
    made.hidden = false;
  };
  undoable(text, {
    back,
    act: async () => {
      await act();
      again();
    },
  });
}

/** A dry run shows what would go; the run takes the plan by its name, so nothing goes that was not shown. */
async function cleanup(each, backend, shown) {
  const options = each.kind === "auto_saves" ? { older_than_days: 1, keep_newest: 1, auto_saves_only: true } : {};
  const body = { dry_run: true, ...options };
  const planned = await ask(backend, "POST", `${ROOT}/cleanup`, { body });
  const rows = planned.files.map((file) => [file.name, file.versions.map((version) => `v${version}`).join(", ")]);
  const run = () =>
    later(
      sayCount("advice.cleaning", planned.versions_count),
      () => ask(backend, "POST", `${ROOT}/cleanup`, { body: { ...body, dry_run: false, plan: planned.plan } }),
      shown,
    );
  shown.plan.replaceChildren(
    table(say("advice.plan", { size: bytes(planned.freed_bytes) }), [say("name"), say("generation.versions")], rows),
    button(say("advice.run"), run),
  );
}

/** A file that is archived loses its older versions, so this can be taken back only before it happens. */
async function archive(each, backend, shown) {
  later(
    sayCount("advice.archiving", each.files.length),
    async () => {
      for (const file of each.files) await ask(backend, "POST", `${ROOT}/files/${file}/archive`);
    },
    shown,
  );
}

/** What is archived comes back with one press, with the versions that it has kept. */
function drawArchived(place, backend, files) {
  const rows = files.map((file) => {
    const restore = button(say("archived.restore"), () => ask(backend, "POST", `${ROOT}/files/${file.id}/restore`), {
      failed,
      "aria-label": `${say("archived.restore")}: ${file.get("name")}`,
    });
    return [file.get("name"), moment(file.get("archived_at")), restore];
  });
  const heads = [[say("name"), "long"], [say("archived.since"), "moment"], ""];
  redraw(place, rows.length ? [element("section", { class: "card" }, table(say("archived"), heads, rows))] : []);
}

async function merge(each, backend, shown) {
  const [kept, ...others] = each.files;
  later(
    say("advice.merging", { count: number(each.files.length) }),
    () => ask(backend, "POST", `${ROOT}/files/merge`, { body: { kept, others } }),
    shown,
  );
}

async function remove(each, backend, shown) {
  later(
    say("gallery.deleted"),
    async () => {
      for (const file of each.files) await ask(backend, "DELETE", `${ROOT}/files/${file}`);
    },
    shown,
  );
}

// -- taking it along

/** Everything as one JSON file: documents as they are, and for each stored file an address to fetch it by. */
function exporting(backend) {
  const told = element("p", { role: "status" });
  const start = async () => {
    const parts = ["{"];
    const { uid } = backend.user;
    for (const [name, path] of OWN_COLLECTIONS) {
      told.textContent = say("export.at", { name });
      const found = await getDocs(collection(backend.db, ...path(uid)));
      const documents = Object.fromEntries(found.docs.map((one) => [one.ref.path, plain(one.data())]));
      parts.push(`${JSON.stringify(name)}: ${JSON.stringify(documents, null, 1)},`);
    }
    for (const path of [
      ["usage", uid],
      ["quota", uid],
      ["budgets", uid],
    ]) {
      const found = await getDoc(doc(backend.db, ...path));
      parts.push(`${JSON.stringify(path[0])}: ${JSON.stringify(plain(found.data() ?? null))},`);
    }
    parts.push(`"addresses": ${JSON.stringify(await fileAddresses(backend), null, 1)}}`);
    const address = URL.createObjectURL(new Blob(parts, { type: "application/json" }));
    download(address, "afterimage.json");
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    told.textContent = say("export.done");
  };
  return element(
    "section",
    { class: "card export" },
    element("h2", {}, say("export")),
    element("p", {}, say("export.why")),
    button(say("export.do"), start, { failed }),
    told,
  );
}

const OWN_COLLECTIONS = [
  ...["dialogues", "images", "videos", "audio", "code"].map((kind) => [kind, (uid) => ["ai_outputs", uid, kind]]),
  ["objects", (uid) => ["users", uid, "objects"]],
  ["generations", (uid) => ["users", uid, "generations"]],
  ["worker_generations", (uid) => ["generations", uid, "files"]],
  ["saved_files", (uid) => ["artifacts", uid, "files"]],
  ["days", (uid) => ["usage", uid, "days"]],
  ["records", (uid) => ["usage", uid, "records"]],
];

async function fileAddresses(backend) {
  const { uid } = backend.user;
  const found = {};
  const objects = await getDocs(collection(backend.db, "users", uid, "objects"));
  for (const one of objects.docs) {
    const { bucket, name } = one.get("source");
    if (!name.startsWith("artifacts/")) found[name] = await addressOf(backend, bucket, name).catch(() => null);
  }
  const files = await getDocs(collection(backend.db, "artifacts", uid, "files"));
  for (const one of files.docs) {
    const answer = await ask(backend, "GET", `${ROOT}/files/${one.id}/download`).catch(() => null);
    found[one.get("name")] = answer?.url ?? null;
  }
  return found;
}

/** Times as ISO 8601, everything else as it is. */
function plain(value) {
  if (value?.toDate) return value.toDate().toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  return value;
}

// -- erasing it

/** Asked twice: a word has to be written. Then the account goes as well, and this browser forgets it. */
function erasing(backend) {
  const word = say("erase.word");
  const sure = field(say("erase.sure", { word }), { name: "sure", autocomplete: "off" });
  const told = element("p", { class: "problem", role: "alert" });
  const made = element(
    "form",
    { class: "card erase" },
    element("h2", {}, say("erase")),
    element("p", {}, say("erase.why")),
    sure,
    told,
    element("button", { class: "danger" }, say("erase.do")),
  );
  const key = crypto.randomUUID();
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (sure.input.value.trim() !== word) {
      told.textContent = say("erase.not.sure", { word });
      return;
    }
    try {
      await ask(backend, "POST", "/api/account/erase", { body: { confirm: backend.user.uid }, key });
      const { endAccount } = await import("../session.js");
      await endAccount(backend);
    } catch (error) {
      told.textContent = reasonOf(error);
    }
  });
  return made;
}
