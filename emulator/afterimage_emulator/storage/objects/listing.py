"""Finds one page of a sorted namespace: prefixes, delimiters, offsets, globs. It costs the page, not the bucket."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import merge
from typing import Any, Final

from afterimage_emulator.durable.entries import Touch
from afterimage_emulator.linear_patterns import LinearPattern
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.contexts import Contexts, read_context_filter
from afterimage_emulator.storage.objects.globs import compile_glob, glob_literal
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Listing, Page

_LAST_CHARACTER = "\U0010ffff"
GLOB_WORK_LIMIT: Final = 10_000_000
"""Characters of names times characters of the glob, per page: some 0.1 s on the loop for the worst of globs."""


class Namespace:
    """The objects of one bucket by name: the live ones, and what versioning keeps of earlier ones (oldest first)."""

    def __init__(self) -> None:
        # Imported on first use: a suite that stores nothing starts without it.
        from sortedcontainers import SortedDict

        self.live: Any = SortedDict()
        self.noncurrent: Any = SortedDict()
        self.soft_deleted: Any = SortedDict()
        """Deleted generations that can be restored, oldest first."""
        self.folders: Any = SortedDict()
        """What a hierarchical bucket knows of its folders."""

    def is_empty(self) -> bool:
        return not self.live and not self.noncurrent

    def release_all(self, release: Callable[[Blob], object], touch: Touch) -> None:
        """The bucket is gone for good; of its objects none is left but what could be restored."""
        for kept in self.soft_deleted.values():
            for record in kept:
                touch(record.key)
                release(record.blob)
        self.soft_deleted.clear()

    def records(
        self, start: str, *, inclusive: bool, versions: bool, soft_deleted: bool = False
    ) -> Iterator[ObjectRecord]:
        """From `start` on, in order of names and then generations."""
        inclusivity = (inclusive, True)
        if soft_deleted:
            kept = self.soft_deleted.irange(start, None, inclusivity)
            return (record for name in kept for record in self.soft_deleted[name])
        live = (self.live[name] for name in self.live.irange(start, None, inclusivity))
        if not versions:
            return live
        earlier = (
            record for name in self.noncurrent.irange(start, None, inclusivity) for record in self.noncurrent[name]
        )
        return merge(earlier, live, key=lambda record: (record.name, record.generation))


def list_page(namespace: Namespace, listing: Listing, folders: Iterable[str] = ()) -> Page:
    """Walks the names in order and leaps over every common prefix it has reported.

    `folders` are told among the prefixes; they make a page longer, since few buckets have many.
    """
    if listing.page_size < 0:
        raise invalid(f"Invalid value for maxResults: `{listing.page_size}`; use 1 to 1000")
    walk = _Walk(namespace, listing)
    walk.run()
    prefixes = {*walk.prefixes, *walk.folders_within(folders)} if folders else walk.prefixes
    return Page(items=tuple(walk.items), prefixes=tuple(sorted(prefixes)), next_token=walk.next_token)


@dataclass(slots=True)
class _Walk:
    namespace: Namespace
    listing: Listing
    items: list[ObjectRecord] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    next_token: str = ""
    glob_work: int = 0
    has_contexts: Callable[[Contexts], bool] | None = None
    """Asked of objects, never of prefixes."""
    reached: tuple[str, int, str] = ("n", 0, "")
    """Where the next page goes on: after this generation of a name (`n`), or after a common prefix (`p`)."""

    def run(self) -> None:
        listing = self.listing
        glob = compile_glob(listing.glob) if listing.glob else None
        if listing.context_filter:
            self.has_contexts = read_context_filter(listing.context_filter)
        bounds = _common_bound(listing.prefix, glob_literal(listing.glob))
        if bounds is None:
            return
        start, inclusive, after_generation = max(bounds, listing.start_offset), True, -1
        if listing.page_token:
            start, inclusive, after_generation = self._resume(start)
        while start is not None:
            start, inclusive = self._scan(start, inclusive, after_generation, bounds, glob)
            after_generation = -1

    def folders_within(self, folders: Iterable[str]) -> Iterator[str]:
        """Those between where this page began and where the next one goes on."""
        listing = self.listing
        glob = compile_glob(listing.glob) if listing.glob else None
        begin = self._resume("")[0] if listing.page_token else ""
        for folder in folders:
            cut = None if folder == listing.prefix else self._common_prefix(folder)
            if (
                cut is not None
                and cut.startswith(listing.prefix)
                and cut >= max(begin, listing.start_offset)
                and (not listing.end_offset or cut < listing.end_offset)
                and (not self.next_token or cut <= self.reached[2])
                and (glob is None or glob.covers(cut))
            ):
                yield cut

    def _resume(self, start: str) -> tuple[str, bool, int]:
        kind, generation, name = _decode_token(self.listing.page_token)
        if kind == "p":
            return max(start, successor(name) or _LAST_CHARACTER * 1025), True, -1
        return (name, True, generation) if name >= start else (start, True, -1)

    def _scan(
        self, start: str, inclusive: bool, after_generation: int, bound: str, glob: LinearPattern | None
    ) -> tuple[Any, bool]:
        """Goes on until the end (None) or a common prefix, then answers where to leap to."""
        listing = self.listing
        full = min(listing.page_size or 1000, 1000)
        for record in self.namespace.records(
            start, inclusive=inclusive, versions=listing.versions, soft_deleted=listing.soft_deleted
        ):
            name = record.name
            if not name.startswith(bound) or (listing.end_offset and name >= listing.end_offset):
                return None, True
            if name == start and record.generation <= after_generation:
                continue
            if glob is not None:
                if self.glob_work > GLOB_WORK_LIMIT:  # a page may end early: the client asks for the next one
                    return self._end_page()
                self.glob_work += len(name) * len(listing.glob)
                if not glob.covers(name):
                    self.reached = ("n", record.generation, name)
                    continue
            cut = self._common_prefix(name)
            if cut is None and self.has_contexts is not None and not self.has_contexts(record.metadata.contexts):
                self.reached = ("n", record.generation, name)
                continue
            if len(self.items) + len(self.prefixes) >= full:
                return self._end_page()
            if cut is None:
                self.items.append(record)
                self.reached = ("n", record.generation, name)
                continue
            self.prefixes.append(cut)
            self.reached = ("p", 0, cut)
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

    def _end_page(self) -> tuple[None, bool]:
        self.next_token = _encode_token(*self.reached)
        return None, True


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


def token_after(name: str, generation: int) -> str:
    """For whoever says in words of his own where a page is to go on."""
    if generation < 0:
        raise invalid(f"`{generation}` is no generation")
    return _encode_token("n", generation, name)


def _decode_token(token: str) -> tuple[str, int, str]:
    try:
        text = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
        head, found, name = text.partition(":")
        if found and head[0] in "np":
            return head[0], int(head[1:], 16), name
    except (ValueError, binascii.Error, IndexError):
        pass
    raise invalid(f"Invalid pageToken `{token}`; send back `nextPageToken` as it came")
