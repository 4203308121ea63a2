// What runs, where, and what is amiss.
import { element } from "./elements.js";

export class OverviewPage extends HTMLElement {
  connectedCallback() {
    this.stop = this.app.onChange("state", () => this.refresh());
    this.refresh();
  }

  disconnectedCallback() {
    this.stop();
  }

  refresh() {
    const state = this.app.state;
    if (!state) return;
    const rows = state.services.map(({ name, address, requests }) => element("tr", {},
      element("th", { scope: "row" }, name), element("td", { className: "code" }, address),
      element("td", { className: "number" }, String(requests))));
    const notices = [
      ...state.errors.map((text) => element("li", { className: "bad" }, text)),
      ...state.warnings.map((text) => element("li", {}, text)),
    ];
    const busy = Object.entries(state.under_way).map(([name, count]) => `${name} ${count}`).join(", ");
    this.replaceChildren(
      element("h2", {}, "Services"),
      element("table", {}, element("thead", {}, element("tr", {},
        ...["service", "address", "requests"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, ...rows)),
      ...(notices.length ? [element("h3", {}, "Warnings"), element("ul", {}, ...notices)] : []),
      element("h3", {}, "Functions"),
      state.functions.length ? element("pre", {}, state.functions.join("\n"))
        : element("p", { className: "quiet" }, "none"),
      element("p", { className: "quiet" },
        `${state.attempts.kept} attempts on record, ${state.attempts.failed} failed; under way: ${busy || "nothing"}`),
    );
  }
}
customElements.define("overview-page", OverviewPage);
