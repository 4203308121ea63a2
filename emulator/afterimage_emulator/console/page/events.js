// What functions and tasks' targets were sent: each event with its deliveries, their attempts, and what they printed.
import { ask } from "./api.js";
import { clockTime, element } from "./elements.js";
import "./virtual-list.js";

export class EventsPage extends HTMLElement {
  #events = [];

  connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "function, type or id", "aria-label": "Filter events", oninput: () => this.draw(),
    });
    this.failed = element("input", { type: "checkbox", onchange: () => this.draw() });
    this.count = element("span", { className: "quiet", role: "status" });
    this.list = element("virtual-list", { "aria-label": "Events, the newest first" });
    this.detail = element("section", { "aria-label": "The chosen event", tabIndex: 0 },
      element("p", { className: "quiet" }, "What functions are sent appears here, with every attempt."));
    this.replaceChildren(
      element("div", { className: "stack" },
        element("div", { className: "row" }, this.filter, element("label", {}, this.failed, " failed"), this.count),
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
      const found = byId.get(attempt.id) ?? { id: attempt.id, type: attempt.type, time: attempt.time, attempts: [] };
      found.attempts.push(attempt);
      byId.set(attempt.id, found);
    }
    this.#events = [...byId.values()].reverse();
    this.draw();
    const chosen = this.list.selected;
    // What is being read stays as it is, unless there is news.
    if (chosen && this.shown !== JSON.stringify(chosen)) this.show(chosen);
  }

  draw() {
    const wanted = this.filter.value.toLowerCase();
    const items = this.#events.filter((event) =>
      (!this.failed.checked || outcome(event) === "failed") &&
      `${event.id} ${event.type} ${event.attempts.map((attempt) => attempt.function).join(" ")}`.toLowerCase().includes(wanted));
    this.count.textContent = `${items.length} of ${this.#events.length}`;
    this.list.show(items, {
      key: (event) => event.id,
      fill: (event) => [
        element("span", { className: tone(outcome(event)) }, outcome(event)),
        element("span", {}, `${event.attempts.length}×`),
        element("span", { className: "code" }, [...new Set(event.attempts.map((attempt) => attempt.function))].join(", ")),
        element("span", { className: "quiet" }, clockTime(event.time)),
      ],
    });
  }

  show(event) {
    if (event === null) return;
    this.shown = JSON.stringify(event);
    const said = element("span", { role: "status" });
    const replay = element("button", { type: "button", onclick: async () => {
      try {
        const { deliveries } = await ask(`/control/events/${encodeURIComponent(event.id)}:replay`, { method: "POST" });
        said.textContent = deliveries ? `sent again to ${deliveries}` : "it is not kept any more";
      } catch (error) {
        said.textContent = error.message;
      }
      await this.app.load();
    } }, "Send again");
    this.detail.replaceChildren(
      element("h2", {}, event.type), element("p", { className: "quiet code" }, event.id),
      element("div", { className: "row" }, replay, said),
      ...event.attempts.map((attempt) => element("article", {},
        element("h3", {}, `${attempt.function}, attempt ${attempt.attempt}: `,
          element("span", { className: tone(attempt.outcome === "ok" ? "ok" : attempt.outcome === "running" ? "running" : "failed") },
            attempt.outcome),
          attempt.duration_ms === null ? "" : ` in ${Math.round(attempt.duration_ms)} ms`),
        element("p", {}, [attempt.detail, attempt.consequence].filter(Boolean).join(" — ")),
        attempt.log.length ? element("pre", {}, attempt.log.join("\n")) : null)),
    );
  }
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
