// Makes elements. Data goes in as text, so that nothing somebody stored ever becomes markup.

/** `element("p", { class: "note", onclick: act }, "text", child)`: attributes, listeners (`on…`), and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (PROPERTIES.has(key)) made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "srcObject", "open", "muted"]);

const SVG = "http://www.w3.org/2000/svg";

/** The same for drawings. */
export function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A button that does one thing; while that takes time it cannot be pressed again, and what goes wrong is told. */
export function button(text, act, { failed, ...attributes } = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-disabled") === "true") return;
    made.setAttribute("aria-disabled", "true");
    try {
      await act();
    } catch (error) {
      if (!failed) throw error;
      failed(error);
    } finally {
      made.removeAttribute("aria-disabled");
    }
  });
  return made;
}

/** A field with its label; `made.input` is the field. */
export function field(label, attributes = {}, kind = "input") {
  const input = element(kind, attributes);
  const made = element("label", { class: "field" }, element("span", {}, label), input);
  made.input = input;
  return made;
}

const REACHED_BY_KEYS = "a, button, input, select, summary, textarea, [tabindex]";

/** Shows new nodes in a place. Whoever is in it with the keyboard stays where they were: in the part of the same `data-part`. */
export function redraw(place, nodes) {
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  const part = held?.closest("[data-part]");
  const index = part ? [...part.querySelectorAll(REACHED_BY_KEYS)].indexOf(held) : -1;
  place.replaceChildren(...nodes);
  if (!held) return;
  const same = [...place.querySelectorAll("[data-part]")].find((one) => one.dataset.part === part?.dataset.part);
  const reached = [...(same ?? place).querySelectorAll(REACHED_BY_KEYS)];
  reached[Math.max(0, Math.min(index, reached.length - 1))]?.focus({ preventScroll: true });
}

/** A form that is opened by its title, so that what is there already stands first. */
export function folded(title, form) {
  return element("details", { class: "card" }, element("summary", {}, title), form);
}

/** A table with a header row; cells are text or nodes. A head is text, or text and the look of its column: `figure`, `moment` or `long`. */
export function table(caption, heads, rows) {
  const looks = heads.map((head) => (Array.isArray(head) ? head[1] : null));
  return element(
    "div",
    { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption },
    element(
      "table",
      {},
      element("caption", {}, caption),
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          heads.map((head, at) => element("th", { scope: "col", class: looks[at] }, Array.isArray(head) ? head[0] : head)),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          element(
            "tr",
            {},
            element("th", { scope: "row", class: looks[0] }, first),
            rest.map((cell, at) => element("td", { class: looks[at + 1] }, cell)),
          ),
        ),
      ),
    ),
  );
}
