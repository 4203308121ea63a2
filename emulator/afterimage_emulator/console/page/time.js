// The suite's clock, and the faults that are ordered.
import { ask } from "./api.js";
import { element } from "./elements.js";

export class TimePage extends HTMLElement {
  connectedCallback() {
    this.now = element("strong", { className: "code" });
    this.faults = element("tbody");
    this.said = element("p", { role: "status" });
    const seconds = element("input", { type: "number", min: 0, value: 3600, "aria-label": "Seconds to move forward" });
    const order = element("input", {
      size: 50, value: '{"action": "drop", "times": 1}', className: "code", "aria-label": "A fault as JSON",
    });
    const button = (text, act) => element("button", { type: "button", onclick: () => this.act(act) }, text);
    this.replaceChildren(
      element("h2", {}, "Clock"), element("p", {}, this.now),
      element("div", { className: "row" },
        button("Stop", () => ask("/control/clock", { method: "POST", body: { freeze: true } })),
        button("Let it run", () => ask("/control/clock", { method: "POST", body: { resume: true } })),
        seconds,
        button("Move forward", () =>
          ask("/control/clock", { method: "POST", body: { advance_seconds: Number(seconds.value) } }))),
      element("h2", {}, "Faults"),
      element("div", { className: "row" }, order,
        button("Order", () => ask("/control/faults", { method: "POST", body: JSON.parse(order.value) })),
        button("Take back all", () => ask("/control/faults", { method: "DELETE" }))),
      this.said,
      element("table", {}, element("thead", {}, element("tr", {},
        ...["fault", "struck", ""].map((text) => element("th", { scope: "col" }, text)))), this.faults),
    );
    this.stop = this.app.onChange("state", () => this.refresh());
    this.refresh();
  }

  disconnectedCallback() {
    this.stop();
  }

  async act(change) {
    try {
      await change();
      this.said.textContent = "";
    } catch (error) {
      this.said.textContent = error.message;
      this.said.className = "bad";
    }
    await this.app.load();
  }

  refresh() {
    const state = this.app.state;
    if (!state) return;
    const { now, frozen, offset_seconds: offset } = state.clock;
    const shifted = Math.abs(offset) > 1 ? `, ${Math.round(offset)} s from this machine's clock` : "";
    this.now.textContent = `${now} ${frozen ? "(stopped)" : "(running)"}${shifted}`;
    this.faults.replaceChildren(...state.faults.map((fault) => element("tr", {},
      element("td", { className: "code" }, summary(fault)), element("td", { className: "number" }, String(fault.struck ?? 0)),
      element("td", {}, element("button", {
        type: "button", onclick: () => this.act(() => ask(`/control/faults/${fault.id}`, { method: "DELETE" })),
      }, "Take back")))));
  }
}

function summary(fault) {
  const { id, struck, seen, ...rule } = fault;
  return JSON.stringify(rule);
}
customElements.define("time-page", TimePage);
