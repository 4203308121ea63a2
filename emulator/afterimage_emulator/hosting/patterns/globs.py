"""Owns the globs of Hosting: braces, `**` and negation over the segments of a path, in linear time (pure).

They are those of minimatch, which the Firebase CLI uses: `*` stays within a segment, `**` alone in one is any number
of segments, a leading `!` turns the glob round, and wildcards leave out names that begin with a dot.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final

from afterimage_emulator.hosting.patterns.glob_segments import GlobError, GlobSegment

GLOB_LIMIT: Final = 4096
_EXPANSIONS_LIMIT: Final = 1000
_NUMBERS: Final = re.compile(r"(-?\d{1,9})\.\.(-?\d{1,9})(?:\.\.(-?\d{1,9}))?")
_LETTERS: Final = re.compile(r"([A-Za-z])\.\.([A-Za-z])(?:\.\.(-?\d{1,9}))?")
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)


class Glob:
    """One compiled glob. `literal_signs`: a leading `!` or `#` is a character; `dots`: names with a dot count too."""

    def __init__(self, glob: str, *, dots: bool = False, literal_signs: bool = False) -> None:
        self.text = glob
        if len(glob) > GLOB_LIMIT:
            raise GlobError(f"it has {len(glob):,} characters; write at most {GLOB_LIMIT:,}")
        self._dots = dots
        self._covers_nothing = not literal_signs and glob.startswith("#")
        negations = 0 if literal_signs else len(glob) - len(glob.lstrip("!"))
        self._negated = negations % 2 == 1
        segments: dict[str, GlobSegment | None] = {"**": None}
        self._alternatives: list[list[GlobSegment | None]] = []
        for expanded in dict.fromkeys(expand_braces(glob[negations:])):  # choices may come to the same glob
            parts = _tidied(re.split("/+", expanded))
            for part in parts:
                if part not in segments:
                    segments[part] = GlobSegment(part, dots=dots)
            self._alternatives.append([segments[part] for part in parts])

    def covers(self, path: str) -> bool:
        """Whether the glob covers the whole of a path, which begins with a slash where requests do."""
        if self._covers_nothing:
            return False
        names = re.split("/+", path)
        return any(self._fits(parts, names) for parts in self._alternatives) != self._negated

    def _fits(self, parts: list[GlobSegment | None], names: list[str]) -> bool:
        """From the last segment to the first: `fits[at]` says whether what follows covers the names from there on."""
        count = len(names)
        fits = [False] * (count + 1)
        fits[count] = True
        if names[-1] == "" and parts[-1] is not None:
            fits[count - 1] = True  # the slash at the end of a path need not be in the glob
        for index in range(len(parts) - 1, -1, -1):
            part = parts[index]
            if part is None:
                self._any_number(fits, names, needs_one=index == len(parts) - 1)
            else:
                for at in range(count):
                    fits[at] = fits[at + 1] and part.covers(names[at])
                fits[count] = False
        return fits[0]

    def _any_number(self, fits: list[bool], names: list[str], *, needs_one: bool) -> None:
        reached = fits[len(names)]
        if needs_one:
            fits[len(names)] = False
        for at in range(len(names) - 1, -1, -1):
            hidden = not self._dots and names[at].startswith(".")
            onwards = reached and not hidden
            reached = onwards or (fits[at] and not needs_one)
            fits[at] = reached


def _tidied(parts: list[str]) -> list[str]:
    """`**/*/x` is `*/**/x`, several `**` are one, and `a/..` is nothing."""
    tidied: list[str] = []
    for index, part in enumerate(parts):
        before = tidied[-1] if tidied else ""
        if part == ".." and before not in ("", "..", ".", "**"):
            tidied.pop()
        elif part == "*" and before == "**" and index < len(parts) - 1:
            tidied.insert(-1, part)
        elif part != "**" or before != "**":
            tidied.append(part)
    return tidied or [""]


def expand_braces(glob: str) -> list[str]:
    """`{a,b}` and `{1..3}`; what does not pair, or has nothing to choose from, stays as it stands."""
    expanded = list(_expanded(glob, 0))
    if len(expanded) > _EXPANSIONS_LIMIT:
        raise GlobError(f"its braces stand for more than {_EXPANSIONS_LIMIT:,} globs")
    return expanded


def _expanded(glob: str, depth: int) -> Iterator[str]:
    if depth > _EXPANSIONS_LIMIT:
        raise GlobError("its braces are nested too deeply")
    found = _first_braces(glob)
    if found is None:
        yield glob
        return
    begin, end, inner = found
    choices = [choice for one in inner for choice in _within(one, depth + 1)]
    made = 0
    for rest in _expanded(glob[end + 1 :], depth + 1):
        for choice in choices:
            yield glob[:begin] + choice + rest
            made += 1
            if made > _EXPANSIONS_LIMIT:
                return


def _within(choice: str, depth: int) -> Iterator[str]:
    yield from _expanded(choice, depth)


def _first_braces(glob: str) -> tuple[int, int, list[str]] | None:
    """Where the first braces with choices begin and end, and the choices."""
    at = 0
    while at < len(glob):
        if glob[at] == "\\":
            at += 2
            continue
        if glob[at] == "{" and glob[at - 1 : at] != "$":
            end, commas = _pair(glob, at)
            if end is not None:
                choices = _choices(glob, at, end, commas)
                if choices is not None:
                    return at, end, choices
        at += 1
    return None


def _pair(glob: str, opening: int) -> tuple[int | None, list[int]]:
    depth = 0
    commas: list[int] = []
    at = opening
    while at < len(glob):
        if glob[at] == "\\":
            at += 2
            continue
        depth += (glob[at] == "{") - (glob[at] == "}")
        if depth == 0:
            return at, commas
        if glob[at] == "," and depth == 1:
            commas.append(at)
        at += 1
    return None, []


def _choices(glob: str, begin: int, end: int, commas: list[int]) -> list[str] | None:
    if commas:
        edges = [begin, *commas, end]
        return [glob[first + 1 : last] for first, last in itertools.pairwise(edges)]
    inside = glob[begin + 1 : end]
    numbers = _NUMBERS.fullmatch(inside)
    if numbers is not None:
        width = max(len(numbers[1]), len(numbers[2])) if _is_padded(numbers[1]) or _is_padded(numbers[2]) else 0
        return [_padded(number, width) for number in _sequence(int(numbers[1]), int(numbers[2]), numbers[3])]
    letters = _LETTERS.fullmatch(inside)
    if letters is not None:
        return [chr(code) for code in _sequence(ord(letters[1]), ord(letters[2]), letters[3])]
    return None


def _sequence(first: int, last: int, step: str | None) -> list[int]:
    stride = max(abs(int(step)), 1) if step else 1
    if abs(last - first) // stride > _EXPANSIONS_LIMIT:
        raise GlobError(f"its braces stand for more than {_EXPANSIONS_LIMIT:,} globs")
    return list(range(first, last + 1, stride) if first <= last else range(first, last - 1, -stride))


def _is_padded(number: str) -> bool:
    return re.match(r"-?0\d", number) is not None


def _padded(number: int, width: int) -> str:
    return f"{'-' if number < 0 else ''}{str(abs(number)).zfill(width - (number < 0))}"
