// What runs functions: codebases with parameters and names of secrets, functions with their instances, queues of tasks.
import { ask, askService } from "./api.js";
import { clockTime, element, facts } from "./elements.js";
import "./virtual-list.js";

export class FunctionsPage extends HTMLElement {
  #items = [];

  connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "name or trigger", "aria-label": "Filter functions and queues", oninput: () => this.draw(),
    });
    this.count = element("span", { className: "quiet", role: "status" });
    this.said = element("p", { role: "status", className: "bad" });
    this.list = element("virtual-list", { className: "functions", "aria-label": "Functions, queues and codebases" });
    this.told = element("span", { role: "status" });
    this.list.addEventListener("choose", (event) => {
      this.told.textContent = "";
      this.show(event.detail);
    });
    this.detail = element("section", { "aria-label": "What was chosen", tabIndex: 0 },
      element("p", { className: "quiet" }, "Choose a function, a queue or a codebase."));
    this.replaceChildren(element("div", { className: "stack" },
      element("div", { className: "row" }, this.filter, this.count), this.said, this.list), this.detail);
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
    try {
      const { codebases, queues } = await ask("/control/functions");
      this.#items = [
        ...codebases.flatMap((codebase) => codebase.functions.map((each) => ({ kind: "function", ...each }))),
        ...queues.map((queue) => ({ kind: "queue", ...queue })),
        ...codebases.map((codebase) => ({ kind: "codebase", ...codebase })),
      ];
    } catch (error) {
      this.said.textContent = error.message;
      return;
    }
    this.draw();
    const chosen = this.list.selected;
    if (chosen && this.shown !== JSON.stringify(chosen)) this.show(chosen);
  }

  draw() {
    const wanted = this.filter.value.toLowerCase();
    const items = this.#items.filter((item) => `${item.name} ${item.kind} ${item.trigger ?? ""}`.toLowerCase().includes(wanted));
    this.count.textContent = `${items.length} of ${this.#items.length}`;
    this.list.show(items, {
      key: (item) => `${item.kind} ${item.name}`,
      fill: (item) => [
        element("span", { className: item.error || item.not_run?.length ? "code bad" : "code" }, short(item)),
        element("span", { className: "quiet" }, item.kind === "function" ? item.trigger[0] : item.kind),
        element("span", { className: "quiet" }, state(item)),
      ],
    });
  }

  show(item) {
    if (item === null) return;
    this.shown = JSON.stringify(item);
    const said = this.told;  // stays when the rest is drawn anew
    const button = (text, act, done) => element("button", { type: "button", onclick: async () => {
      try {
        await act();
        said.className = "";
        said.textContent = done;
      } catch (error) {
        said.className = "bad";
        said.textContent = error.message;
      }
      await this.refresh();
    } }, text);
    const about = { function: aboutFunction, queue: aboutQueue, codebase: aboutCodebase }[item.kind];
    const focused = this.detail.contains(document.activeElement) ? document.activeElement.textContent : null;
    this.detail.replaceChildren(element("h2", { className: "code" }, short(item)), ...about(item, button, said));
    // What is drawn anew under the keyboard keeps it.
    if (focused !== null) [...this.detail.querySelectorAll("button")].find((one) => one.textContent === focused)?.focus();
  }
}

function short(item) {
  return item.kind === "queue" ? item.name.split("/").at(-1) : item.name;
}

function state(item) {
  if (item.kind === "queue") return `${item.waiting} waiting`;
  if (item.kind === "codebase") return item.error ? "does not load" : item.runtime;
  if (item.schedule) return item.schedule.due ? `due ${clockTime(item.schedule.due)}` : "by hand";
  const busy = item.instances.reduce((sum, instance) => sum + instance.in_flight, 0) + item.waiting;
  const count = item.instances.length;
  return busy ? `${busy} at work` : count === 1 ? "1 instance" : `${count} instances`;
}

function aboutFunction(item, button, said) {
  const { schedule } = item;
  return [
    element("div", { className: "row" },
      schedule ? button("Run now", () => ask(`/control/schedules/${encodeURIComponent(item.name)}:run`, { method: "POST" }), "sent")
        : null,
      said),
    facts([
      ["trigger", item.trigger.join(": ")], ["regions", item.regions.join(", ")],
      ["runs next", schedule && (schedule.due ? new Date(schedule.due).toISOString() : "by hand only")],
      ["memory", `${item.memory_mib} MiB an instance`], ["timeout", `${item.timeout_seconds} s`],
      ["concurrency", `${item.concurrency} requests an instance`],
      ["instances", `${item.instances.length} of ${item.instance_limit} here, ${item.max_instances ?? "any number"} when deployed`],
      ["waiting for one", String(item.waiting)], ["cold starts", String(item.cold_starts)],
      ["secrets", item.secrets.join(", ")],
    ]),
    table("Instances", ["at work on", "memory", ""], item.instances.map((instance) => [
      `${instance.in_flight} requests`, instance.memory_bytes === null ? "unknown" : `${Math.round(instance.memory_bytes / 2 ** 20)} MiB`,
      instance.retired ? "takes no more" : "",
    ])),
  ];
}

function aboutQueue(item, button, said) {
  const order = (name, verb) => () => askService("tasks", `/v2/${name}:${verb}`, { method: "POST", body: {} });
  const paused = item.state === "PAUSED";
  return [
    element("p", { className: "quiet code" }, item.name),
    element("div", { className: "row" },
      button(paused ? "Resume" : "Pause", order(item.name, paused ? "resume" : "pause"), paused ? "resumed" : "paused"), said),
    facts([["state", item.state.toLowerCase()], ["waiting", String(item.waiting)],
      ["at once", String(item.max_concurrent_dispatches)], ["a second", String(item.max_dispatches_per_second)]]),
    table("Tasks by due time", ["task", "due", "attempts", ""], item.tasks.map((task) => [
      task.name.split("/").at(-1), new Date(task.due).toISOString(), String(task.attempts),
      task.under_way ? "under way" : button("Run now", order(task.name, "run"), "sent"),
    ])),
  ];
}

function aboutCodebase(item) {
  return [
    facts([["source", item.source], ["runtime", item.runtime], ["starts fresh processes, as", item.unforkable]]),
    item.error ? element("pre", { className: "bad" }, item.error) : null,
    item.not_run.length ? element("ul", {}, ...item.not_run.map((text) => element("li", { className: "bad" }, text))) : null,
    table("Parameters", ["name", "type", "value"], item.parameters.map((each) => [
      each.name, each.type, `${JSON.stringify(each.value)}${each.given ? "" : " (default)"}`])),
    table("Secrets", ["name", "value", "seen by"], item.secrets.map((each) => [
      each.name, each.has_value ? "given" : "missing", each.functions.join(", ")])),
  ].filter(Boolean);
}

function table(title, heads, rows) {
  if (!rows.length) return element("p", { className: "quiet" }, `${title}: none`);
  return element("table", {}, element("caption", {}, title),
    element("thead", {}, element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", { className: "code" }, cell))))));
}
customElements.define("functions-page", FunctionsPage);
