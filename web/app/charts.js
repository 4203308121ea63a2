// Charts that are read without colour: bars with their figures written on them, and a table behind each.
import { drawn, element, table } from "./element.js";
import { say } from "./texts.js";

const ROW = 24;
// On a narrow screen a drawing of the wide size would be shrunk until nobody could read it.
const NARROW = matchMedia("(max-width: 40rem)");

/** Calls `draw` where the screen becomes narrow or wide, such as a telephone that is turned; returns what ends it. */
export function onOtherWidth(draw) {
  NARROW.addEventListener("change", draw);
  return () => NARROW.removeEventListener("change", draw);
}

function pattern(id, attributes, ...marks) {
  return drawn("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", ...attributes }, ...marks);
}

/**
 * Bars, one a row: `{ name, value, parts, text }`. `parts` are the shares of the value that are dotted and hatched, beside
 * what is solid; the option `parts` says what they stand for.
 * `heads` and `cells(row)` are the table's.
 */
export function barChart(title, rows, { heads, cells, parts = "" }) {
  const [WIDTH, LABEL, FIGURE] = NARROW.matches ? [340, 110, 110] : [640, 170, 130];
  const longest = Math.floor(LABEL / 7.5);
  const most = Math.max(...rows.map((row) => row.value), Number.MIN_VALUE);
  const height = Math.max(1, rows.length) * ROW + 8;
  const chart = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title });
  chart.append(
    drawn(
      "defs",
      {},
      pattern("hatched", { patternTransform: "rotate(45)" }, drawn("rect", { class: "bar", width: 2.5, height: 6 })),
      pattern("dotted", {}, drawn("circle", { class: "bar", cx: 3, cy: 3, r: 1.4 })),
    ),
  );
  rows.forEach((row, index) => {
    const y = index * ROW + 4;
    const length = Math.max(0, row.value / most) * (WIDTH - LABEL - FIGURE);
    const looks = Object.entries(row.parts ?? {}).filter(([, share]) => share > 0);
    const solid = length * Math.max(0, 1 - looks.reduce((sum, [, share]) => sum + share, 0));
    const name = drawn("text", { x: LABEL - 8, y: y + 15, "text-anchor": "end" });
    name.textContent = row.name.length > longest ? `${row.name.slice(0, longest - 1)}…` : row.name;
    const figure = drawn("text", { x: LABEL + length + 6, y: y + 15 });
    figure.textContent = row.text;
    chart.append(name, drawn("rect", { class: "bar", x: LABEL, y, width: solid, height: ROW - 6 }));
    let from = LABEL + solid;
    for (const [look, share] of looks) {
      chart.append(drawn("rect", { class: `part ${look}`, x: from, y, width: length * share, height: ROW - 6 }));
      from += length * share;
    }
    chart.append(figure);
  });
  chart.append(drawn("line", { class: "axis", x1: LABEL, x2: LABEL, y1: 0, y2: height }));
  return element(
    "figure",
    {},
    element("figcaption", {}, title),
    rows.length ? chart : element("p", { class: "quiet" }, say("chart.empty")),
    parts && rows.some((row) => row.value) ? element("p", { class: "quiet" }, parts) : "",
    element("details", {}, element("summary", {}, say("chart.table")), table(title, heads, rows.map(cells))),
  );
}
