// Two versions of a file beside each other, as the API compares them: text, JSON, pictures, or sizes alone.
import { element, table } from "./element.js";
import { bytesChanged, number, percent, say, sayCount } from "./texts.js";
import { markedWords } from "./words.js";

/** `differences` is the API's; `addresses` are those of both versions, for pictures. */
export function shownComparison(differences, addresses) {
  const size = differences.size_change_bytes;
  const made = element(
    "div",
    {},
    element("p", {}, say("compare.size", { size: bytesChanged(size) })),
  );
  const shown = { text: texts, json: values, picture: pictures, same: () => element("p", {}, say("compare.same")) };
  const draw = shown[differences.kind] ?? (() => element("p", {}, differences.why_no_more ?? say("compare.by.size")));
  made.append(draw(differences, addresses));
  if (differences.is_cut) made.append(element("p", { class: "quiet" }, say("compare.cut")));
  return made;
}

function texts({ side_by_side: rows, lines_added: added, lines_removed: removed, differs_only_at_line_ends: ends }) {
  if (ends) return element("p", {}, say("compare.line.ends"));
  const line = (side, nodes) => [side ? String(side.line) : "", element("pre", {}, nodes ?? (side ? side.text : ""))];
  const body = rows.map(({ what, left, right }) => {
    if (what === "skipped") return ["", "⋯", "", "⋯"];
    if (what === "changed") {
      const [before, after] = markedWords(left.text, right.text);
      return [...line(left, before), ...line(right, after)];
    }
    const mark = (side, name) => (side && what !== "same" ? [element(name, {}, side.text)] : null);
    return [...line(left, mark(left, "del")), ...line(right, mark(right, "ins"))];
  });
  const counts = `${sayCount("compare.came", added)}, ${sayCount("compare.went", removed)}`;
  return table(counts, [say("line"), say("before"), say("line"), say("after")], body);
}

function values({ changes }) {
  const shown = (change, side) => (side in change ? element("code", {}, JSON.stringify(change[side])) : "–");
  const mark = (what, node, name) => (what === "same" ? node : element(name, {}, node));
  const rows = changes.map((change) => [
    element("code", {}, change.path || "/"),
    say(`json.${change.what}`),
    mark(change.what, shown(change, "before"), "del"),
    mark(change.what, shown(change, "after"), "ins"),
  ]);
  return table(say("compare.values"), [say("path"), say("change"), say("before"), say("after")], rows);
}

function pictures(differences, [before, after]) {
  const [width, height] = [Math.max(...differences.width), Math.max(...differences.height)];
  const images = element(
    "div",
    { class: "slider" },
    element("img", { src: before, alt: say("before") }),
    element("img", { src: after, alt: say("after"), class: "after" }),
    element("span", { class: "edge", "aria-hidden": "true" }),
  );
  images.style.setProperty("--shape", `${width} / ${height}`);
  const cut = element("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": say("compare.slide") });
  cut.addEventListener("input", () => images.style.setProperty("--cut", `${cut.value}%`));
  const sizes = differences.width.map((each, index) => `${number(each)} × ${number(differences.height[index])}`);
  return element(
    "div",
    { class: "sides" },
    element("div", {}, images, cut, element("p", { class: "quiet" }, say("compare.slide.how"))),
    element(
      "figure",
      {},
      element("img", {
        src: `data:image/png;base64,${differences.difference_png}`,
        alt: say("compare.where"),
        width: differences.compared_at[0],
        height: differences.compared_at[1],
        class: "difference",
      }),
      element("figcaption", {}, say("compare.share", { share: percent(differences.changed_share) })),
      differences.has_same_size ? "" : element("p", {}, say("compare.sizes", { one: sizes[0], other: sizes[1] })),
    ),
  );
}
