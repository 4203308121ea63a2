"""Finds one page of a sorted namespace: prefixes, delimiters, offsets, globs. It costs the page, not the bucket."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any

from emulator.storage.errors import invalid
from emulator.storage.object_requests import Listing, Page
from emulator.storage.records import ObjectRecord

_LAST_CHARACTER = "\U0010ffff"


class Namespace:
    """The objects of one bucket by name: the live ones, and what versioning keeps of earlier ones (oldest first)."""

    def __init__(self) -> None:
        # Imported on first use: a suite that stores nothing starts without it.
        from sortedcontainers import SortedDict

        self.live: Any = SortedDict()
        self.noncurrent: Any = SortedDict()

    def is_empty(self) -> bool:
        return not self.live and not self.noncurrent

    def records(self, start: str, *, inclusive: bool, versions: bool) -> Iterator[ObjectRecord]:
        """From `start` on, in order of names and then generations."""
        inclusivity = (inclusive, True)
        live = (self.live[name] for name in self.live.irange(start, None, inclusivity))
        if not versions:
            return live
        earlier = (
            record for name in self.noncurrent.irange(start, None, inclusivity) for record in self.noncurrent[name]
        )
        return merge(earlier, live, key=lambda record: (record.name, record.generation))


def list_page(namespace: Namespace, listing: Listing) -> Page:
    """Walks the names in order and leaps over every common prefix it has reported."""
    if listing.page_size < 0:
        raise invalid(f"Invalid value for maxResults: `{listing.page_size}`; use 1 to 1000")
    walk = _Walk(namespace, listing)
    walk.run()
    return Page(items=tuple(walk.items), prefixes=tuple(walk.prefixes), next_token=walk.next_token)


@dataclass(slots=True)
class _Walk:
    namespace: Namespace
    listing: Listing
    items: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_token: str = ""

    def run(self) -> None:
        listing = self.listing
        glob = compile_glob(listing.glob) if listing.glob else None
        bounds = _common_bound(listing.prefix, glob_literal(listing.glob))
        if bounds is None:
            return
        start, inclusive, after_generation = max(bounds, listing.start_offset), True, -1
        if listing.page_token:
            start, inclusive, after_generation = self._resume(start)
        while start is not None:
            start, inclusive = self._scan(start, inclusive, after_generation, bounds, glob)
            after_generation = -1

    def _resume(self, start: str) -> tuple[str, bool, int]:
        kind, generation, name = _decode_token(self.listing.page_token)
        if kind == "p":
            return max(start, successor(name) or _LAST_CHARACTER * 1025), True, -1
        return (name, True, generation) if name >= start else (start, True, -1)

    def _scan(
        self, start: str, inclusive: bool, after_generation: int, bound: str, glob: re.Pattern[str] | None
    ) -> tuple[Any, bool]:
        """Goes on until the end (None) or a common prefix, then answers where to leap to."""
        listing = self.listing
        full = min(listing.page_size or 1000, 1000)
        for record in self.namespace.records(start, inclusive=inclusive, versions=listing.versions):
            name = record.name
            if not name.startswith(bound) or (listing.end_offset and name >= listing.end_offset):
                return None, True
            if name == start and record.generation <= after_generation:
                continue
            if glob is not None and not glob.fullmatch(name):
                continue
            cut = self._common_prefix(name)
            if len(self.items) + len(self.prefixes) >= full:
                self._set_token()
                return None, True
            if cut is None:
                self.items.append(record)
                continue
            self.prefixes.append(cut)
            if listing.include_trailing_delimiter and cut == name:
                self.items.append(record)
            return successor(cut), True
        return None, True

    def _common_prefix(self, name: str) -> str | None:
        delimiter = self.listing.delimiter
        if not delimiter:
            return None
        at = name.find(delimiter, len(self.listing.prefix))
        return None if at < 0 else name[: at + len(delimiter)]

    def _set_token(self) -> None:
        last_prefix = self.prefixes[-1] if self.prefixes else ""
        last = self.items[-1] if self.items else None
        if last is None or (self.prefixes and last_prefix >= last.name):
            self.next_token = _encode_token("p", 0, last_prefix)
        else:
            self.next_token = _encode_token("n", last.generation, last.name)


def successor(prefix: str) -> str | None:
    """The smallest string above every string that begins with `prefix`; None where there is none."""
    while prefix:
        code = ord(prefix[-1]) + 1
        if 0xD800 <= code <= 0xDFFF:
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[:-1] + chr(code)
        prefix = prefix[:-1]
    return None


def _common_bound(prefix: str, literal: str) -> str | None:
    """What every match begins with; None where prefix and glob exclude each other."""
    if prefix.startswith(literal):
        return prefix
    return literal if literal.startswith(prefix) else None


def _encode_token(kind: str, generation: int, name: str) -> str:
    return base64.urlsafe_b64encode(f"{kind}{generation:x}:{name}".encode()).decode()


def _decode_token(token: str) -> tuple[str, int, str]:
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        head, found, name = text.partition(":")
        if found and head[0] in "np":
            return head[0], int(head[1:], 16), name
    except (ValueError, binascii.Error, IndexError):
        pass
    raise invalid(f"Invalid pageToken `{token}`; send back `nextPageToken` as it came")


# -- globs: `*` and `?` stay within a folder, `**` does not; `[a-c]` `[!a]` `{x,y}` as in shells

_GLOB_TOKEN = re.compile(r"\*\*/?|[*?{},]|\[!?\]?[^\]]*\]|\\.|[^*?{},\[\\]+|.", re.DOTALL)


def glob_literal(glob: str) -> str:
    """The part before the first special character."""
    special = re.search(r"[*?\[{\\]", glob)
    return glob if special is None else glob[: special.start()]


def compile_glob(glob: str) -> re.Pattern[str]:
    parts: list[str] = []
    depth = 0
    for sign in _GLOB_TOKEN.findall(glob):
        if sign == "{":
            depth += 1
        if sign == "}":
            depth -= 1
        if depth < 0 or depth > 10:
            raise invalid(f"Invalid matchGlob `{glob}`: its braces do not pair")
        parts.append(_glob_part(sign, depth))
    if depth:
        raise invalid(f"Invalid matchGlob `{glob}`: its braces do not pair")
    try:
        return re.compile("".join(parts), re.DOTALL)
    except (re.error, OverflowError) as error:
        raise invalid(f"Invalid matchGlob `{glob}`: {error}") from None


def _glob_part(sign: str, depth: int) -> str:
    fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]", "{": "(?:", "}": ")"}
    if sign in fixed:
        return fixed[sign]
    if sign == ",":
        return "|" if depth else ","
    if len(sign) > 2 and sign[0] == "[" and sign[-1] == "]":
        inside = sign[1:-1]
        negated = inside.startswith("!")
        body = re.sub(r"([\\\]\[^&~|])", r"\\\1", inside[1:] if negated else inside)
        return f"(?!/)[{'^' if negated else ''}{body}]"
    if sign[0] == "\\" and len(sign) == 2:
        return re.escape(sign[1])
    return re.escape(sign)
