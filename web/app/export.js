// Taking one's data along: one JSON file of documents as they are, with an address for each stored file.
import { collection, doc, getDoc, getDocs } from "firebase/firestore";
import { ask } from "./api.js";
import { button, element } from "./element.js";
import { reasonOf } from "./reasons.js";
import { addressOf, download } from "./stored_files.js";
import { say } from "./texts.js";
import { tell } from "./undo.js";

const LIVES_MS = 60_000;
// Each under its name in the export; `beneath` is a collection beneath each of its documents.
const COLLECTIONS = [
  ...["dialogues", "images", "videos", "audio", "code"].map((kind) => ({ name: kind, path: ["ai_outputs", "uid", kind] })),
  { name: "objects", path: ["users", "uid", "objects"] },
  { name: "generations", path: ["users", "uid", "generations"], beneath: "versions" },
  { name: "worker_generations", path: ["generations", "uid", "files"] },
  { name: "saved_files", path: ["artifacts", "uid", "files"], beneath: "versions" },
  { name: "days", path: ["usage", "uid", "days"] },
  { name: "records", path: ["usage", "uid", "records"] },
  { name: "storage_alerts", path: ["quota", "uid", "alerts"] },
  { name: "budget_alerts", path: ["budgets", "uid", "alerts"] },
  { name: "drive_mirrors", path: ["drive", "uid", "mirrors"] },
];
const SINGLE = ["usage", "quota", "budgets", "drive"];

/** A card with one button, which hands the file to the browser's downloads. */
export function exporting(backend) {
  const told = element("p", { role: "status" });
  const start = async () => {
    const progress = (name) => {
      told.textContent = say("export.at", { name });
    };
    const parts = await exported(backend, progress);
    const address = URL.createObjectURL(new Blob(parts, { type: "application/json" }));
    download(address, "afterimage.json");
    setTimeout(() => URL.revokeObjectURL(address), LIVES_MS);
    told.textContent = say("export.done");
  };
  return element(
    "section",
    { class: "card export" },
    element("h2", {}, say("export")),
    element("p", {}, say("export.why")),
    button(say("export.do"), start, { failed: (error) => tell(reasonOf(error)) }),
    told,
  );
}

/** The pieces of one JSON text: a long history is never one string. */
async function exported(backend, progress) {
  const { db, user } = backend;
  const parts = ["{"];
  const read = async (path) => (await getDocs(collection(db, ...path))).docs;
  const stored = {};
  for (const { name, path, beneath } of COLLECTIONS) {
    progress(name);
    const found = await read(path.map((part) => (part === "uid" ? user.uid : part)));
    stored[name] = found;
    const below = beneath ? (await Promise.all(found.map((one) => read([...one.ref.path.split("/"), beneath])))).flat() : [];
    parts.push(`${JSON.stringify(name)}: ${JSON.stringify(byPath([...found, ...below]), null, 1)},`);
  }
  for (const name of SINGLE) {
    const found = await getDoc(doc(db, name, user.uid));
    parts.push(`${JSON.stringify(name)}: ${JSON.stringify(plain(found.data() ?? null))},`);
  }
  parts.push(`"addresses": ${JSON.stringify(await addresses(backend, stored), null, 1)}}`);
  return parts;
}

function byPath(documents) {
  return Object.fromEntries(documents.map((one) => [one.ref.path, plain(one.data())]));
}

/** Where each stored file can be fetched, under the path of the document that knows it; names may come twice. */
async function addresses(backend, { objects, saved_files: saved }) {
  const found = {};
  for (const one of objects) {
    const { bucket, name } = one.get("source");
    if (!name.startsWith("artifacts/")) found[one.ref.path] = await addressOf(backend, bucket, name).catch(() => null);
  }
  for (const one of saved) {
    const path = `/api/phase5/storage/files/${encodeURIComponent(one.id)}/download`;
    const answer = await ask(backend, "GET", path).catch(() => null);
    found[one.ref.path] = answer?.url ?? null;
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
