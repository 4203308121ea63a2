// Room: how much is used, what could be done for more, taking one's data along, and erasing all of it.
import { collection, doc, limit, onSnapshot, orderBy, query } from "firebase/firestore";
import { ask } from "../api.js";
import { showDrive } from "../drive.js";
import { button, element, field, redraw, table } from "../element.js";
import { exporting } from "../export.js";
import { reasonOf } from "../reasons.js";
import { bytes, moment, number, percent, say, sayCount, sayOr } from "../texts.js";
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
    element("h3", {}, sayOr(`advice.${each.kind}`, each.kind)),
    element("p", {}, each.reason),
    element("p", {}, say("advice.frees", { size: bytes(each.bytes) })),
    // An action that this page does not know yet is told of, and not offered.
    acts[each.action]
      ? button(say(`advice.do.${each.action}`), () => acts[each.action](each, backend, { made, plan, again }), { failed })
      : "",
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
      for (const file of each.files) await ask(backend, "POST", `${ROOT}/files/${encodeURIComponent(file)}/archive`);
    },
    shown,
  );
}

/** What is archived comes back with one press, with the versions that it has kept. */
function drawArchived(place, backend, files) {
  const rows = files.map((file) => {
    const restore = button(say("archived.restore"), () => ask(backend, "POST", `${ROOT}/files/${encodeURIComponent(file.id)}/restore`), {
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
      for (const file of each.files) await ask(backend, "DELETE", `${ROOT}/files/${encodeURIComponent(file)}`);
    },
    shown,
  );
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
