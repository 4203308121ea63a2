// What functions and tasks' targets were sent: each event with its cause, its attempts, their effects, and further events.
import { ask } from "./api.js";
import { clockTime, element } from "./elements.js";
import "./virtual-list.js";

const CHAIN = 50;
const OTHER_CAUSES = {
  request: (service) => `a request to ${service} from outside`,
  suite: (service) => `the suite itself, in ${service}`,
  unknown: (service) => `a request to ${service}; whose cannot be told here`,
};

export class EventsPage extends HTMLElement {
  #events = [];
  #byId = new Map();
  #byRun = new Map();
  told = {};

  connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "function, type or id", "aria-label": "Filter events", oninput: () => this.draw(),
    });
    this.failed = element("input", { type: "checkbox", onchange: () => this.draw() });
    this.loops = element("input", { type: "checkbox", onchange: () => this.draw() });
    this.count = element("span", { className: "quiet", role: "status" });
    this.list = element("virtual-list", { "aria-label": "Events, the newest first" });
    this.detail = element("section", { "aria-label": "The chosen event", tabIndex: 0 },
      element("p", { className: "quiet" }, "What functions are sent appears here, with every attempt."));
    this.replaceChildren(
      element("div", { className: "stack" },
        element("div", { className: "row" }, this.filter, element("label", {}, this.failed, " failed"),
          element("label", {}, this.loops, " loops"), this.count),
        this.list), this.detail);
    this.list.addEventListener("choose", (event) => this.show(event.detail));
    this.stop = this.app.onChange("state", () => this.refresh());
    this.refresh();
  }

  disconnectedCallback() {
    this.stop();
  }

  focusFilter() {
    this.filter.focus();
  }

  async refresh() {
    const { events: attempts } = await ask("/control/events");
    const byId = new Map();
    for (const attempt of attempts) {
      const { id, type, time, cause, source, subject } = attempt;
      const found = byId.get(id) ?? { id, type, time, cause, source, subject, attempts: [] };
      found.attempts.push(attempt);
      byId.set(id, found);
    }
    this.#byId = byId;
    this.#byRun = new Map(attempts.map((attempt) => [attempt.run, attempt]));
    this.#events = [...byId.values()].reverse();
    this.draw();
    const chosen = this.list.selected;
    // What is being read stays as it is, unless there is news.
    if (chosen && this.shown !== JSON.stringify(chosen)) this.show(chosen);
  }

  draw() {
    const wanted = this.filter.value.toLowerCase();
    const items = this.#events.filter((event) =>
      (!this.failed.checked || outcome(event) === "failed") && (!this.loops.checked || rounds(event)) &&
      `${event.id} ${event.type} ${event.attempts.map((attempt) => attempt.function).join(" ")}`.toLowerCase().includes(wanted));
    this.count.textContent = `${items.length} of ${this.#events.length}`;
    this.list.show(items, {
      key: (event) => event.id,
      fill: (event) => [
        element("span", { className: tone(outcome(event)) }, outcome(event)),
        rounds(event) ? element("strong", { className: "bad" }, `loop ${rounds(event)}`) : element("span", {}, `${event.attempts.length}×`),
        element("span", { className: "code" }, [...new Set(event.attempts.map((attempt) => attempt.function))].join(", ")),
        element("span", { className: "quiet" }, clockTime(event.time)),
      ],
    });
  }

  #open(id) {
    const event = this.#byId.get(id);
    if (!event) return;
    this.filter.value = "";
    this.failed.checked = this.loops.checked = false;
    this.draw();
    this.list.select(event);
    this.detail.focus();
  }

  show(event) {
    if (event === null) return;
    this.shown = JSON.stringify(event);
    if (this.told.about !== event.id) this.told = Object.assign(element("span", { role: "status" }), { about: event.id });
    this.detail.replaceChildren(
      element("h2", {}, event.type), element("p", { className: "quiet code" }, event.subject ? `${event.subject} · ${event.id}` : event.id),
      ...this.#orders(event), element("h3", {}, "Cause"), this.#cause(event),
      ...event.attempts.map((attempt) => this.#attempt(attempt)));
  }

  #orders(event) {
    if (event.source === null && /^request-\d+$/.test(event.id)) {
      return [element("p", { className: "quiet" }, "A request is its caller's to send again: the record keeps no body of it.")];
    }
    const button = (text, act) => element("button", { type: "button", onclick: async () => {
      try {
        this.told.className = "";
        this.told.textContent = await act();
      } catch (error) {
        this.told.className = "bad";
        this.told.textContent = error.message;
      }
      await this.app.load();
    } }, text);
    const replay = async (body) => {
      const { deliveries, due } = await ask(`/control/events/${encodeURIComponent(event.id)}:replay`, { method: "POST", body });
      if (due) return `sent again at ${clockTime(due)}`;
      return deliveries ? `sent again to ${deliveries}` : "it is not kept any more";
    };
    // A glob that this event alone, and those like it, fit.
    const exactly = (text) => text.replace(/[[*?]/g, "[$&]");
    const like = event.subject ? { subject: exactly(event.subject) } : event.source ? { source: exactly(event.source) } : {};
    const order = async (fault) => {
      await ask("/control/faults", { method: "POST", body: { ...fault, times: 1, match: { type: exactly(event.type), ...like } } });
      return `ordered: the next one is ${fault.action === "delay" ? "delayed" : "duplicated"}`;
    };
    const seconds = element("input", { type: "number", min: 0, value: 60, "aria-label": "Seconds to wait" });
    return [
      element("div", { className: "row" }, button("Send again", () => replay({})), button("Send twice", () => replay({ copies: 2 })),
        button("Send later", () => replay({ delay_seconds: Number(seconds.value) })), seconds, "s"),
      event.source === null ? null : element("div", { className: "row" },
        button("Duplicate the next like it", () => order({ action: "duplicate" })),
        button("Delay the next like it", () => order({ action: "delay", seconds: Number(seconds.value) }))),
      element("p", {}, this.told)].filter(Boolean);
  }

  // The runs that led here, the first one first; each opens its event.
  #cause({ cause, type }) {
    if (!cause) return element("p", { className: "quiet" }, type === "schedule" ? "its schedule" : "sent by hand, or longer ago than the record goes");
    if (cause.by !== "function") return element("p", { className: "quiet" }, OTHER_CAUSES[cause.by](cause.service));
    const chain = [];
    for (let at = cause; at?.by === "function" && chain.length < CHAIN; at = this.#byRun.get(at.runs[0].run)?.cause) {
      const [run, ...others] = at.runs;
      chain.unshift(element("li", {}, this.#link(run.id, `${run.function} on ${run.id}`), ` asked ${at.service}`,
        ...others.flatMap((other) => [", or ", this.#link(other.id, `on ${other.id}`)]),
        at.certain || others.length ? "" : ", after its run had ended"));
    }
    return element("ol", { "aria-label": "The runs that led here" }, ...chain);
  }

  #link(id, text) {
    return this.#byId.has(id) ? element("button", { type: "button", className: "link code", onclick: () => this.#open(id) }, text)
      : element("span", { className: "code" }, text);
  }

  #attempt(attempt) {
    const kind = attempt.outcome === "ok" ? "ok" : attempt.outcome === "running" ? "running" : "failed";
    const effects = attempt.effects.map((effect) => element("li", {},
      element("span", {}, `${effect.certain ? "" : "perhaps "}${effect.what} `), element("code", {}, effect.resource), " ",
      ...effect.events.filter((id) => this.#byId.has(id)).map((id) =>
        this.#link(id, `→ ${[...new Set(this.#byId.get(id).attempts.map((each) => each.function))].join(", ")}`))));
    return element("article", {},
      element("h3", {}, `${attempt.function}, attempt ${attempt.attempt}: `, element("span", { className: tone(kind) }, attempt.outcome),
        attempt.duration_ms === null ? "" : ` in ${Math.round(attempt.duration_ms)} ms`, attempt.cold_start ? ", cold start" : ""),
      attempt.rounds ? element("p", { className: "bad" },
        `a loop: ${attempt.function} stands in the chain that led here, ${attempt.rounds} times or more`) : null,
      element("p", {}, [attempt.detail, attempt.consequence].filter(Boolean).join(" — ")),
      effects.length ? element("ul", { "aria-label": "Effects" }, ...effects) : null,
      attempt.effects_left_out ? element("p", { className: "quiet" }, `and ${attempt.effects_left_out} more effects`) : null,
      attempt.log.length ? element("pre", {}, attempt.log.join("\n")) : null);
  }
}

function rounds(event) {
  return Math.max(...event.attempts.map((attempt) => attempt.rounds));
}

// The last attempt of each function decides.
function outcome(event) {
  const last = new Map(event.attempts.map((attempt) => [attempt.function, attempt.outcome]));
  const seen = [...last.values()];
  if (seen.includes("running")) return "running";
  return seen.every((each) => each === "ok") ? "ok" : "failed";
}

function tone(word) {
  return { ok: "good", failed: "bad" }[word] ?? "quiet";
}
customElements.define("events-page", EventsPage);
