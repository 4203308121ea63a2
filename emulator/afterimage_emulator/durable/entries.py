"""What one service keeps as entries: each has a key, and is written whole whenever it is another than it was.

A service says `touch` of whatever it may have changed, and is asked for the value when the turn of the loop ends.
What it says too often costs a comparison and nothing on the disk.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from afterimage_emulator.durable.journal import Journal

Touch = Callable[[str], None]
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
_HEAD: Final = struct.Struct("<II")
_GONE: Final = 0xFFFFFFFF
"""Stands for the length of the value of an entry that is no more."""
_RECORD_BYTES: Final = 256 * 1024
"""About how much of a state goes into one record."""


def touch_nothing(key: str) -> None:
    """Where nothing is kept."""


class NothingKept:
    """What a service tells of its changes where nobody keeps them."""

    def touch(self, key: str) -> None: ...

    def touch_all(self) -> None: ...

    def put(self, key: str, value: bytes | None) -> None: ...


NOTHING_KEPT: Final = NothingKept()


class _Asked:
    """Stands for a value that is asked for when the turn ends."""


_ASKED: Final = _Asked()


class KeptEntries:
    """The `Part` of one service. `hold` says where values come from, and who takes them back."""

    def __init__(self, journal: Journal, tag: int) -> None:
        self._journal = journal
        self._append = journal.keeper(tag)
        self._entries: dict[str, bytes] = {}
        self._touched: dict[str, _Asked | bytes | None] = {}
        self._will_tell = False
        self._is_open = False
        self._upto = 0
        self._read: Callable[[str], bytes | None] = lambda key: None
        self._restore: Callable[[Mapping[str, bytes]], None] = lambda entries: None

    def hold(self, *, read: Callable[[str], bytes | None], restore: Callable[[Mapping[str, bytes]], None]) -> None:
        """`read` gives the value of a key as it is now, None where there is none; `restore` takes all of them back."""
        self._read, self._restore = read, restore

    # -- what changes

    def touch(self, key: str) -> None:
        """It may be another now, or gone."""
        self._note(key, _ASKED)

    def put(self, key: str, value: bytes | None) -> None:
        """It is this now, or gone: for what only the place of a change can tell."""
        self._note(key, value)

    def _note(self, key: str, value: _Asked | bytes | None) -> None:
        self._touched[key] = value
        if self._is_open and not self._will_tell:
            self._will_tell = True
            self._journal.at_turns_end(self._tell)

    def touch_all(self) -> None:
        """Everything may be another now, or gone; what is put in this turn stays as it is put."""
        for key in self._entries:
            if key not in self._touched:
                self.touch(key)

    def check(self) -> None:
        """Raises where nothing can be kept, to be asked before something is changed."""
        self._journal.check()

    async def kept(self) -> None:
        """Returns when all that this service has changed so far would survive the end of the process."""
        if self._will_tell:
            self._tell()
        await self._journal.kept(self._upto)

    def once_kept(self, then: Callable[[], None]) -> None:
        """`then` is called when what this turn changes is on the disk."""
        self._journal.once_kept(then)

    def _tell(self) -> None:
        self._will_tell = False
        touched, self._touched = self._touched, {}
        changed: list[tuple[str, bytes | None]] = []
        for key, told in touched.items():
            value = self._read(key) if isinstance(told, _Asked) else told
            if value != self._entries.get(key):
                changed.append((key, value))
                _apply(self._entries, key, value)
        if changed:
            self._append(_written(changed))
            self._upto = self._journal.count()

    # -- what was kept

    def replay(self, payload: bytes) -> None:
        for key, value in _entries_in(payload):
            _apply(self._entries, key, value)

    def replayed(self) -> None:
        """What was touched before is looked at now, when all is back that was kept."""
        self._restore(self._entries)
        self._is_open = True
        if self._touched:
            self._will_tell = True
            self._journal.at_turns_end(self._tell)

    def state(self) -> Iterable[bytes]:
        return _state(tuple(self._entries.items()))


Entries = KeptEntries | NothingKept


def once_kept(
    keeping: KeptEntries | None, answer: Callable[[Asked], Awaitable[Answer]], *, only_reads: Callable[[Asked], bool]
) -> Callable[[Asked], Awaitable[Answer]]:
    """`answer`, where what it changes is on the disk before whoever asked hears of it, refused or not."""
    if keeping is None:
        return answer

    async def answered(asked: Asked) -> Answer:
        if not only_reads(asked):
            keeping.check()
        try:
            return await answer(asked)
        finally:
            await keeping.kept()

    return answered


def _apply(entries: dict[str, bytes], key: str, value: bytes | None) -> None:
    if value is None:
        entries.pop(key, None)
    else:
        entries[key] = value


def _state(entries: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    gathered: list[tuple[str, bytes]] = []
    size = 0
    for key, value in entries:
        gathered.append((key, value))
        size += len(value)
        if size >= _RECORD_BYTES:
            yield _written(gathered)
            gathered, size = [], 0
    if gathered:
        yield _written(gathered)


def _written(entries: Iterable[tuple[str, bytes | None]]) -> bytes:
    parts: list[bytes] = []
    for key, value in entries:
        encoded = key.encode("utf-8", "surrogatepass")
        parts += (_HEAD.pack(len(encoded), _GONE if value is None else len(value)), encoded, value or b"")
    return b"".join(parts)


def _entries_in(payload: bytes) -> Iterator[tuple[str, bytes | None]]:
    at = 0
    while at < len(payload):
        key_length, length = _HEAD.unpack_from(payload, at)
        at += _HEAD.size
        key = payload[at : at + key_length].decode("utf-8", "surrogatepass")
        at += key_length
        if length == _GONE:
            yield key, None
        else:
            yield key, payload[at : at + length]
            at += length
