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

/** A table with a header row; cells are text or nodes. */
export function table(caption, heads, rows) {
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
          heads.map((head) => element("th", { scope: "col" }, head)),
        ),
      ),
      element(
        "tbody",
        {},
        rows.map(([first, ...rest]) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, first),
            rest.map((cell) => element("td", {}, cell)),
          ),
        ),
      ),
    ),
  );
}
