// Requests that rules judged: by which `allow`, what each part of the condition was, and the request as a case.
import { ask } from "./api.js";
import { clockTime, element } from "./elements.js";
import { CharacterPlaces } from "./rules-text.js";
import "./virtual-list.js";

const sources = new Map();

async function rulesText(digest) {
  if (!sources.has(digest)) sources.set(digest, await ask(`/control/rules/${digest}`));
  return sources.get(digest);
}

export class RequestsPage extends HTMLElement {
  connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "path, user or method", "aria-label": "Filter requests", oninput: () => this.refresh(),
    });
    this.only = element("select", { "aria-label": "Verdict", onchange: () => this.refresh() },
      element("option", { value: "" }, "all"), element("option", { value: "denied" }, "denied"),
      element("option", { value: "allowed" }, "allowed"));
    this.count = element("span", { className: "quiet", role: "status" });
    this.list = element("virtual-list", { "aria-label": "Requests that rules judged" });
    this.detail = element("section", { "aria-label": "The chosen request", tabIndex: 0 },
      element("p", { className: "quiet" }, "Requests of users appear here as the rules judge them. Administrators are never asked."));
    this.replaceChildren(
      element("div", { className: "stack" },
        element("div", { className: "row" }, this.filter, this.only, this.count), this.list), this.detail);
    this.list.addEventListener("choose", (event) => this.show(event.detail));
    this.stop = this.app.onChange("requests", () => this.refresh());
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
    const verdict = this.only.value;
    const items = this.app.requests.filter((one) =>
      (!verdict || one.allowed === (verdict === "allowed")) &&
      (!wanted || `${one.method} ${one.path} ${one.uid ?? "nobody"}`.toLowerCase().includes(wanted)));
    this.count.textContent = `${items.length} of ${this.app.requests.length}`;
    this.list.show(items, {
      key: (one) => one.id,
      fill: (one) => [
        element("span", { className: one.allowed ? "good" : "bad" }, one.allowed ? "allowed" : "denied"),
        element("span", {}, one.method), element("span", { className: "code" }, one.path),
        element("span", { className: "quiet" }, `${one.uid ?? "nobody"} ${clockTime(one.time)}`),
      ],
    });
  }

  async show(one) {
    if (one === null) return;
    const verdict = one.allowed ? `allowed by line ${one.allow.line}` : "denied";
    const title = element("h2", {},
      element("span", { className: one.allowed ? "good" : "bad" }, verdict), ` ${one.method} `,
      element("code", {}, one.path));
    const about = element("p", { className: "quiet" },
      `${one.service} ${one.place}, by ${one.uid ?? "nobody"}, ${new Date(one.time).toLocaleString()}`);
    this.detail.replaceChildren(title, about, ...this.words(one), this.caseOf(one));
    try {
      const rules = await rulesText(one.rules);
      this.detail.append(element("h3", {}, rules.file), annotated(rules.text, one));
    } catch (error) {
      this.detail.append(element("p", { className: "bad" }, error.message));
    }
  }

  words(one) {
    const said = one.message.trim();
    const found = said ? [element("pre", {}, said)] : [];
    const { tried, covering } = one.explanation;
    if (!one.allowed && tried.length === 0) {
      found.push(element("p", {}, covering.length ? "No match block that covers this path allows the method:"
        : "No match block covers this path."));
      found.push(element("ul", {}, ...covering.map((each) => element("li", { className: "code" }, each))));
    }
    return found;
  }

  caseOf(one) {
    const made = element("details", {}, element("summary", {}, "As a case for afterimage-emulator rules test"));
    if (one.case.unwritable) {
      made.append(element("p", { className: "quiet" }, `This request is no case: ${one.case.unwritable}.`));
      return made;
    }
    const said = element("span", { role: "status", className: "quiet" });
    const copy = element("button", { type: "button", onclick: async () => {
      await navigator.clipboard.writeText(one.case.yaml);
      said.textContent = "copied";
    } }, "Copy");
    made.append(element("div", { className: "row" }, copy, said), element("pre", { className: "yaml" }, one.case.yaml));
    return made;
  }
}

// The rules' text; below each line of an `allow` that was tried, its parts with their values.
function annotated(text, one) {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  const lineOf = (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const places = new CharacterPlaces(text);
  const place = (offset) => places.unit(offset);
  const values = new Map();
  for (const { start, end, values: seen } of one.values) {
    const line = lineOf(place(start));
    if (!values.has(line)) values.set(line, []);
    values.get(line).push([text.slice(place(start), place(end)).replace(/\s+/g, " "), seen]);
  }
  const tried = new Set(one.explanation.tried.map((each) => each.line - 1));
  const lines = text.split("\n").map((line, index) => {
    const row = element("div", { className: tried.has(index) ? "line tried" : "line" },
      element("span", {}, String(index + 1)), element("span", {}, line || " "));
    if (!values.has(index)) return [row];
    return [row, element("dl", { "aria-label": `Values in line ${index + 1}` }, ...values.get(index).flatMap(
      ([part, seen]) => [element("dt", {}, part), element("dd", { className: tone(seen) }, seen.join(" · "))]))];
  });
  const made = element("div", { className: "source code" }, ...lines.flat());
  queueMicrotask(() => made.querySelector(".tried")?.scrollIntoView({ block: "nearest" }));
  return made;
}

function tone(seen) {
  if (seen.every((value) => value === "true")) return "good";
  return seen.some((value) => value === "false" || value.startsWith("an error")) ? "bad" : "";
}
customElements.define("requests-page", RequestsPage);
