"""Owns `matchGlob`: which object names a glob covers, in time that grows with the name alone (pure).

`*` and `?` stay within a folder and `**` does not; `**/` at the start of a segment is any number of folders, none too.
`[a-c]` and `[!a-c]` are one character that is no `/`; `{x,y*}` is any of its parts; a backslash takes the next
character as it stands. What does not pair is refused, not taken for itself.
"""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.linear_patterns import LinearPattern, PatternError
from afterimage_emulator.storage.errors import StorageError, invalid
from afterimage_emulator.storage.objects.names import OBJECT_NAME_LIMIT_BYTES

GLOB_LIMIT: Final = OBJECT_NAME_LIMIT_BYTES
_BRACES_LIMIT: Final = 10
_TOKEN: Final = re.compile(r"\*\*/?|[*?{},]|\[!?\]?[^\]]*\]|\\.|[^*?{},\[\\]+|.", re.DOTALL)
_FIXED: Final = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
_SPECIAL: Final = re.compile(r"[*?\[{\\]")
_SLASH: Final = ord("/")
_LAST: Final = 0x10FFFF


def glob_literal(glob: str) -> str:
    """The part before the first special character: what every name that the glob covers begins with."""
    special = _SPECIAL.search(glob)
    return glob if special is None else glob[: special.start()]


def compile_glob(glob: str) -> LinearPattern:
    if len(glob) > GLOB_LIMIT:
        raise invalid(f"Invalid matchGlob: it has {len(glob):,} characters; send at most {GLOB_LIMIT:,}")
    parts: list[str] = []
    depth = 0
    begins_segment = True
    for sign in _TOKEN.findall(glob):
        depth += (sign == "{") - (sign == "}")
        if depth < 0:
            raise _malformed(glob, "a `}` closes nothing; write `\\}` for the character itself")
        if depth > _BRACES_LIMIT:
            raise _malformed(glob, f"its braces are nested more than {_BRACES_LIMIT} deep")
        parts.append(".*/" if sign == "**/" and not begins_segment else _pattern_of(sign, depth, glob))
        begins_segment = sign.endswith("/") or sign == "{" or (sign == "," and depth > 0)
    if depth:
        raise _malformed(glob, "a `{` is not closed; write `\\{` for the character itself")
    try:
        return LinearPattern("".join(parts))
    except PatternError as error:
        raise _malformed(glob, str(error)) from None


def _pattern_of(sign: str, depth: int, glob: str) -> str:
    if sign in _FIXED:
        return _FIXED[sign]
    if sign == ",":
        return "|" if depth else ","
    if sign == "[":
        raise _malformed(glob, "a `[` is not closed; write `\\[` for the character itself")
    if sign == "\\":
        raise _malformed(glob, "it ends in a backslash; write `\\\\` for the character itself")
    if sign[0] == "[":
        return _one_of(sign, glob)
    return re.escape(sign[1] if sign[0] == "\\" else sign)


def _one_of(sign: str, glob: str) -> str:
    """A class as ranges of code points, the slash taken out: a class stays within its folder."""
    negated = sign.startswith("[!")
    ranges = _ranges(sign[2 if negated else 1 : -1], glob)
    if negated:
        ranges = _complement(ranges)
    without_slash = [
        part
        for first, last in ranges
        for part in ((first, min(last, _SLASH - 1)), (max(first, _SLASH + 1), last))
        if part[0] <= part[1]
    ]
    if not without_slash:
        raise _malformed(glob, f"`{sign}` can match no character")
    return "[" + "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in without_slash) + "]"


def _ranges(inside: str, glob: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    at = 0
    while at < len(inside):
        is_range = at + 2 < len(inside) and inside[at + 1] == "-"
        first, last = ord(inside[at]), ord(inside[at + 2] if is_range else inside[at])
        if last < first:
            raise _malformed(glob, f"the range `{inside[at : at + 3]}` is the wrong way round")
        found.append((first, last))
        at += 3 if is_range else 1
    return found


def _complement(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    free_from = 0
    for first, last in sorted(ranges):
        if free_from < first:
            found.append((free_from, first - 1))
        free_from = max(free_from, last + 1)
    return [*found, (free_from, _LAST)] if free_from <= _LAST else found


def _malformed(glob: str, reason: str) -> StorageError:
    return invalid(f"Invalid matchGlob `{glob}`: {reason}")
