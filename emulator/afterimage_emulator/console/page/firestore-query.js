// The query over a collection's documents: conditions, an order, a limit.
import { element } from "./elements.js";
import { OPERATORS, structured } from "./firestore-api.js";
import { TYPES, read } from "./firestore-values.js";

const LISTS = new Set(["in", "not in", "contains any"]);

export class FirestoreQuery extends HTMLElement {
  connectedCallback() {
    this.conditions = element("div");
    this.order = element("input", { size: 14, className: "code", placeholder: "field", "aria-label": "Order by" });
    this.descending = element("input", { type: "checkbox" });
    this.limit = element("input", { type: "number", min: 1, "aria-label": "At most so many documents" });
    this.group = element("input", { type: "checkbox" });
    const form = element("form", { onsubmit: (event) => {
      event.preventDefault();
      this.dispatchEvent(new Event("ask"));
    } }, this.conditions,
    element("div", { className: "row" }, element("button", { type: "button", onclick: () => this.add() }, "Add condition")),
    element("div", { className: "row" }, element("label", {}, "order by ", this.order),
      element("label", {}, this.descending, " descending")),
    element("div", { className: "row" }, element("label", {}, "limit ", this.limit),
      element("label", {}, this.group, " all collections of this name")),
    element("div", { className: "row" }, element("button", {}, "Ask"),
      element("button", { type: "button", onclick: () => this.clear() }, "Show all")));
    this.replaceChildren(element("details", {}, element("summary", {}, "Query"), form));
  }

  add() {
    const select = (label, names) => element("select", { "aria-label": label },
      ...names.map((name) => element("option", { value: name }, name)));
    const row = element("div", { className: "row condition" });
    row.field = element("input", { size: 12, className: "code", placeholder: "field", "aria-label": "Field" });
    row.operator = select("Comparison", Object.keys(OPERATORS));
    row.type = select("Type of the value", TYPES);
    row.text = element("input", { size: 14, className: "code", placeholder: "value", "aria-label": "Value" });
    row.operator.addEventListener("change", () => {
      if (LISTS.has(row.operator.value)) row.type.value = "array";
    });
    const remove = element("button", { type: "button", "aria-label": "Remove condition", onclick: () => row.remove() }, "×");
    row.replaceChildren(row.field, row.operator, row.type, row.text, remove);
    this.conditions.append(row);
  }

  clear() {
    this.reset();
    this.dispatchEvent(new Event("ask"));
  }

  reset() {
    this.conditions.replaceChildren();
    this.order.value = "";
    this.limit.value = "";
    this.descending.checked = false;
    this.group.checked = false;
  }

  // The query, as REST has it, whether it is more than "everything", and its limit; throws where a value cannot be read.
  read(collection, documents) {
    const given = [...this.conditions.children].filter((row) => row.field.value.trim());
    const conditions = given.map((row) => ({
      field: row.field.value, operator: row.operator.value, value: read(row.type.value, row.text.value, documents),
    }));
    const orders = this.order.value.trim() || this.descending.checked
      ? [{ field: this.order.value.trim() || "__name__", descending: this.descending.checked }] : [];
    const limit = Number(this.limit.value) || null;
    return {
      query: structured({ collection, group: this.group.checked, conditions, orders }), limit, group: this.group.checked,
      isAll: !conditions.length && !orders.length && !limit && !this.group.checked,
    };
  }
}
customElements.define("firestore-query", FirestoreQuery);
