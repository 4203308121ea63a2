// The books: what outputs cost, what hits saved and what files weigh, from the documents that the ledger keeps.
import {
  collection,
  doc,
  documentId,
  getCountFromServer,
  onSnapshot,
  orderBy,
  query,
  where,
} from "firebase/firestore";
import { barChart, onOtherWidth } from "../charts.js";
import { element } from "../element.js";
import { reasonOf } from "../reasons.js";
import { beginning, bytes, dollars, moment, number, percent, say } from "../texts.js";
import { tell } from "../undo.js";

const failed = (error) => tell(reasonOf(error));
const SHOWN_DAYS = 120;
const LONGEST_NAME = 120;
// Whose word a cost is; the three add up to it.
const SOURCES = ["confirmed", "computed", "reported"];
// What a record can be of; files that are stored have records too, and cost nothing.
const OUTPUTS = ["dialogues", "images", "videos", "audio", "code", "files"];
const BOUNDS = [100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, "inf"];

/** Money stands in two integers: whole dollars of each output, and the nano-dollars beyond them. */
export function money(amounts, name) {
  return (amounts?.[`${name}_whole_usd`] ?? 0) + (amounts?.[`${name}_nano_usd`] ?? 0) / 1e9;
}

export function open(place, backend) {
  const { uid } = backend.user;
  const [figures, charts, limits] = [element("div", { class: "figures" }), element("div", {}), element("div", {})];
  place.append(figures, limits, charts);
  let closed = [];
  let books = {};
  const draw = () => {
    figures.replaceChildren(...shownFigures(books));
    charts.replaceChildren(...shownCharts(books, closed));
  };
  const usage = doc(backend.db, "usage", uid);
  const since = new Date(Date.now() - SHOWN_DAYS * 86_400_000).toISOString().slice(0, 10);
  const sources = element("p", { class: "quiet" });
  place.append(sources);
  const stops = [
    // Followed, too: a day that leaves the live books while somebody looks comes in here.
    onSnapshot(
      query(collection(usage, "days"), where(documentId(), ">=", since)),
      (found) => {
        closed = found.docs.map((one) => [one.id, one.get("closed") ?? {}]);
        draw();
      },
      failed,
    ),
    onSnapshot(
      usage,
      (found) => {
        books = found.data() ?? {};
        draw();
        countSources(usage).then(
          (text) => {
            sources.textContent = text;
          },
          () => {},
        ); // without a network the rest is still right
      },
      failed,
    ),
    showLimits(limits, backend, uid),
    onOtherWidth(draw),
  ];
  return () => stops.forEach((stop) => stop());
}

function shownFigures(books) {
  const totals = books.totals ?? {};
  const waited = totals.latency_count ? `${number(Math.round(totals.latency_ms / totals.latency_count))} ms` : "–";
  const shown = [
    ["books.generations", number(books.total_generations ?? 0)],
    ["books.cost", dollars(books.total_cost_usd ?? 0)],
    ["books.average", dollars(books.avg_cost_per_generation ?? 0)],
    ["books.cache.rate", percent(books.cache_rate ?? 0)],
    ["books.hits", number(totals.cache_hits ?? 0)],
    ["books.saved", dollars(money(totals, "saved"))],
    ["books.waited", waited],
    ...SOURCES.map((source) => [`books.${source}`, dollars(money(totals, source))]),
    ["books.unpriced", number(totals.unpriced ?? 0)],
    ["books.refused", number((totals.rejected ?? 0) + (totals.failures ?? 0))],
  ];
  return shown.map(([key, value]) => element("div", {}, element("b", {}, value), say(key)));
}

function shownCharts(books, closed) {
  const perAmount = (key, entries) => {
    const rows = entries.map(([name, amounts]) => {
      const value = money(amounts, "cost");
      const share = (source) => (value ? money(amounts, source) / value : 0);
      const parts = { dotted: share("computed"), hatched: share("reported") };
      return { name, value, parts, text: `${dollars(value)} · ${number(amounts.generations ?? 0)}`, amounts };
    });
    return barChart(say(key), rows, {
      parts: say("chart.parts"),
      heads: [
        [say(`${key}.name`), "long"],
        ...[
          say("books.generations"),
          say("books.cost"),
          ...SOURCES.map((source) => say(`books.${source}`)),
          say("books.hits"),
          say("books.saved"),
        ].map((head) => [head, "figure"]),
      ],
      cells: ({ name, value, amounts }) => [
        beginning(name, LONGEST_NAME),
        number(amounts.generations ?? 0),
        dollars(value),
        ...SOURCES.map((source) => dollars(money(amounts, source))),
        number(amounts.cache_hits ?? 0),
        dollars(money(amounts, "saved")),
      ],
    });
  };
  const models = Object.entries(books.models ?? {}).sort(
    ([, one], [, other]) => money(other, "cost") - money(one, "cost"),
  );
  const days = [...closed, ...Object.entries(books.days ?? {})].sort(([one], [other]) => other.localeCompare(one));
  return [
    perAmount("books.by.model", models),
    perAmount("books.by.day", days.slice(0, SHOWN_DAYS)),
    weights(books.storage ?? {}),
    latency(books.totals ?? {}),
  ];
}

function weights(storage) {
  const rows = Object.entries(storage.bytes ?? {})
    .filter(([, value]) => value > 0)
    .map(([kind, value]) => {
      const objects = storage.objects?.[kind] ?? 0;
      return { name: kind, value, text: `${bytes(value)} · ${number(objects)}`, objects };
    });
  const heads = [say("kind"), [say("size"), "figure"], [say("files"), "figure"]];
  return barChart(say("books.by.kind"), rows, {
    heads,
    cells: (row) => [row.name, bytes(row.value), number(row.objects)],
  });
}

function latency(totals) {
  const rows = BOUNDS.map((bound) => {
    const value = totals[`latency_le_${bound}`] ?? 0;
    return { name: bound === "inf" ? say("books.longer") : `≤ ${number(bound)} ms`, value, text: number(value) };
  }).filter((row) => row.value);
  const heads = [say("books.waited"), [say("books.generations"), "figure"]];
  return barChart(say("books.by.latency"), rows, { heads, cells: (row) => [row.name, row.text] });
}

/** How many outputs have their cost from where, counted by Firestore. */
async function countSources(usage) {
  const names = ["confirmed", "computed", "reported", "none"];
  const counts = await Promise.all(
    names.map((name) => {
      const isOutput = where("kind", "in", OUTPUTS);
      return getCountFromServer(query(collection(usage, "records"), where("cost_source", "==", name), isOutput));
    }),
  );
  return say(
    "books.sources",
    Object.fromEntries(names.map((name, index) => [name, number(counts[index].data().count)])),
  );
}

/** The budget, where one is set, and the alerts of storage. */
function showLimits(place, backend, uid) {
  const [budget, alerts] = [element("div", {}), element("div", {})];
  place.append(budget, alerts);
  const stops = [
    onSnapshot(
      doc(backend.db, "budgets", uid),
      (found) => {
        const fields = found.data();
        const limited = fields?.limit_nano_usd;
        if (limited === undefined) return budget.replaceChildren();
        const [spent, reserved] = [fields.spent_nano_usd ?? 0, fields.reserved_nano_usd ?? 0];
        const text = say("budget", {
          spent: dollars(spent / 1e9),
          limit: dollars(limited / 1e9),
          reserved: dollars(reserved / 1e9),
        });
        const bar = element("progress", {
          max: limited || 1,
          value: spent + reserved,
          "aria-label": say("budget.name"),
        });
        budget.replaceChildren(
          element("div", { class: "card" }, element("h2", {}, say("budget.name")), element("p", {}, text), bar),
        );
      },
      failed,
    ),
    onSnapshot(
      query(collection(backend.db, "quota", uid, "alerts"), orderBy("level", "desc")),
      (found) => {
        const raised = found.docs.map((one) => one.data()).filter((alert) => alert.state === "raised");
        alerts.replaceChildren(
          ...raised
            .slice(0, 1)
            .map((alert) =>
              element(
                "p",
                { class: "card problem", role: "alert" },
                say("alert", { level: alert.level, at: moment(alert.at) }),
              ),
            ),
        );
      },
      failed,
    ),
  ];
  return () => stops.forEach((stop) => stop());
}
