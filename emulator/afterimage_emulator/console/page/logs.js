// What the suite says, as it says it.
import { element } from "./elements.js";

export class LogsPage extends HTMLElement {
  connectedCallback() {
    this.className = "stack";
    this.filter = element("input", {
      type: "search", placeholder: "text or source", "aria-label": "Filter the log", oninput: () => this.refresh(),
    });
    this.level = element("select", { "aria-label": "Level", onchange: () => this.refresh() },
      element("option", { value: "" }, "all"), element("option", { value: "WARNING" }, "warnings and errors"),
      element("option", { value: "ERROR" }, "errors"));
    this.lines = element("ol", { className: "log code", "aria-label": "Log" });
    this.replaceChildren(element("div", { className: "row" }, this.filter, this.level), this.lines);
    this.stop = this.app.onChange("logs", () => this.refresh());
    this.refresh();
  }

  disconnectedCallback() {
    this.stop();
  }

  focusFilter() {
    this.filter.focus();
  }

  refresh() {
    const wanted = this.filter.value.toLowerCase();
    const grave = { "": null, WARNING: ["WARNING", "ERROR", "CRITICAL"], ERROR: ["ERROR", "CRITICAL"] }[this.level.value];
    const shown = this.app.logs.filter((line) => (!grave || grave.includes(line.level)) && `${line.source} ${line.text}`.toLowerCase().includes(wanted)).slice(-300);
    this.lines.replaceChildren(...shown.reverse().map((line) => element("li", {
      className: { CRITICAL: "bad", ERROR: "bad", WARNING: "bad" }[line.level] ?? "",
    }, element("span", { className: "quiet" }, new Date(line.time * 1000).toLocaleTimeString([], { hour12: false })),
    element("span", {}, line.source), element("pre", {}, line.text))));
  }
}
customElements.define("logs-page", LogsPage);
