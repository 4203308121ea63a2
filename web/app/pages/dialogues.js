// Dialogues: written by the user's app, with what the server knows of each: its cost, where that comes from, its hits.
import {
  Timestamp,
  collection,
  deleteDoc,
  doc,
  increment,
  onSnapshot,
  serverTimestamp,
  setDoc,
  updateDoc,
} from "firebase/firestore";
import { button, element, field, folded } from "../element.js";
import { LivePages } from "../live_pages.js";
import { reasonOf } from "../reasons.js";
import { beginning, dollars, moment, number, say, sayCount, sayOr } from "../texts.js";
import { tell, undoable } from "../undo.js";
import { VirtualList } from "../virtual_list.js";

const failed = (error) => tell(reasonOf(error));

export function open(place, backend) {
  const { uid } = backend.user;
  const dialogues = collection(backend.db, "ai_outputs", uid, "dialogues");
  const counted = element("p", { class: "quiet", role: "status" });
  const detail = element("div", { "aria-live": "polite" });
  let stop = () => {};
  const show = (item) => {
    stop();
    stop = showOne(detail, item, backend, () => {
      detail.replaceChildren();
      stop();
      pages.hide(item.id);
      undoable(say("dialogue.deleted"), {
        back: () => pages.unhide(item.id),
        act: () => deleteDoc(doc(dialogues, item.id)),
      });
    });
  };
  const list = new VirtualList({
    label: say("room.dialogues"),
    rowHeight: () => 44,
    draw: (item) => line(item, show),
    more: (index) => pages.more(index),
  });
  const pages = new LivePages(dialogues, "generated_at", {
    changed: (items, total, oldest) => {
      counted.textContent = total ? sayCount("dialogues", total) : say("dialogues.empty");
      list.show(items, total, oldest);
    },
    failed,
  });
  place.append(writingForm(dialogues), counted, list.node, detail);
  return () => {
    stop();
    pages.close();
    list.close();
  };
}

function line(item, show) {
  return element(
    "button",
    { type: "button", class: "line", onclick: () => show(item) },
    element("span", { class: "grows" }, beginning(item.text)),
    element("span", { class: "quiet" }, beginning(item.model)),
    element("span", { class: "figure" }, item.cost_usd === undefined ? "–" : dollars(item.cost_usd)),
    element("span", { class: "figure" }, sayCount("hits", item.cache_hit_count ?? 0)),
  );
}

/** The text, what the app says of it, and the server's own record beside it, live. */
function showOne(place, item, backend, remove) {
  const said = element("dl", {});
  const known = element("dl", {});
  const facts = (rows) =>
    rows
      .filter(([, value]) => value !== undefined && value !== null && value !== "")
      .map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)])
      .flat();
  const own = doc(backend.db, "ai_outputs", backend.user.uid, "dialogues", item.id);
  const use = async () => {
    await updateDoc(own, { cache_hit_count: increment(1), last_accessed: serverTimestamp() });
    await navigator.clipboard?.writeText(item.text).catch(() => {});
    tell(say("dialogue.used"));
  };
  place.replaceChildren(
    element(
      "article",
      { class: "card" },
      element("p", {}, beginning(item.text, 2000)),
      element(
        "div",
        { class: "sides" },
        element("section", {}, element("h3", {}, say("dialogue.said")), said),
        element("section", {}, element("h3", {}, say("dialogue.known")), known),
      ),
      element("div", { class: "row" }, button(say("dialogue.use"), use, { failed }), button(say("delete"), remove)),
    ),
  );
  const stops = [
    onSnapshot(
      own,
      (found) => {
        const fields = found.data({ serverTimestamps: "estimate" });
        if (!fields) return;
        said.replaceChildren(
          ...facts([
            [say("model"), fields.model],
            [say("cost"), fields.cost_usd === undefined ? null : dollars(fields.cost_usd)],
            [say("waited"), fields.latency_ms === undefined ? null : `${number(fields.latency_ms)} ms`],
            [say("hits.name"), number(fields.cache_hit_count ?? 0)],
            [say("last.used"), moment(fields.last_accessed)],
            [say("made"), moment(fields.generated_at)],
          ]),
        );
      },
      failed,
    ),
    onSnapshot(
      doc(backend.db, "usage", backend.user.uid, "records", `dialogues~${item.id}`),
      (found) => {
        const fields = found.data();
        const source = fields && sayOr(`cost.${fields.cost_source}`, fields.cost_source);
        known.replaceChildren(
          ...facts(
            fields
              ? [
                  [say("status"), sayOr(`output.${fields.status}`, fields.status)],
                  [say("model"), [fields.model, fields.model_version].filter(Boolean).join(", ")],
                  [say("cost"), `${dollars(fields.cost_nano_usd / 1e9)} (${source})`],
                  [say("hits.name"), number(fields.hits_booked ?? 0)],
                  [say("saved"), dollars((fields.saved_nano_usd ?? 0) / 1e9)],
                  [say("why"), (fields.reasons ?? []).join("; ")],
                ]
              : [[say("status"), say("output.unknown")]],
          ),
        );
      },
      failed,
    ),
  ];
  return () => stops.forEach((each) => each());
}

/** As an app writes one; the rules say what each field may be. */
function writingForm(dialogues) {
  const fields = {
    card: field(say("dialogue.card"), { name: "card", required: true, maxlength: 200 }),
    model: field(say("model"), { name: "model", required: true, value: "gemini-2.5-flash" }),
    cost: field(say("dialogue.cost"), { name: "cost", inputmode: "decimal" }),
    text: field(say("text"), { name: "text", required: true, rows: 3 }, "textarea"),
  };
  const told = element("p", { class: "problem", role: "alert" });
  const made = element(
    "form",
    { class: "write" },
    Object.values(fields),
    told,
    element("button", { class: "strong" }, say("dialogue.keep")),
  );
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    told.textContent = "";
    const [card, interaction] = [fields.card.input.value, crypto.randomUUID()];
    const dialogue = {
      card_id: card,
      interaction_id: interaction,
      text: fields.text.input.value,
      model: fields.model.input.value,
      generated_at: Timestamp.now(),
      cached: false,
      cache_hit_count: 0,
    };
    if (fields.cost.input.value) dialogue.cost_usd = Number(fields.cost.input.value.replace(",", "."));
    // The list shows it at once; a refusal takes it out again, and says so here.
    setDoc(doc(dialogues, `${card}_${interaction}`), dialogue).catch((error) => {
      told.textContent = reasonOf(error);
      made.closest("details").open = true;
      fields.text.input.value = dialogue.text;
    });
    fields.text.input.value = "";
  });
  return folded(say("dialogue.write"), made);
}
