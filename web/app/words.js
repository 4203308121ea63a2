// Which words differ between two lines: marked where they stand, deleted and inserted.
import { element } from "./element.js";

const MOST_WORDS = 400;

/** Two lists of nodes: the line before with `<del>`, the line after with `<ins>`. */
export function markedWords(before, after) {
  const [left, right] = [wordsOf(before), wordsOf(after)];
  if (left.length > MOST_WORDS || right.length > MOST_WORDS) {
    return [[element("del", {}, before)], [element("ins", {}, after)]];
  }
  const kept = commonWords(left, right);
  return [
    marked(
      left,
      kept.map(([index]) => index),
      "del",
    ),
    marked(
      right,
      kept.map(([, index]) => index),
      "ins",
    ),
  ];
}

function wordsOf(line) {
  return line.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];
}

/** The longest common subsequence, as pairs of places. */
function commonWords(left, right) {
  const lengths = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      lengths[i][j] = left[i] === right[j] ? lengths[i + 1][j + 1] + 1 : Math.max(lengths[i + 1][j], lengths[i][j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < left.length && j < right.length;) {
    if (left[i] === right[j]) pairs.push([i++, j++]);
    else if (lengths[i + 1][j] >= lengths[i][j + 1]) i++;
    else j++;
  }
  return pairs;
}

function marked(words, kept, name) {
  const same = new Set(kept);
  const nodes = [];
  words.forEach((word, index) => {
    const isSame = same.has(index);
    const last = nodes.at(-1);
    if (last && last.isSame === isSame) last.text += word;
    else nodes.push({ isSame, text: word });
  });
  return nodes.map(({ isSame, text }) => (isSame ? text : element(name, {}, text)));
}
