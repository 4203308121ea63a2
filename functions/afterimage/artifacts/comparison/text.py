"""Two texts beside each other: a unified diff, and rows for two columns, each within bounds that are said. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage.artifacts.comparison.lines import LineMatcher, Same

CONTEXT: Final = 3
MOST_ROWS: Final = 2_000
LINE_SHOWN: Final = 500
"""Characters of a line that are shown; a picture written as text may be one line of a megabyte."""


@dataclass(frozen=True, slots=True)
class _Block:
    """What stands on both sides: the same lines, or lines that replace each other."""

    is_same: bool
    left: int
    left_count: int
    right: int
    right_count: int


def compared_texts(left: str, right: str) -> dict[str, Any]:
    """What differs, as `unified` text and as `side_by_side` rows."""
    before, after = left.splitlines(), right.splitlines()
    matcher = LineMatcher(left=before, right=after)
    blocks = list(_blocks(matcher.matches(), len(before), len(after)))
    changed = [block for block in blocks if not block.is_same]
    unified = list(_unified(blocks, before, after))
    rows = list(_rows(blocks, before, after))
    return {
        "kind": "text",
        "lines_added": sum(block.right_count for block in changed),
        "lines_removed": sum(block.left_count for block in changed),
        "unified": "\n".join(unified[:MOST_ROWS]),
        "side_by_side": rows[:MOST_ROWS],
        "is_shortest": matcher.is_shortest,
        "is_cut": max(len(unified), len(rows)) > MOST_ROWS or any(len(line) > LINE_SHOWN for line in before + after),
        "differs_only_at_line_ends": not changed and left != right,
    }


def _blocks(matches: Sequence[Same], lefts: int, rights: int) -> Iterator[_Block]:
    left = right = 0
    for same in [*matches, Same(lefts, rights, 0)]:
        if (left, right) != (same.left, same.right):
            yield _Block(False, left, same.left - left, right, same.right - right)
        if same.count:
            yield _Block(True, same.left, same.count, same.right, same.count)
        left, right = same.left + same.count, same.right + same.count


def _hunks(blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
    """Changes with the lines around them; what is the same over a longer stretch is left out."""
    hunk: list[_Block] = []
    for number, block in enumerate(blocks):
        if not block.is_same:
            hunk.append(block)
            continue
        is_last = number == len(blocks) - 1
        if hunk and not is_last and block.left_count <= 2 * CONTEXT:
            hunk.append(block)
            continue
        if hunk:
            count = min(CONTEXT, block.left_count)
            yield [*hunk, _Block(True, block.left, count, block.right, count)]
            hunk = []
        if not is_last:
            count = min(CONTEXT, block.left_count)
            skipped = block.left_count - count
            hunk = [_Block(True, block.left + skipped, count, block.right + skipped, count)]
    if any(not block.is_same for block in hunk):
        yield hunk


def _unified(blocks: Sequence[_Block], before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    for hunk in _hunks(blocks):
        lefts, rights = sum(block.left_count for block in hunk), sum(block.right_count for block in hunk)
        yield f"@@ -{_range(hunk[0].left, lefts)} +{_range(hunk[0].right, rights)} @@"
        for block in hunk:
            marks = (" ", "") if block.is_same else ("-", "+")
            yield from (marks[0] + _shown(line) for line in before[block.left : block.left + block.left_count])
            if not block.is_same:
                yield from (marks[1] + _shown(line) for line in after[block.right : block.right + block.right_count])


def _rows(blocks: Sequence[_Block], before: Sequence[str], after: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, hunk in enumerate(_hunks(blocks)):
        if number:
            yield {"what": "skipped", "left": None, "right": None}
        for block in hunk:
            for offset in range(max(block.left_count, block.right_count)):
                left = _side(before, block.left, offset, block.left_count)
                right = _side(after, block.right, offset, block.right_count)
                what = (
                    "same" if block.is_same else "added" if left is None else "removed" if right is None else "changed"
                )
                yield {"what": what, "left": left, "right": right}


def _side(lines: Sequence[str], start: int, offset: int, count: int) -> dict[str, Any] | None:
    if offset >= count:
        return None
    return {"line": start + offset + 1, "text": _shown(lines[start + offset])}


def _range(start: int, count: int) -> str:
    """As a unified diff spells it: an empty range names the line before it."""
    first = start if count == 0 else start + 1
    return str(first) if count == 1 else f"{first},{count}"


def _shown(line: str) -> str:
    return line if len(line) <= LINE_SHOWN else f"{line[:LINE_SHOWN]}…"
