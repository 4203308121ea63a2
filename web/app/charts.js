// Charts that are read without colour: bars with their figures written on them, and a table behind each.
import { drawn, element, table } from "./element.js";
import { say } from "./texts.js";

const [WIDTH, ROW, LABEL, FIGURE] = [640, 24, 170, 130];

/**
 * Bars, one a row: `{ name, value, part, text }`. `part` is the share of the value that is hatched; `parts` names it.
 * `heads` and `cells(row)` are the table's.
 */
export function barChart(title, rows, { heads, cells, parts = "" }) {
  const most = Math.max(...rows.map((row) => row.value), Number.MIN_VALUE);
  const height = Math.max(1, rows.length) * ROW + 8;
  const chart = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title });
  const pattern = drawn("pattern", {
    id: "stripes",
    width: 6,
    height: 6,
    patternUnits: "userSpaceOnUse",
    patternTransform: "rotate(45)",
  });
  pattern.append(drawn("rect", { class: "bar", width: 2.5, height: 6 }));
  chart.append(drawn("defs", {}, pattern));
  rows.forEach((row, index) => {
    const y = index * ROW + 4;
    const length = Math.max(0, row.value / most) * (WIDTH - LABEL - FIGURE);
    const hatched = length * (row.part ?? 0);
    const name = drawn("text", { x: LABEL - 8, y: y + 15, "text-anchor": "end" });
    name.textContent = row.name.length > 24 ? `${row.name.slice(0, 23)}…` : row.name;
    const figure = drawn("text", { x: LABEL + length + 6, y: y + 15 });
    figure.textContent = row.text;
    chart.append(name, drawn("rect", { class: "bar", x: LABEL, y, width: length - hatched, height: ROW - 6 }));
    if (hatched)
      chart.append(drawn("rect", { class: "part", x: LABEL + length - hatched, y, width: hatched, height: ROW - 6 }));
    chart.append(figure);
  });
  chart.append(drawn("line", { class: "axis", x1: LABEL, x2: LABEL, y1: 0, y2: height }));
  return element(
    "figure",
    {},
    element("figcaption", {}, title),
    rows.length ? chart : element("p", { class: "quiet" }, say("chart.empty")),
    parts && rows.some((row) => row.part) ? element("p", { class: "quiet" }, parts) : "",
    element("details", {}, element("summary", {}, say("chart.table")), table(title, heads, rows.map(cells))),
  );
}
