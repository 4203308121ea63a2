"""Comparison: right, shortest where that can be had, bounded where it cannot, and shown in the way that suits."""

from __future__ import annotations

import base64
import difflib
import io
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from afterimage.artifacts.comparison.compare import compare
from afterimage.artifacts.comparison.json_paths import NotJsonError, compared_json
from afterimage.artifacts.comparison.lines import STEPS, LineMatcher
from afterimage.artifacts.comparison.pictures import NoPictureError, compared_pictures
from afterimage.artifacts.comparison.text import compared_texts
from tests.functions.artifacts.desk import Desk

lines = st.lists(st.sampled_from("abcdef"), max_size=30)


def longest_common(left: list[str], right: list[str]) -> int:
    """By the textbook's table."""
    row = [0] * (len(right) + 1)
    for item in left:
        before = 0
        for at, other in enumerate(right, 1):
            before, row[at] = row[at], before + 1 if item == other else max(row[at], row[at - 1])
    return row[-1]


@given(left=lines, right=lines)
def test_as_many_lines_as_possible_stay(left: list[str], right: list[str]) -> None:
    """What is called the same is the same, in order, and no other way leaves fewer changes."""
    matcher = LineMatcher(left=left, right=right)
    found = matcher.matches()
    ends = (0, 0)
    for same in found:
        assert left[same.left : same.left + same.count] == right[same.right : same.right + same.count]
        assert same.left >= ends[0]
        assert same.right >= ends[1]
        ends = (same.left + same.count, same.right + same.count)
    assert matcher.is_shortest
    assert sum(same.count for same in found) == longest_common(left, right)


@given(left=lines, right=lines, steps=st.integers(0, 60))
def test_beyond_its_bound_the_script_is_longer_and_still_right(left: list[str], right: list[str], steps: int) -> None:
    """A bound may cost the shortest script, never a true one."""
    matcher = LineMatcher(left=left, right=right, steps_left=steps)
    at = (0, 0)
    for same in matcher.matches():
        assert left[same.left : same.left + same.count] == right[same.right : same.right + same.count]
        assert (same.left, same.right) >= at
        assert same.left >= at[0]
        assert same.right >= at[1]
        at = (same.left + same.count, same.right + same.count)


def test_texts_that_do_not_resemble_each_other_end_within_the_bound() -> None:
    """Hundreds of thousands of lines in another order: anchors are found, and the steps are used up, not passed."""
    dice = random.Random(7)
    left = [f"line {number}" for number in range(60_000)]
    right = [line for line in left if dice.random() < 0.7]
    dice.shuffle(right)
    matcher = LineMatcher(left=left, right=right)
    assert sum(same.count for same in matcher.matches()) > 100
    assert not matcher.is_shortest
    assert matcher.steps_left > -2 * STEPS


@given(left=lines, right=lines)
def test_the_unified_diff_makes_the_one_text_of_the_other(left: list[str], right: list[str]) -> None:
    """Its removed and kept lines are the left text's, its added ones the right text's, at the lines it says."""
    shown = compared_texts("\n".join(left), "\n".join(right))["unified"].splitlines()
    patched = list(left)
    offset = 0
    at = 0
    for line in shown:
        if line.startswith("@@"):
            start, _, count = line.split()[1][1:].partition(",")
            at = int(start) - (0 if count == "0" else 1) + offset
        elif line.startswith("-"):
            assert patched.pop(at) == line[1:]
            offset -= 1
        elif line.startswith("+"):
            patched.insert(at, line[1:])
            at += 1
            offset += 1
        else:
            assert patched[at] == line[1:]
            at += 1
    assert patched == right


def test_a_unified_diff_looks_as_the_one_of_the_library() -> None:
    """Three lines of context, hunks apart where more lies between."""
    left = [f"line {number}" for number in range(40)]
    right = [*left[:5], "new", *left[6:20], *left[21:], "end"]
    expected = list(difflib.unified_diff(left, right, lineterm="", n=3))[2:]
    assert compared_texts("\n".join(left), "\n".join(right))["unified"].splitlines() == expected


def test_side_by_side_rows_show_each_line_beside_what_it_became() -> None:
    """With line numbers of both sides; long lines and long diffs are cut, and it is said."""
    shown = compared_texts("a\nb\nc", "a\nB\nc\nd")
    assert (shown["lines_added"], shown["lines_removed"], shown["is_cut"]) == (2, 1, False)
    assert [(row["what"], row["left"], row["right"]) for row in shown["side_by_side"]] == [
        ("same", {"line": 1, "text": "a"}, {"line": 1, "text": "a"}),
        ("changed", {"line": 2, "text": "b"}, {"line": 2, "text": "B"}),
        ("same", {"line": 3, "text": "c"}, {"line": 3, "text": "c"}),
        ("added", None, {"line": 4, "text": "d"}),
    ]
    cut = compared_texts("x" * 1_000_000, "y" * 1_000_000)
    assert cut["is_cut"]
    assert len(json.dumps(cut)) < 5_000
    many = compared_texts("", "\n".join(str(number) for number in range(10_000)))
    assert (many["is_cut"], len(many["side_by_side"])) == (True, 2000)
    assert compared_texts("a\n", "a")["differs_only_at_line_ends"]


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "é/~"]) | st.floats(-2, 2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b/c", "~"]), inner, max_size=3),
    max_leaves=12,
)


@given(left=values, right=values)
def test_json_changes_name_places_that_are_there(left: Any, right: Any) -> None:
    """Equal documents have no change, unequal ones have some, and each pointer leads to what it shows."""
    found = compared_json(json.dumps(left).encode(), json.dumps(right).encode())["changes"]
    assert (found == []) == (meaning(left) == meaning(right))
    for change in found:
        if change["what"] == "added":
            assert pointed(right, change["path"]) == change["after"]
        else:
            side = pointed(left, change["path"]) if change["what"] == "removed" else None
            assert change["what"] == "changed" or side == change["before"]


def meaning(value: Any) -> Any:
    """As Python compares it, but that false is not 0."""
    match value:
        case bool():
            return str(value)
        case list():
            return [meaning(item) for item in value]
        case dict():
            return {name: meaning(item) for name, item in value.items()}
    return value


def pointed(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def test_json_is_compared_by_meaning() -> None:
    """Order of keys and the spelling of numbers mean nothing; true is not 1; an element in front is one change."""
    assert compared_json(b'{"a": 1, "b": 2}', b'{"b": 2.0, "a": 1}')["changes"] == []
    assert compared_json(b"[true]", b"[1]")["changes"] == [
        {"path": "/0", "what": "changed", "before": True, "after": 1}
    ]
    assert compared_json(b"[1, 2, 3]", b"[0, 1, 2, 3]")["changes"] == [{"path": "/0", "what": "added", "after": 0}]
    assert compared_json(b"[1e999, 5]", b"[1e999, 5.0]")["changes"] == []
    [huge] = compared_json(b"[1]", b"[%d]" % (10**40))["changes"]
    assert huge["after"] == str(10**40), "no encoder takes it as a number"
    many = compared_json(b"{}", json.dumps({str(number): number for number in range(1000)}).encode())
    assert (len(many["changes"]), many["is_cut"]) == (500, True)


@pytest.mark.parametrize("data", [b"{", b"[NaN]", b"[" * 100_000, b"[" * 200 + b"]" * 200, b"\xff"])
def test_what_is_no_json_is_told_apart(data: bytes) -> None:
    """Broken, deeper than anybody can read, or no text: its bytes are compared as text instead."""
    with pytest.raises(NotJsonError):
        compared_json(data, b"{}")


def picture(size: tuple[int, int], *, dot: tuple[int, int, int, int] | None = None, kind: str = "PNG") -> bytes:
    image = Image.new("RGB", size, (40, 120, 200))
    if dot:
        image.paste((250, 250, 0), dot)
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def test_pictures_show_where_they_differ() -> None:
    """Sizes, the share of pixels, and a picture that is red there and grey elsewhere."""
    found = compared_pictures(picture((100, 50)), picture((100, 50), dot=(0, 0, 10, 10)), ("image/png", "image/png"))
    assert (found["width"], found["height"], found["has_same_size"]) == ([100, 100], [50, 50], True)
    assert found["changed_share"] == pytest.approx(100 / 5000)
    with Image.open(io.BytesIO(base64.b64decode(found["difference_png"]))) as shown:
        assert shown.getpixel((5, 5)) == (220, 30, 30)
        grey = shown.getpixel((50, 25))
        assert isinstance(grey, tuple)
        assert len(set(grey)) == 1
    larger = compared_pictures(picture((100, 50)), picture((3000, 1500)), ("image/png", "image/png"))
    assert (larger["has_same_size"], larger["compared_at"]) == (False, [512, 256])


def test_the_same_picture_in_two_formats_hardly_differs() -> None:
    """What an encoder moves is no visible change."""
    found = compared_pictures(picture((64, 64)), picture((64, 64), kind="JPEG"), ("image/png", "image/jpeg"))
    assert found["changed_share"] == 0


@pytest.mark.parametrize("broken", [b"\x89PNG\r\n\x1a\nrubbish", picture((60, 60))[:60]])
def test_a_broken_picture_is_not_compared_by_its_pixels(broken: bytes) -> None:
    """It says why, and nothing fails."""
    with pytest.raises(NoPictureError):
        compared_pictures(picture((60, 60)), broken, ("image/png", "image/png"))


def test_versions_are_compared_in_the_way_that_suits_them() -> None:
    """Text, JSON, pictures; and by size and digest what is neither, or too large, always with the change of size."""
    desk = Desk(room=10**8)

    def differences(name: str, left: bytes, right: bytes) -> dict[str, Any]:
        file = desk.save(left, name=name).head.file
        desk.save(right, file=file)
        return compare(desk.library, "ana", file, 1, 2).differences

    text = differences("a.txt", b"one\n", b"one\ntwo\n")
    assert (text["kind"], text["size_change_bytes"], text["lines_added"]) == ("text", 4, 1)
    assert differences("a.json", b'{"a": 1}', b'{"a": 2}')["changes"][0]["path"] == "/a"
    assert differences("b.json", b"{", b"[")["kind"] == "text"
    assert differences("a.png", picture((8, 8)), picture((8, 9)))["kind"] == "picture"
    assert differences("b.png", b"\x89PNG\r\n\x1a\n1", picture((8, 9)))["kind"] == "size"
    assert differences("a.pdf", b"%PDF-1", b"%PDF-12")["kind"] == "size"
    large = differences("b.txt", b"x" * 2**20, b"x" * (2**20 + 1))
    assert (large["kind"], large["size_change_bytes"]) == ("size", 1)
    file = desk.save(b"s", name="s.txt").head.file
    assert compare(desk.library, "ana", file, 1, 1).differences["kind"] == "same"
