// Generations: asked for through the API, their state live from their documents, iterations beside each other.
import { collection, deleteDoc, doc, limit, onSnapshot, orderBy, query } from "firebase/firestore";
import { ask } from "../api.js";
import { button, element, field, redraw, table } from "../element.js";
import { LivePages } from "../live_pages.js";
import { reasonOf } from "../reasons.js";
import { download } from "../stored_files.js";
import { beginning, bytes, bytesChanged, moment, say, sayOr } from "../texts.js";
import { tell, undoable } from "../undo.js";
import { VirtualList } from "../virtual_list.js";

const failed = (error) => tell(reasonOf(error));

export function open(place, backend, [generation]) {
  return generation ? openOne(place, backend, generation) : openAll(place, backend);
}

function openAll(place, backend) {
  const list = new VirtualList({
    label: say("room.generations"),
    rowHeight: () => 48,
    draw: line,
    more: (index) => pages.more(index),
  });
  const empty = element("p", { class: "quiet" });
  const pages = new LivePages(collection(backend.db, "users", backend.user.uid, "generations"), "created_at", {
    changed: (items, total, oldest) => {
      empty.textContent = total ? "" : say("generations.empty");
      list.show(items, total, oldest);
    },
    failed,
  });
  place.append(
    promptForm(say("generations.ask"), async (prompt, mode, key) => {
      const body = { prompt, mode };
      const made = await ask(backend, "POST", "/generations/generate", { body, key, spends: true });
      location.hash = `#generations/${encodeURIComponent(made.id)}`;
    }),
    element("h2", {}, say("generations.all")),
    empty,
    list.node,
  );
  const closeWorkers = showWorkers(place, backend);
  return () => {
    pages.close();
    list.close();
    closeWorkers();
  };
}

function line(item) {
  const made = element("button", {
    type: "button",
    class: "line",
    onclick: () => {
      location.hash = `#generations/${encodeURIComponent(item.id)}`;
    },
  });
  made.append(
    element("span", { class: "grows" }, beginning(item.prompt)),
    element("span", { class: "quiet" }, moment(item.created_at)),
  );
  made.append(element("span", {}, `v${item.version}`), stateOf(item.status));
  return made;
}

function stateOf(status) {
  const look = { failed: "problem", completed: "well" }[status] ?? "quiet";
  return element("span", { class: `state ${look}` }, sayOr(`generation.${status}`, status));
}

/** A prompt and its mode. While an answer is missing the same key is sent: asked twice, it is made once. */
function promptForm(title, act) {
  const prompt = field(say("prompt"), { name: "prompt", required: true, rows: 3, maxlength: 20000 }, "textarea");
  const mode = field(say("mode"), { name: "mode" }, "select");
  mode.input.append(...["classic", "enhanced"].map((name) => element("option", { value: name }, say(`mode.${name}`))));
  const told = element("p", { class: "problem", role: "alert" });
  const made = element("form", { class: "card ask" }, element("h2", {}, title), prompt, mode, told);
  const send = element("button", { class: "strong" }, title);
  made.append(send);
  let key = crypto.randomUUID();
  made.addEventListener("input", () => {
    key = crypto.randomUUID();
  });
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.getAttribute("aria-disabled") === "true") return;
    send.setAttribute("aria-disabled", "true");
    send.textContent = say("generations.working");
    told.textContent = "";
    try {
      const asked = prompt.input.value;
      await act(asked, mode.input.value, key);
      key = crypto.randomUUID();
      // What was written while the answer was on its way stays.
      if (prompt.input.value === asked) prompt.input.value = "";
    } catch (error) {
      told.textContent = reasonOf(error);
    } finally {
      send.removeAttribute("aria-disabled");
      send.textContent = title;
    }
  });
  return made;
}

// -- one generation

function openOne(place, backend, id) {
  const head = element("div", {});
  const versions = element("div", { class: "cards" });
  const beside = element("div", {});
  const chosen = new Set();
  let known = [];
  const own = doc(backend.db, "users", backend.user.uid, "generations", id);
  const compare = () => {
    const [one, other] = [...chosen]
      .sort((a, b) => a - b)
      .map((version) => known.find((each) => each.version === version));
    beside.replaceChildren(one && other ? besideEachOther(one, other) : "");
  };
  const draw = () => {
    redraw(
      versions,
      known.map((version) => versionCard(version, backend, id, chosen, compare)),
    );
    compare();
  };
  const stops = [
    onSnapshot(
      own,
      (found) => {
        const fields = found.data();
        head.replaceChildren(
          fields
            ? element("p", {}, element("bdi", {}, fields.prompt), " ", stateOf(fields.status))
            : element("p", { class: "problem" }, say("generation.missing")),
        );
      },
      failed,
    ),
    onSnapshot(
      query(collection(own, "versions"), orderBy("version", "desc"), limit(50)),
      (found) => {
        known = found.docs.map((one) => one.data());
        draw();
      },
      failed,
    ),
  ];
  place.append(
    element("p", {}, element("a", { href: "#generations" }, say("back"))),
    head,
    element("h2", {}, say("generation.versions")),
    versions,
    beside,
    promptForm(say("generations.iterate"), (prompt, mode, key) => {
      const body = { generation_id: id, prompt, mode };
      return ask(backend, "POST", "/generations/iterate", { body, key, spends: true });
    }),
  );
  return () => stops.forEach((stop) => stop());
}

function versionCard(version, backend, id, chosen, compare) {
  const pick = element("input", { type: "checkbox", checked: chosen.has(version.version) });
  pick.addEventListener("change", () => {
    chosen[pick.checked ? "add" : "delete"](version.version);
    if (chosen.size > 2) chosen.delete(chosen.values().next().value);
    for (const other of pick.closest(".cards").querySelectorAll("input[type=checkbox]")) {
      other.checked = chosen.has(Number(other.dataset.version));
    }
    compare();
  });
  pick.dataset.version = version.version;
  const made = element("article", { class: "card", "data-part": version.version, "data-status": version.status });
  made.append(
    element("h3", {}, say("version.number", { number: version.version }), " ", stateOf(version.status)),
    element("p", {}, version.prompt),
    element("p", { class: "quiet" }, [moment(version.created_at), version.model].filter(Boolean).join(" · ")),
    version.error ? element("p", { class: "problem" }, version.error) : "",
    version.files.length ? fileTable(version.files) : "",
  );
  const row = element("div", { class: "row" }, element("label", {}, pick, " ", say("compare.this")));
  if (version.archive) {
    row.append(
      button(
        say("download"),
        async () => {
          const before = version.version + 1;
          const asked = { limit: 1, before, include_download_url: true };
          const { iterations } = await ask(backend, "GET", `/generations/${encodeURIComponent(id)}/iterations`, { query: asked });
          if (!iterations[0]?.download_url)
            throw Object.assign(new Error(), { sentence: say("generation.no.archive") });
          download(iterations[0].download_url, `${id}-v${version.version}.tar.gz`);
        },
        { failed, "aria-label": say("download.of", { name: say("version.number", { number: version.version }) }) },
      ),
    );
  }
  made.append(row);
  return made;
}

function fileTable(files) {
  return table(
    say("files"),
    [
      [say("name"), "long"],
      [say("size"), "figure"],
    ],
    files.map((file) => [file.path, bytes(file.bytes)]),
  );
}

/** Which files came, went and changed their size from one version to another. */
function besideEachOther(one, other) {
  const sizes = (version) => new Map(version.files.map((file) => [file.path, file.bytes]));
  const [before, after] = [sizes(one), sizes(other)];
  const paths = [...new Set([...before.keys(), ...after.keys()])].sort();
  const change = (path) => {
    if (!before.has(path)) return say("file.added");
    if (!after.has(path)) return say("file.removed");
    const difference = after.get(path) - before.get(path);
    return difference ? bytesChanged(difference) : say("file.same");
  };
  const cell = (version, path) => (version.has(path) ? bytes(version.get(path)) : "–");
  return element(
    "section",
    { class: "card comparison" },
    element("h2", {}, say("compare.of", { one: one.version, other: other.version })),
    element(
      "div",
      { class: "sides" },
      element("p", {}, `v${one.version}: ${one.prompt}`),
      element("p", {}, `v${other.version}: ${other.prompt}`),
    ),
    table(
      say("files"),
      [[say("name"), "long"], ...[`v${one.version}`, `v${other.version}`, say("change")].map((head) => [head, "figure"])],
      paths.map((path) => [path, cell(before, path), cell(after, path), change(path)]),
    ),
  );
}

// -- what workers make

function showWorkers(place, backend) {
  const cards = element("div", { class: "cards workers" });
  const files = collection(backend.db, "generations", backend.user.uid, "files");
  const hidden = new Set();
  let found = [];
  const draw = () =>
    redraw(
      cards,
      found.filter(({ id }) => !hidden.has(id)).map((one) => workerCard(one, remove)),
    );
  const remove = (one) => {
    hidden.add(one.id);
    draw();
    const back = () => {
      hidden.delete(one.id);
      draw();
    };
    undoable(say("generation.deleted"), { back, act: () => deleteDoc(one.ref) });
  };
  place.append(element("h2", {}, say("workers")), element("p", { class: "quiet" }, say("workers.why")), cards);
  return onSnapshot(
    query(files, orderBy("created_at", "desc"), limit(30)),
    (snapshot) => {
      found = snapshot.docs;
      draw();
    },
    failed,
  );
}

function workerCard(one, remove) {
  const fields = one.data({ serverTimestamps: "estimate" });
  const made = element("article", { class: "card", "data-part": one.id, "data-status": fields.status });
  made.append(
    element("h3", {}, element("bdi", {}, fields.request_data?.prompt ?? fields.file_uid ?? one.id), " ", stateOf(fields.status)),
    element(
      "p",
      { class: "quiet" },
      [moment(fields.created_at), fields.generation_data?.model].filter(Boolean).join(" · "),
    ),
    fields.reason ? element("p", { class: "problem" }, fields.reason) : "",
  );
  const { images = [], video_url: film } = fields.generation_data ?? {};
  if (images.length) {
    const size = fields.request_data ?? {};
    made.append(
      element(
        "div",
        { class: "row" },
        images.slice(0, 4).map((address) =>
          element("img", {
            src: address,
            width: 150,
            height: Math.round(150 * ((size.height || 1) / (size.width || 1))) || 150,
            loading: "lazy",
            alt: fields.request_data?.prompt ?? "",
          }),
        ),
      ),
    );
  }
  if (film)
    made.append(
      element("video", {
        src: film,
        controls: true,
        preload: "none",
        width: 300,
        height: 174,
        "aria-label": say("kind.video"),
      }),
    );
  made.append(button(say("delete"), () => remove(one), { "aria-label": say("delete.of", { name: one.id }) }));
  return made;
}
