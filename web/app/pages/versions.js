// Saved files and their versions: a timeline for each, any two beside each other, going back, pins, descriptions.
import { collection, doc, onSnapshot, orderBy, query } from "firebase/firestore";
import { ask } from "../api.js";
import { shownComparison } from "../comparison.js";
import { button, element, field, folded, redraw } from "../element.js";
import { LivePages } from "../live_pages.js";
import { reasonOf } from "../reasons.js";
import { download } from "../stored_files.js";
import { bytes, bytesChanged, day, moment, say, sayCount } from "../texts.js";
import { tell, undoable } from "../undo.js";
import { VirtualList } from "../virtual_list.js";

const failed = (error) => tell(reasonOf(error));
const ROOT = "/api/phase5";

export function open(place, backend, [file]) {
  return file ? openOne(place, backend, file) : openAll(place, backend);
}

function openAll(place, backend) {
  const counted = element("p", { class: "quiet", role: "status" });
  const list = new VirtualList({
    label: say("versions.files"),
    rowHeight: () => 48,
    draw: fileLine,
    more: (index) => pages.more(index),
  });
  const pages = new LivePages(collection(backend.db, "artifacts", backend.user.uid, "files"), "active_at", {
    changed: (items, total, oldest) => {
      counted.textContent = total ? sayCount("files", total) : say("versions.empty");
      list.show(items, total, oldest);
    },
    failed,
  });
  place.append(savingForm(backend, null), counted, list.node);
  return () => {
    pages.close();
    list.close();
  };
}

function fileLine(item) {
  const show = () => {
    location.hash = `#versions/${encodeURIComponent(item.id)}`;
  };
  return element(
    "button",
    { type: "button", class: "line", onclick: show },
    element("span", { class: "grows" }, item.name),
    element("span", { class: "quiet" }, moment(item.active_at)),
    element("span", { class: "figure" }, bytes(item.size)),
    element("span", { class: "figure" }, say("version.number", { number: item.version_number })),
  );
}

/** Saves text as it stands, or a file, as the newest version of one file or of a new one. */
function savingForm(backend, file) {
  const name = field(say("name"), { name: "name", required: !file, maxlength: 200 });
  const text = field(say("text"), { name: "text", rows: 6 }, "textarea");
  const picked = field(say("versions.or.file"), { type: "file", name: "file" });
  const why = field(say("description"), { name: "description", maxlength: 500 });
  const told = element("p", { class: "problem", role: "alert" });
  const made = element("form", { class: "save" });
  made.append(
    ...[file ? "" : name, text, picked, why, told, element("button", { class: "strong" }, say("versions.save"))].filter(
      Boolean,
    ),
  );
  let key = crypto.randomUUID();
  made.addEventListener("input", () => {
    key = crypto.randomUUID();
  });
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    told.textContent = "";
    const sent = { name: name.input.value, text: text.input.value, why: why.input.value, files: picked.input.files };
    const [chosen, used] = [picked.input.files[0], key];
    key = crypto.randomUUID();
    // Emptied at once, so that whatever is written while the answer is on its way stays.
    made.reset();
    try {
      const saved = await save(backend, { file, said: sent, chosen, key: used });
      if (!saved.is_new_version) tell(say("versions.same"));
    } catch (error) {
      told.textContent = reasonOf(error);
      made.closest("details").open = true;
      if (name.input.value || text.input.value || picked.input.files.length) return;
      [name.input.value, text.input.value, why.input.value] = [sent.name, sent.text, sent.why];
      picked.input.files = sent.files;
      key = used;
    }
  });
  return folded(say(file ? "versions.next" : "versions.new"), made);
}

/** Text as it stands, or the bytes of a chosen file, as the newest version of `file`, or of a new one. */
function save(backend, { file, said, chosen, key }) {
  const described = { description: said.why, file_id: file ?? undefined, name: file ? undefined : said.name };
  if (!chosen) {
    return ask(backend, "POST", `${ROOT}/storage/save-artifact`, { body: { ...described, text: said.text }, key });
  }
  const type = chosen.type || "text/plain";
  return ask(backend, "POST", `${ROOT}/storage/upload`, { query: described, body: chosen, type, key });
}

// -- one file

function openOne(place, backend, file) {
  const [head, timeline, beside] = [element("div", {}), element("div", { class: "timeline" }), element("div", {})];
  const chosen = new Set();
  const own = doc(backend.db, "artifacts", backend.user.uid, "files", file);
  const compare = button(
    say("compare.two"),
    async () => {
      const [one, other] = [...chosen].sort((a, b) => a - b);
      const versions = { version1_id: `v${one}`, version2_id: `v${other}` };
      const { differences } = await ask(backend, "GET", `${ROOT}/versions/compare`, {
        query: { file_id: file, ...versions },
      });
      const addresses =
        differences.kind === "picture"
          ? await Promise.all([one, other].map((each) => addressOfVersion(backend, file, each)))
          : [];
      beside.replaceChildren(
        element(
          "section",
          { class: "card comparison", tabindex: "-1" },
          element("h2", {}, say("compare.of", { one, other })),
          shownComparison(differences, addresses),
        ),
      );
      beside.firstChild.focus();
    },
    { failed, disabled: true },
  );
  const choose = (number, isChosen) => {
    chosen[isChosen ? "add" : "delete"](number);
    if (chosen.size > 2) chosen.delete(chosen.values().next().value);
    for (const box of timeline.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(Number(box.value));
    compare.disabled = chosen.size !== 2;
  };
  const stops = [
    onSnapshot(own, headDrawing(head, backend, file), failed),
    onSnapshot(
      query(collection(own, "versions"), orderBy("version_number", "desc")),
      (found) => {
        const versions = found.docs.map((one) => one.data());
        redraw(timeline, drawTimeline(versions, backend, file, chosen, choose));
      },
      failed,
    ),
  ];
  place.append(
    element("p", {}, element("a", { href: "#versions" }, say("back"))),
    head,
    savingForm(backend, file),
    element("div", { class: "row" }, compare, element("span", { class: "quiet" }, say("compare.how"))),
    beside,
    timeline,
  );
  return () => stops.forEach((stop) => stop());
}

async function addressOfVersion(backend, file, number) {
  const asked = { query: { version_id: `v${number}` } };
  return (await ask(backend, "GET", `${ROOT}/storage/files/${encodeURIComponent(file)}/download`, asked)).url;
}

/** What the file is called, and its tags: changed in place; deleted with a way back. It takes what the document says. */
function headDrawing(place, backend, file) {
  const title = element("h2", {});
  const [name, tags] = [
    field(say("name"), { name: "rename", required: true, maxlength: 200 }),
    field(say("tags"), { name: "tags" }),
  ];
  const form = describing(backend, file, title, name, tags);
  return (found) => {
    const fields = found.data();
    if (!fields) return place.replaceChildren(element("p", { class: "problem" }, say("versions.missing")));
    title.textContent = fields.name;
    const stored = [
      [name.input, fields.name],
      [tags.input, (fields.tags ?? []).join(", ")],
    ];
    // What somebody is writing stays, whatever is saved meanwhile; `defaultValue` is what was stored last.
    for (const [input, value] of stored) {
      if (input.value === input.defaultValue) input.value = value;
      input.defaultValue = value;
    }
    if (!form.isConnected) place.replaceChildren(form);
  };
}

function describing(backend, file, title, name, tags) {
  const made = element("form", { class: "card describe" }, title, name, tags);
  const remove = button(say("delete"), () => {
    location.hash = "#versions";
    undoable(say("versions.deleted", { name: title.textContent }), {
      act: () => ask(backend, "DELETE", `${ROOT}/storage/files/${encodeURIComponent(file)}`),
      back: () => {
        location.hash = `#versions/${encodeURIComponent(file)}`;
      },
    });
  });
  made.append(element("div", { class: "row" }, element("button", {}, say("versions.describe")), remove));
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const words = tags.input.value
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean);
    const body = { name: name.input.value, tags: [...new Set(words)] };
    await ask(backend, "PATCH", `${ROOT}/storage/files/${encodeURIComponent(file)}`, { body }).catch(failed);
  });
  return made;
}

function drawTimeline(versions, backend, file, chosen, choose) {
  const days = Map.groupBy(versions, (version) => day(version.created_at));
  return [...days].map(([name, events]) =>
    element(
      "section",
      {},
      element("h2", {}, name),
      element(
        "ol",
        { class: "cards" },
        events.map((version) =>
          element(
            "li",
            { class: "card", "data-part": version.version_number },
            versionFacts(version, backend, chosen, choose),
            element("div", { class: "row" }, versionActs(version, backend, file, versions[0].version_number)),
          ),
        ),
      ),
    ),
  );
}

function versionFacts(version, backend, chosen, choose) {
  const box = element("input", {
    type: "checkbox",
    value: String(version.version_number),
    checked: chosen.has(version.version_number),
  });
  box.addEventListener("change", () => choose(version.version_number, box.checked));
  const what = version.reverted_from
    ? say("version.reverted", { number: version.reverted_from })
    : say(version.version_number === 1 ? "version.created" : version.auto_saved ? "version.auto" : "version.saved");
  const change = version.version_number === 1 ? "" : bytesChanged(version.size_change_bytes);
  const author = version.author === backend.user.uid ? say("version.you") : version.author;
  return [
    element(
      "h3",
      {},
      say("version.number", { number: version.version_number }),
      " ",
      version.pinned ? element("span", { class: "state" }, say("version.pinned")) : "",
    ),
    element("p", {}, [what, version.description || (change && version.change)].filter(Boolean).join(": ")),
    element(
      "p",
      { class: "quiet" },
      [moment(version.created_at), author, bytes(version.size), change].filter(Boolean).join(" · "),
    ),
    element("label", {}, box, " ", say("compare.this")),
  ];
}

function versionActs(version, backend, file, newest) {
  const number = version.version_number;
  const asked = { file_id: file, version_id: `v${number}` };
  const named = (key) => ({ failed, "aria-label": `${say(key)}: ${say("version.number", { number })}` });
  const acts = [
    button(
      say("download"),
      async () => download(await addressOfVersion(backend, file, number), version.name),
      named("download"),
    ),
    button(
      say(version.pinned ? "version.unpin" : "version.pin"),
      () => ask(backend, "POST", `${ROOT}/versions/pin`, { body: { ...asked, pinned: !version.pinned } }),
      named(version.pinned ? "version.unpin" : "version.pin"),
    ),
  ];
  if (number !== newest) {
    acts.push(
      button(
        say("version.revert"),
        () => ask(backend, "POST", `${ROOT}/versions/revert`, { body: asked, key: crypto.randomUUID() }),
        named("version.revert"),
      ),
    );
  }
  return acts;
}
