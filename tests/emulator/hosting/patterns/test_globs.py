"""Globs of Hosting cover what those of the Firebase CLI cover, in linear time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from afterimage_emulator.hosting.patterns.glob_segments import GlobError
from afterimage_emulator.hosting.patterns.globs import Glob

CASES: list[tuple[str, str, bool]] = json.loads((Path(__file__).parent / "glob_cases.json").read_text())


def test_globs_cover_what_the_official_ones_cover() -> None:
    """Each case was answered by the CLI's own library; `tests/conformance/test_hosting.py` asks it again."""
    assert len(CASES) > 300
    assert {covered for _, _, covered in CASES} == {True, False}
    wrong = [(glob, path, covered) for glob, path, covered in CASES if Glob(glob).covers(path) != covered]
    assert wrong == []


@pytest.mark.parametrize(
    "glob",
    [
        "/**/a/**/a/**/a/**/a/**/a/**/b",
        "/*a*a*a*a*a*a*a*a*a*a*b",
        "/+(a|aa|a*)+(a|aa|a*)+(a|aa)b",
        "/*(a|*(a|*(a|*(a))))b",
        "/!(a*!(a*!(a*b)))*b",
        "/@(*a|a*)@(*a|a*)@(*a|a*)@(*a|a*)b",
        "/{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}*b",
    ],
)
def test_no_glob_takes_long_on_any_path(glob: str) -> None:
    """What doubles with each character where every way is tried would not come back from paths like these."""
    compiled = Glob(glob)
    for path in ("/" + "a" * 60_000, "/a" * 30_000, "/" + "a" * 4000, "/" + "a/" * 2000 + "a" * 4000):
        assert not compiled.covers(path)


def test_repeated_groups_cover_segments_up_to_a_bound() -> None:
    """They cost the square of a segment's length, so a longer segment than any file's name is covered by none."""
    repeated = Glob("/+(a)")
    assert repeated.covers("/" + "a" * 4096)
    assert not repeated.covers("/" + "a" * 4097)


@pytest.mark.parametrize(
    ("glob", "reason"),
    [
        ("/{1..5000}", "stand for more than 1,000"),
        ("/" + "{a,b}" * 12, "stand for more than 1,000"),
        ("/" + "@(" * 30 + "a" + ")" * 30, "nested more than 20 deep"),
        ("/" + "a" * 5000, "5,001 characters"),
    ],
)
def test_globs_that_would_grow_without_bound_are_refused(glob: str, reason: str) -> None:
    """The message says what is too much."""
    with pytest.raises(GlobError, match=reason):
        Glob(glob)


def test_a_glob_that_names_a_dot_covers_it_behind_two_double_stars() -> None:
    """As behind one; the CLI's library covers it behind one alone."""
    assert Glob("/**/.b").covers("/x/.b")
    assert Glob("/**/a/**/.b").covers("/x/a/y/.b")


@pytest.mark.parametrize(
    ("glob", "path", "covered"),
    [
        ("**/.*", "a/.env", True),
        ("**/.*", ".env", True),
        ("**/.*", ".git/config", False),
        ("**/node_modules/**", "web/node_modules/x/y.js", True),
        ("*.secret", ".secret", True),
        ("!a", "!a", True),
        ("#a", "#a", True),
    ],
)
def test_what_ignore_names_counts_dots_and_takes_signs_for_characters(glob: str, path: str, covered: bool) -> None:
    """As the CLI lists the files that it deploys."""
    assert Glob(glob, dots=True, literal_signs=True).covers(path) is covered
