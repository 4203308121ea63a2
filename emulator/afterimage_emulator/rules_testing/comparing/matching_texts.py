"""Texts made to match a regular expression: by its construction, for the part of RE2's syntax that rules use."""

from __future__ import annotations

import random
from typing import Final

_CLASSES: Final = {"d": "0123456789", "w": "abcXYZ019_", "s": " ", "D": "a-", "W": "-.", "S": "aZ0"}
_ANY: Final = "aB3-"
_UNBOUNDED: Final = 3
_MAXIMUM_LENGTH: Final = 20_000


class UnknownSyntaxError(ValueError):
    """The expression uses syntax that is not made here; nothing is wrong with it."""


def matching_text(pattern: str, chance: random.Random) -> str:
    """A text that the whole pattern should match."""
    text = _Maker(pattern, chance).whole()
    if len(text) > _MAXIMUM_LENGTH:
        raise UnknownSyntaxError(pattern)
    return text


class _Maker:
    """Walks over the pattern once; at each choice it makes the text of one branch."""

    def __init__(self, pattern: str, chance: random.Random) -> None:
        self._pattern = pattern
        self._at = 0
        self._chance = chance

    def whole(self) -> str:
        text = self._alternatives()
        if self._at < len(self._pattern):
            raise UnknownSyntaxError(self._pattern)
        return text

    def _next(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _take(self) -> str:
        taken = self._next()
        if not taken:
            raise UnknownSyntaxError(self._pattern)
        self._at += 1
        return taken

    def _alternatives(self) -> str:
        branches = [self._sequence()]
        while self._next() == "|":
            self._at += 1
            branches.append(self._sequence())
        if self._next() == ")" or self._at == len(self._pattern):
            return self._chance.choice(branches)
        raise UnknownSyntaxError(self._pattern)

    def _sequence(self) -> str:
        parts: list[str] = []
        while self._next() not in ("", "|", ")"):
            start = self._at
            part = self._one()
            least, most = self._repetition()
            count = self._chance.randint(least, most) if most >= least else least
            if count != 1 and len(part) * count > _MAXIMUM_LENGTH:
                raise UnknownSyntaxError(self._pattern)
            end = self._at
            for number in range(count):
                if number:  # each repetition makes its own choices
                    self._at = start
                    part = self._one()
                parts.append(part)
            self._at = end
        return "".join(parts)

    def _repetition(self) -> tuple[int, int]:
        found = self._next()
        bounds = {"*": (0, _UNBOUNDED), "+": (1, _UNBOUNDED), "?": (0, 1)}.get(found)
        if bounds is not None:
            self._at += 1
        elif found == "{":
            end = self._pattern.find("}", self._at)
            least, comma, most = self._pattern[self._at + 1 : end].partition(",")
            if end < 0 or not least.isdigit() or (most and not most.isdigit()):
                raise UnknownSyntaxError(self._pattern)
            bounds = int(least), int(most) if most else int(least) + (_UNBOUNDED if comma else 0)
            self._at = end + 1
        else:
            return 1, 1
        if self._next() == "?":
            self._at += 1
        return bounds

    def _one(self) -> str:
        taken = self._take()
        if taken == "(":
            return self._group()
        if taken == "[":
            return self._chance.choice(self._class())
        if taken == ".":
            return self._chance.choice(_ANY)
        if taken in "^$":
            return ""
        if taken == "\\":
            return self._chance.choice(self._escaped())
        if taken in "*+?{":
            raise UnknownSyntaxError(self._pattern)
        return taken

    def _group(self) -> str:
        if self._next() == "?":
            end = self._pattern.find(":" if self._pattern.startswith("?:", self._at) else ">", self._at)
            if end < 0 or not self._pattern.startswith(("?:", "?P<", "?<"), self._at):
                raise UnknownSyntaxError(self._pattern)
            self._at = end + 1
        text = self._alternatives()
        if self._take() != ")":
            raise UnknownSyntaxError(self._pattern)
        return text

    def _escaped(self) -> str:
        taken = self._take()
        if taken in _CLASSES:
            return _CLASSES[taken]
        if taken.isalnum():
            known = {"n": "\n", "t": "\t", "r": "\r"}
            if taken not in known:
                raise UnknownSyntaxError(self._pattern)
            return known[taken]
        return taken

    def _class(self) -> str:
        """The characters of a class, some of them for a negated one."""
        is_negated = self._next() == "^"
        self._at += is_negated
        found: list[str] = []
        while self._next() != "]" or not found:
            taken = self._take()
            if taken == "[":
                raise UnknownSyntaxError(self._pattern)
            members = self._escaped() if taken == "\\" else taken
            if len(members) == 1 and self._next() == "-" and self._pattern[self._at + 1 : self._at + 2] != "]":
                self._at += 1
                last = self._take()
                last = self._escaped() if last == "\\" else last
                if len(last) != 1 or ord(last) < ord(members):
                    raise UnknownSyntaxError(self._pattern)
                members = members + "".join(map(chr, range(ord(members) + 1, min(ord(last), ord(members) + 200) + 1)))
            found.append(members)
        self._at += 1
        inside = "".join(found)
        if not is_negated:
            return inside
        outside = "".join(character for character in "aZ0-_ .~/é" if character not in inside)
        if not outside:
            raise UnknownSyntaxError(self._pattern)
        return outside
