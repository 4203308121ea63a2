// For operators: totals of all users, who costs most, jobs under way, and events that could not be handled.
import { collection, doc, limit, onSnapshot, orderBy, query, where } from "firebase/firestore";
import { ask } from "../api.js";
import { button, element, table } from "../element.js";
import { reasonOf } from "../reasons.js";
import { bytes, dollars, moment, number, percent, say, sayCount } from "../texts.js";
import { tell } from "../undo.js";
import { money } from "./books.js";

const failed = (error) => tell(reasonOf(error));
const REPLAYS = ["media.replay", "ledger.replay", "artifacts.cleanup"];

export function open(place, backend) {
  const parts = Object.fromEntries(
    ["totals", "users", "letters", "jobs"].map((name) => [name, element("div", { class: name })]),
  );
  const heading = (name) => element("h2", {}, say(`operators.${name}`));
  const replays = element(
    "div",
    { class: "row" },
    REPLAYS.map((kind) =>
      button(
        say(`operators.${kind}`),
        async () => {
          const { job } = await ask(backend, "POST", "/api/operations/jobs", {
            body: { kind },
            key: crypto.randomUUID(),
          });
          tell(say("operators.started", { job }));
        },
        { failed },
      ),
    ),
  );
  place.append(
    parts.totals,
    heading("users"),
    parts.users,
    heading("letters"),
    replays,
    parts.letters,
    heading("jobs"),
    parts.jobs,
  );
  showUsers(parts.users, backend).catch(failed);
  const db = backend.db;
  const letters = query(collection(db, "_events"), where("status", "==", "open"), limit(100));
  const jobs = query(collection(db, "_jobs"), orderBy("updated_at", "desc"), limit(30));
  const stops = [
    onSnapshot(doc(db, "operations", "totals"), (found) => drawTotals(parts.totals, found.data() ?? {}), failed),
    onSnapshot(letters, (found) => drawLetters(parts.letters, found.docs), failed),
    onSnapshot(jobs, (found) => drawJobs(parts.jobs, found.docs), failed),
  ];
  return () => stops.forEach((stop) => stop());
}

function drawTotals(place, fields) {
  const totals = fields.totals ?? {};
  const weight = Object.values(fields.storage?.bytes ?? {}).reduce((sum, each) => sum + each, 0);
  const shown = [
    ["books.generations", number(totals.generations ?? 0)],
    ["books.cost", dollars(money(totals, "cost"))],
    ["books.saved", dollars(money(totals, "saved"))],
    ["books.hits", number(totals.cache_hits ?? 0)],
    ["operators.stored", bytes(weight)],
    ["operators.aside", number(fields.users_set_aside ?? totals.users_set_aside ?? 0)],
  ];
  place.replaceChildren(
    element(
      "div",
      { class: "figures" },
      shown.map(([key, value]) => element("div", {}, element("b", {}, value), say(key))),
    ),
  );
}

async function showUsers(place, backend) {
  const { users } = await ask(backend, "GET", "/api/operations/users", { query: { limit: 20 } });
  const rows = users.map((user) => [
    element("code", {}, user.uid),
    dollars(user.total_cost_usd),
    number(user.total_generations),
    percent(user.cache_rate),
  ]);
  place.replaceChildren(
    table(
      say("operators.users"),
      [[say("operators.user"), "long"], ...["books.cost", "books.generations", "books.cache.rate"].map((key) => [say(key), "figure"])],
      rows,
    ),
  );
}

function drawLetters(place, letters) {
  const rows = letters.map((one) => [
    one.get("trigger"),
    one.get("reason"),
    one.get("attributes")?.subject ?? one.get("attributes")?.source ?? "",
    moment(one.get("recorded_at")),
  ]);
  place.replaceChildren(
    rows.length
      ? table(
          sayCount("operators.open", rows.length),
          [say("operators.trigger"), [say("why"), "long"], [say("operators.about"), "long"], [say("operators.since"), "moment"]],
          rows,
        )
      : element("p", { class: "quiet" }, say("operators.no.letters")),
  );
}

function drawJobs(place, jobs) {
  const counts = (one) =>
    Object.entries(one.get("counts") ?? {})
      .map(([name, count]) => `${name} ${number(count)}`)
      .join(", ");
  const rows = jobs.map((one) => [
    one.id,
    one.get("state"),
    counts(one),
    (one.get("failures") ?? []).join("; "),
    moment(one.get("updated_at")),
  ]);
  place.replaceChildren(
    table(
      say("operators.jobs"),
      [[say("name"), "long"], say("status"), say("operators.done"), [say("operators.failures"), "long"], [say("operators.since"), "moment"]],
      rows,
    ),
  );
}
