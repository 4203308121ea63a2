// What the suite serves, refuses and does in another way than production, from its own tables.
import { ask } from "./api.js";
import { element } from "./elements.js";
import "./virtual-list.js";

const TONES = { served: "good", refused: "bad", different: "quiet" };

export class CapabilitiesPage extends HTMLElement {
  #items = [];

  async connectedCallback() {
    this.className = "split";
    this.filter = element("input", {
      type: "search", placeholder: "service, operation or reason", "aria-label": "Filter operations", oninput: () => this.draw(),
    });
    this.only = element("select", { "aria-label": "State", onchange: () => this.draw() },
      ...["all", ...Object.keys(TONES)].map((state) => element("option", { value: state }, state)));
    this.count = element("span", { className: "quiet", role: "status" });
    this.list = element("virtual-list", { "aria-label": "Operations" });
    this.detail = element("section", { "aria-label": "The chosen operation", tabIndex: 0 },
      element("p", { className: "quiet" }, "Choose an operation."));
    this.list.addEventListener("choose", ({ detail }) => this.detail.replaceChildren(
      element("h2", { className: "code" }, detail.operation),
      element("p", {}, `${detail.service}, ${detail.wire}: `, element("span", { className: TONES[detail.state] }, detail.state)),
      element("p", {}, detail.note ?? "")));
    this.replaceChildren(element("div", { className: "stack" },
      element("div", { className: "row" }, this.filter, this.only, this.count), this.list), this.detail);
    try {
      const { services } = await ask("/control/capabilities");
      this.#items = Object.entries(services).flatMap(([service, operations]) =>
        operations.map((each, index) => ({ id: `${service} ${index}`, service, ...each })));
    } catch (error) {
      this.count.textContent = error.message;
    }
    this.draw();
  }

  focusFilter() {
    this.filter.focus();
  }

  draw() {
    const wanted = this.filter.value.toLowerCase();
    const items = this.#items.filter((item) => (this.only.value === "all" || item.state === this.only.value) &&
      `${item.service} ${item.wire} ${item.operation} ${item.note ?? ""}`.toLowerCase().includes(wanted));
    this.count.textContent = `${items.length} of ${this.#items.length}`;
    this.list.show(items, {
      key: (item) => item.id,
      fill: (item) => [element("span", { className: TONES[item.state] }, item.state), element("span", {}, item.service),
        element("span", { className: "code" }, item.operation), element("span", { className: "quiet" }, item.wire)],
    });
  }
}
customElements.define("capabilities-page", CapabilitiesPage);
