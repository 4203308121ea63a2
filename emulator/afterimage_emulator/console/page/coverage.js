// Which parts of the rules were ever evaluated, and how often, as a map of heat over their text.
import { ask } from "./api.js";
import { element } from "./elements.js";
import { CharacterPlaces } from "./rules-text.js";

const STEPS = 5;

export class CoveragePage extends HTMLElement {
  connectedCallback() {
    this.className = "stack browser";
    this.which = element("select", { "aria-label": "Rules", onchange: () => this.draw() });
    this.figures = element("span", { className: "quiet", role: "status" });
    this.said = element("p", { className: "bad", role: "status" });
    this.map = element("div", { className: "split" });
    this.replaceChildren(
      element("div", { className: "row" }, this.which, element("button", { type: "button", onclick: () => this.load() }, "Count again"),
        this.figures), this.said, this.map);
    this.load();
  }

  focusFilter() {
    this.which.focus();
  }

  async load() {
    try {
      this.rules = (await ask("/control/coverage")).rules;
    } catch (error) {
      this.said.textContent = error.message;
      return;
    }
    const chosen = this.which.value;
    const names = this.rules.map(({ service, place, file }) => `${service}, ${place}: ${file}`);
    this.which.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    if (names.includes(chosen)) this.which.value = chosen;
    this.said.textContent = names.length ? "" : "no rules are loaded: everything is allowed to everybody";
    this.draw();
  }

  draw() {
    const rules = this.rules[this.which.selectedIndex];
    if (!rules) return;
    this.figures.textContent = `expressions ${rules.percent.toFixed(1)} %, branches ${rules.branch_percent.toFixed(1)} %`;
    const source = element("div", { className: "source code", tabIndex: 0, role: "group", "aria-label": "Rules by heat" }, ...heated(rules));
    const never = rules.expressions.filter(({ values, missing }) => missing.length || !Object.keys(values).length);
    const places = new CharacterPlaces(rules.text);
    const items = never.map((each) => element("li", {}, element("button", {
      type: "button", className: "link code",
      onclick: () => source.querySelector(`[data-line="${each.line}"]`)?.scrollIntoView({ block: "center" }),
    }, `line ${each.line}: never ${Object.keys(each.values).length ? each.missing.join(" or ") : "evaluated"}: ${
      places.slice(each.start, each.end).replace(/\s+/g, " ").slice(0, 80)}`)));
    this.map.replaceChildren(source, element("section", { "aria-label": "What was never so", tabIndex: 0 },
      items.length ? element("ul", {}, ...items) : element("p", { className: "good" }, "every branch was taken")));
  }
}

// Each line, cut where an expression begins or ends; the innermost expression gives a piece its heat.
function heated({ text, expressions }) {
  const places = new CharacterPlaces(text);
  const most = Math.max(1, ...expressions.map(count));
  const sorted = expressions.map((each) => ({ ...each, start: places.unit(each.start), end: places.unit(each.end) }));
  const pieces = [];
  const open = [];
  let at = 0;
  const until = (end) => {
    while (open.length && open.at(-1).end <= end) {
      const inner = open.pop();
      piece(inner.end, inner);
    }
    piece(end, open.at(-1));
  };
  const piece = (end, expression) => {
    if (end > at) pieces.push({ text: text.slice(at, end), expression });
    at = Math.max(at, end);
  };
  for (const expression of sorted) {
    until(expression.start);
    open.push(expression);
  }
  until(text.length);
  const lines = [[]];
  for (const { text: part, expression } of pieces) {
    part.split("\n").forEach((words, index) => {
      if (index) lines.push([]);
      if (words) lines.at(-1).push(expression ? told(words, expression, most) : words);
    });
  }
  return lines.map((parts, index) => element("div", { className: "line", "data-line": String(index + 1) },
    element("span", {}, String(index + 1)), element("span", {}, ...(parts.length ? parts : [" "]))));
}

function told(words, expression, most) {
  const times = count(expression);
  const step = times ? Math.max(1, Math.ceil((Math.log(times + 1) / Math.log(most + 1)) * STEPS)) : 0;
  const values = Object.entries(expression.values).map(([value, number]) => `${value} ${number}×`).join(", ");
  return element("span", {
    className: `heat-${step}${times && expression.missing.length ? " partly" : ""}`,
    title: times ? `${values}${expression.missing.length ? `; never ${expression.missing.join(" or ")}` : ""}` : "never evaluated",
  }, words);
}

function count({ values }) {
  return Object.values(values).reduce((sum, number) => sum + number, 0);
}
customElements.define("coverage-page", CoveragePage);
