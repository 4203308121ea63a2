"""Owns globs within one segment of a path: `*`, `?`, classes and extended groups, in time bound by the segment (pure).

A set of places in the text is one integer, a bit for each place. What comes last is asked first: each part turns the
places where the rest fits into the places where it fits with that part before it. Nothing is ever tried twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

REPEATED_LIMIT: Final = 4096
"""A longer segment is covered by no pattern that has `*(…)` or `+(…)`: these cost more than the others."""
_GROUPS: Final = frozenset("?*+@!")
_DEPTH_LIMIT: Final = 20


class GlobError(Exception):
    """The glob cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Exactly:
    character: str


@dataclass(frozen=True, slots=True)
class AnyCharacter:
    pass


@dataclass(frozen=True, slots=True)
class Star:
    pass


@dataclass(frozen=True, slots=True)
class Class:
    """`[a-c]`; the ranges' ends belong to them."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def has(self, character: str) -> bool:
        return any(first <= character <= last for first, last in self.ranges) != self.negated


@dataclass(frozen=True, slots=True)
class Group:
    """`@(a|b)` and its kin. One that leads its segment guards dots in each alternative that has none itself."""

    kind: str
    alternatives: tuple[tuple[Part, ...], ...]
    leads: bool


Part = Exactly | AnyCharacter | Star | Class | Group


@dataclass(frozen=True, slots=True)
class Fits:
    """Places where the rest fits: up to the end of the text, and up to anywhere. `is_end`: there is no rest."""

    to_end: int
    to_anywhere: int
    is_end: bool


@dataclass(slots=True)
class _Text:
    text: str
    masks: dict[object, int] = field(default_factory=dict)

    def mask(self, key: object, has: Callable[[str], bool]) -> int:
        """The places whose character fits."""
        found = self.masks.get(key)
        if found is None:
            found = sum(1 << at for at, character in enumerate(self.text) if has(character))
            self.masks[key] = found
        return found


class GlobSegment:
    """One segment of a glob. With `dots`, wildcards cover names that begin with a dot too."""

    def __init__(self, pattern: str, *, dots: bool = False) -> None:
        self._dots = dots
        self._parts = tuple(_parse(pattern))
        self._literal = (
            "".join(part.character for part in self._parts if isinstance(part, Exactly))
            if all(isinstance(part, Exactly) for part in self._parts)
            else None
        )
        self._repeats = _repeats(self._parts)
        first = self._parts[0] if self._parts else None
        self._guards_dot = not dots and (
            isinstance(first, AnyCharacter | Star | Class)
            or (isinstance(first, Group) and (first.kind == "!" or not first.leads))
        )

    def covers(self, text: str) -> bool:
        if self._literal is not None:
            return text == self._literal
        if not text or (self._guards_dot and text[0] == ".") or (self._repeats and len(text) > REPEATED_LIMIT):
            return False
        end = 1 << len(text)
        fits = self._before(self._parts, Fits(end, (end << 1) - 1, is_end=True), _Text(text))
        return bool(fits.to_end & 1)

    # -- from the end of the text to its start

    def _before(self, parts: tuple[Part, ...], rest: Fits, text: _Text) -> Fits:
        for part in reversed(parts):
            if isinstance(part, Group):
                rest = self._before_group(part, rest, text)
            else:
                to_end, to_anywhere = (_step(part, places, text) for places in (rest.to_end, rest.to_anywhere))
                rest = Fits(to_end, to_anywhere, is_end=False)
        return rest

    def _before_group(self, group: Group, rest: Fits, text: _Text) -> Fits:
        if group.kind == "!":
            # Where the group has something behind it, what it rules out may end anywhere: so the official ones read it.
            behind = rest.to_end if rest.is_end else rest.to_anywhere
            ruled_out = self._alternatives(group, Fits(behind, behind, is_end=rest.is_end), text).to_end
            return Fits(_up_to(rest.to_end) & ~ruled_out, _up_to(rest.to_anywhere) & ~ruled_out, is_end=False)
        found = self._alternatives(group, rest, text)
        while group.kind in "*+":
            more = _union(found, self._alternatives(group, Fits(*_sets(found), is_end=False), text))
            if _sets(more) == _sets(found):
                break
            found = more
        return _union(found, rest) if group.kind in "?*" else found

    def _alternatives(self, group: Group, rest: Fits, text: _Text) -> Fits:
        found = Fits(0, 0, is_end=False)
        for alternative in group.alternatives:
            fits = self._before(alternative, rest, text)
            if group.leads and group.kind != "!" and not self._dots and not _begins_with_dot(alternative):
                no_dot = ~text.mask(Exactly("."), lambda character: character == ".")
                fits = Fits(fits.to_end & no_dot, fits.to_anywhere & no_dot, is_end=False)
            found = _union(found, fits)
        return found


def _step(part: Exactly | AnyCharacter | Star | Class, places: int, text: _Text) -> int:
    if isinstance(part, Star):
        return _up_to(places)
    if isinstance(part, AnyCharacter):
        return places >> 1
    if isinstance(part, Class):
        return (places >> 1) & text.mask(part, part.has)
    return (places >> 1) & text.mask(part, lambda character: character == part.character)


def _up_to(places: int) -> int:
    """Every place from which one of these can be reached."""
    return (1 << places.bit_length()) - 1


def _sets(fits: Fits) -> tuple[int, int]:
    return fits.to_end, fits.to_anywhere


def _union(one: Fits, other: Fits) -> Fits:
    return Fits(one.to_end | other.to_end, one.to_anywhere | other.to_anywhere, is_end=False)


def _begins_with_dot(alternative: tuple[Part, ...]) -> bool:
    return bool(alternative) and alternative[0] == Exactly(".")


def _repeats(parts: tuple[Part, ...]) -> bool:
    groups = [part for part in parts if isinstance(part, Group)]
    return any(group.kind in "*+" or any(map(_repeats, group.alternatives)) for group in groups)


# -- reading


def _parse(pattern: str, *, depth: int = 0, leads: bool = True) -> Iterator[Part]:
    """What does not pair is taken for itself."""
    if depth > _DEPTH_LIMIT:
        raise GlobError(f"its groups are nested more than {_DEPTH_LIMIT} deep")
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "*" and pattern[at + 1 : at + 2] == "*":
            at += 1  # several are one, also before a bracket
        elif sign in _GROUPS and pattern[at + 1 : at + 2] == "(" and (end := _closing(pattern, at + 1)) is not None:
            inner = _split(pattern[at + 2 : end])
            alternatives = tuple(tuple(_parse(one, depth=depth + 1, leads=False)) for one in inner)
            yield Group(sign, alternatives, leads=leads and at == 0)
            at = end + 1
        elif sign == "[" and (found := _class_end(pattern, at)) is not None:
            yield _class(pattern[at + 1 : found])
            at = found + 1
        elif sign == "*":
            yield Star()
            at += 1
        elif sign == "?":
            yield AnyCharacter()
            at += 1
        else:
            escaped = sign == "\\" and at + 1 < len(pattern)
            yield Exactly(pattern[at + 1] if escaped else sign)
            at += 2 if escaped else 1


def _signs(pattern: str, start: int) -> Iterator[tuple[int, str]]:
    """The characters that are neither escaped nor within a class."""
    at = start
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "[" and (end := _class_end(pattern, at)) is not None:
            at = end + 1
            continue
        yield at, pattern[at]
        at += 1


def _closing(pattern: str, opening: int) -> int | None:
    """Where the bracket at `opening` is closed. Brackets that open no group are characters."""
    depth = 0
    for at, sign in _signs(pattern, opening):
        if sign == "(" and (at == opening or pattern[at - 1] in _GROUPS):
            depth += 1
        elif sign == ")":
            depth -= 1
            if depth == 0:
                return at
    return None


def _split(inside: str) -> list[str]:
    """The alternatives of a group."""
    parts, begin, depth = [], 0, 0
    for at, sign in _signs(inside, 0):
        if sign == "(" and at and inside[at - 1] in _GROUPS:
            depth += 1
        elif sign == ")" and depth:
            depth -= 1
        elif sign == "|" and depth == 0:
            parts.append(inside[begin:at])
            begin = at + 1
    return [*parts, inside[begin:]]


def _class_end(pattern: str, opening: int) -> int | None:
    at = opening + 1
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "]" and at > opening + 1:
            return at
        at += 1
    return None


def _class(inside: str) -> Class:
    negated = inside[:1] in ("!", "^")
    characters: list[tuple[str, bool]] = []
    at = 1 if negated else 0
    while at < len(inside):
        escaped = inside[at] == "\\" and at + 1 < len(inside)
        characters.append((inside[at + 1], True) if escaped else (inside[at], False))
        at += 2 if escaped else 1
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(characters):
        is_range = at + 2 < len(characters) and characters[at + 1] == ("-", False)
        first, last = characters[at][0], characters[at + 2 if is_range else at][0]
        if last < first:
            return Class((), negated=False)  # the wrong way round: it covers nothing, as in the official ones
        ranges.append((first, last))
        at += 3 if is_range else 1
    return Class(tuple(ranges), negated)
