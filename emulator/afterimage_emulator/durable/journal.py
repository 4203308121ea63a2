"""One writer for everything that is kept: what came together goes to the disk together, and waits for it once.

Services append without waiting; whoever answers a client waits for `kept` first. A thread writes and waits for the
disk, so that the loop goes on meanwhile, and all that comes in that time shares the next write.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import SimpleQueue
from typing import Final, Protocol

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.durable.data_folder import DataFolder
from afterimage_emulator.durable.disk import sync_file, sync_folder
from afterimage_emulator.durable.frames import DamagedJournalError, JournalFile, frames_of, journal_frame, record
from afterimage_emulator.status import Code, StatusError

RENEWED_AT_BYTES: Final = 160 * 1024 * 1024
"""A journal that has grown beyond this, and beyond the state, gives way to a state: a start reads this in a second."""
ROOM_BYTES: Final = 1024 * 1024
"""How much of the file is written ahead as zeros: what fills it need not wait until the file has grown."""
RETRY_SECONDS: Final = 1.0
"""How long a full disk is left alone: real time, since disks live in it."""
_NEXT: Final = b""
"""Stands among records where the next journal begins; no record is empty."""
_log = logging.getLogger("afterimage_emulator.data")

_Turn = tuple[list[bytes], int]
"""The records of one turn of the loop, and how many there are with them in all."""


class Part(Protocol):
    """What one service keeps."""

    def replay(self, payload: bytes) -> None:
        """Takes back one of its records; they come in the order in which they were appended."""
        ...

    def replayed(self) -> None:
        """All have come."""
        ...

    def state(self) -> Iterable[bytes]:
        """Records that say all it holds now. Called on the loop, read in a thread: what it gives must not change."""
        ...


class Journal:
    """Everything that services append, in one order. `open` gives back what there was."""

    def __init__(self, folder: DataFolder, *, renewed_at_bytes: int = RENEWED_AT_BYTES) -> None:
        self._folder = folder
        self._renewed_at_bytes = renewed_at_bytes
        self._parts: Mapping[int, Part] = {}
        self._has_others = False
        self._state_bytes = 0
        self._journal_bytes = 0
        self._number = 1
        self._file = -1
        self._end = 0
        self._room_end = 0
        self._handed_over: SimpleQueue[_Turn | None] = SimpleQueue()
        self._ends = threading.Event()
        self._turn: list[bytes] = []
        self._at_turns_end: list[Callable[[], None]] = []
        self._ends_turn = False
        self._once_kept: list[Callable[[], None]] = []
        self._appended = 0
        self._synced = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._failure: StatusError | None = None
        self._is_closed = False
        self._renewing: threading.Thread | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- taking back

    def open(self, parts: Mapping[int, Part]) -> None:
        """Replays what was kept, and begins to write behind it."""
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        try:
            self._replay()
        except (DamagedJournalError, OSError) as error:
            raise ConfigurationError(str(error)) from None
        self._file = os.open(self._folder.journal(self._number), os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(self._file, self._end)
        os.lseek(self._file, self._end, os.SEEK_SET)
        self._room_end = self._end
        sync_folder(self._folder.path)
        self._thread = threading.Thread(target=self._write_all, name="local-firebase-journal", daemon=True)
        self._thread.start()
        self._renew_if_grown()

    def _replay(self) -> None:
        state, numbers = self._folder.in_force()
        if state is not None:
            kept = JournalFile(state)
            self._take(kept.records())
            if kept.torn_bytes:
                raise DamagedJournalError(f"`{state}` is damaged at byte {kept.end:,}: restore the folder from a copy")
            self._state_bytes = kept.end
        for number in numbers:
            journal = JournalFile(self._folder.journal(number))
            self._take(journal.records())
            if journal.torn_bytes and number != numbers[-1]:
                raise DamagedJournalError(f"`{self._folder.journal(number)}` is damaged at byte {journal.end:,}")
            if journal.torn_bytes:
                _log.warning(
                    "the last %s bytes of `%s` were not finished: left out, as nobody was told that they are kept",
                    f"{journal.torn_bytes:,}", self._folder.journal(number),
                )  # fmt: skip
            self._number, self._end = number, journal.end
            self._journal_bytes += journal.end
        for part in self._parts.values():
            part.replayed()

    def _take(self, records: Iterator[tuple[int, bytes]]) -> None:
        for tag, payload in records:
            part = self._parts.get(tag)
            if part is None:
                self._has_others = True  # of a service that does not run: its records stay where they are
            else:
                part.replay(payload)

    # -- keeping

    def keeper(self, tag: int) -> Callable[[bytes], None]:
        """What one service appends with."""
        return lambda payload: self.append(tag, payload)

    def append(self, tag: int, payload: bytes) -> None:
        """Returns at once; `kept` says when it is on the disk.

        What one turn of the loop appends goes into one frame: a change and what follows from it are kept together.
        """
        if self._is_closed:
            return
        self._turn.append(record(tag, payload))
        self._appended += 1
        self._end_turn_soon()

    def at_turns_end(self, append: Callable[[], None]) -> None:
        """`append` is called before what this turn appends is handed over, to append what it has to say of it."""
        if not self._is_closed:
            self._at_turns_end.append(append)
            self._end_turn_soon()

    def once_kept(self, then: Callable[[], None]) -> None:
        """`then` is called when all that this turn appends is on the disk; never, where that fails."""
        self._once_kept.append(then)
        self._end_turn_soon()

    def count(self) -> int:
        """How many records there were so far; what this turn has still to say is asked for first."""
        while self._at_turns_end:
            telling, self._at_turns_end = self._at_turns_end, []
            for append in telling:
                append()
        return self._appended

    def check(self) -> None:
        """Raises where nothing can be kept, to be asked before something is changed."""
        if self._failure is not None:
            raise self._failure

    async def kept(self, upto: int | None = None) -> None:
        """Returns when all that was appended so far would survive the end of this process, or of the power.

        `upto`: when so many records would.
        """
        upto = self.count() if upto is None else upto
        if upto <= self._synced:
            return
        self.check()
        await self._when_synced(upto)

    def _when_synced(self, upto: int) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        # Nearly always behind all others: whoever waits waits for what was appended last.
        at = len(self._waiting)
        while at and self._waiting[at - 1][0] > upto:
            at -= 1
        self._waiting.insert(at, (upto, future))
        return future

    def _end_turn_soon(self) -> None:
        if not self._ends_turn and not self._is_closed:
            assert self._loop is not None
            self._ends_turn = True
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        """Hands over to the writer."""
        self._ends_turn = False
        upto = self.count()
        for then in self._once_kept:
            self._call_once_kept(upto, then)
        self._once_kept.clear()
        if not self._turn:
            return
        self._handed_over.put((self._turn, upto))
        self._turn = []

    def _call_once_kept(self, upto: int, then: Callable[[], None]) -> None:
        if upto <= self._synced:
            then()
        else:
            self._when_synced(upto).add_done_callback(lambda done: then() if done.exception() is None else None)

    def close(self) -> None:
        """Writes what is left, and takes nothing more."""
        if self._loop is not None:
            self._end_turn()
        self._is_closed = True
        self._ends.set()
        self._handed_over.put(None)
        for thread in (self._thread, self._renewing):
            if thread is not None:
                thread.join()
        self._thread = self._renewing = None
        if self._file >= 0:
            os.ftruncate(self._file, self._end)
            os.close(self._file)
            self._file = -1
        self._folder.close()

    # -- the writer's thread

    def _write_all(self) -> None:
        while (turn := self._handed_over.get()) is not None:
            records, upto = turn
            ends = False
            while not ends and not self._handed_over.empty():  # all that came meanwhile
                further = self._handed_over.get()
                ends = further is None
                if further is not None:
                    records += further[0]
                    upto = further[1]
            before, after = _parted(records)
            if before and not self._write_until_kept(b"".join(before)):
                return
            if after is not None:
                self._begin_next()
                if after and not self._write_until_kept(b"".join(after)):
                    return
            self._tell(self._on_synced, upto)
            if ends:
                return

    def _write_until_kept(self, records: bytes) -> bool:
        """Tries again where the disk is full; gives up when the suite ends meanwhile."""
        while True:
            try:
                self._write(journal_frame(records, self._end))
                return True
            except OSError as error:
                self._tell(self._on_failed, error)
                if self._ends.wait(RETRY_SECONDS):
                    _log.error("what nobody was told to be kept is not: %s", error.strerror)
                    return False
                os.lseek(self._file, self._end, os.SEEK_SET)

    def _write(self, framed: bytes) -> None:
        """A frame that fails half way is written again over its remains: what the disk forgot of it does not matter."""
        if self._end + len(framed) > self._room_end and len(framed) < ROOM_BYTES // 16:
            self._make_room()
        view = memoryview(framed)
        while view:
            view = view[os.write(self._file, view) :]
        sync_file(self._file)
        self._end += len(framed)
        self._room_end = max(self._room_end, self._end)
        self._journal_bytes += len(framed)

    def _make_room(self) -> None:
        """For small frames, which wait for the disk the longest; where there is none, they grow the file themselves."""
        try:
            os.lseek(self._file, self._room_end, os.SEEK_SET)
            self._room_end += os.write(self._file, bytes(ROOM_BYTES))
        except OSError:
            _log.debug("no room is made ahead in `%s`", self._folder.path)
        finally:
            os.lseek(self._file, self._end, os.SEEK_SET)

    def _begin_next(self) -> None:
        """What comes now stands behind the state that is being written."""
        os.ftruncate(self._file, self._end)
        os.close(self._file)
        self._number += 1
        self._file = os.open(self._folder.journal(self._number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._end = self._room_end = self._journal_bytes = 0
        sync_folder(self._folder.path)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *arguments)

    # -- back on the loop

    def _on_synced(self, upto: int) -> None:
        if self._failure is not None:
            _log.warning("`%s` takes data again", self._folder.path)
            self._failure = None
        self._synced = upto
        self._renew_if_grown()
        while self._waiting and self._waiting[0][0] <= upto:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)

    # -- a new state, where the journal has grown

    def _renew_if_grown(self) -> None:
        """Never where records are in it of services that do not run: nobody could say what their state is."""
        if self._has_others or self._renewing is not None or self._is_closed:
            return
        if self._journal_bytes <= max(self._renewed_at_bytes, self._state_bytes):
            return
        self._end_turn()  # what this turn appended stands in the journal that ends here
        states = [(tag, part.state()) for tag, part in self._parts.items()]
        self._appended += 1
        self._handed_over.put(([_NEXT], self._appended))
        self._renewing = threading.Thread(target=self._write_state, args=(self._number + 1, states), daemon=True)
        self._renewing.start()

    def _write_state(self, number: int, states: Iterable[tuple[int, Iterable[bytes]]]) -> None:
        """Beside the journals, which stay in force until it is whole and on the disk."""
        state = self._folder.state(number)
        unfinished = state.with_name(f"{state.name}.unfinished")
        records = (record(tag, payload) for tag, payloads in states for payload in payloads)
        try:
            size = 0
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for framed in frames_of(records):
                    size += file.write(framed)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(state)
            sync_folder(self._folder.path)
            self._folder.remove_before(number)
        except OSError as error:
            _log.warning("`%s` could not be written: %s; the journals before it stay", state, error.strerror)
            unfinished.unlink(missing_ok=True)
            size = self._state_bytes
        self._tell(self._on_renewed, size)

    def _on_renewed(self, size: int) -> None:
        self._state_bytes = size
        self._renewing = None

    def _on_failed(self, error: OSError) -> None:
        if self._failure is None:
            _log.error("`%s` cannot keep data: %s; changes are refused until it can", self._folder.path, error.strerror)
        self._failure = StatusError(
            Code.RESOURCE_EXHAUSTED,
            f"`{self._folder.path}` cannot keep data: {error.strerror}; make room, and try again",
        )
        waiting, self._waiting = self._waiting, deque()
        for _, future in waiting:
            if not future.done():
                future.set_exception(self._failure)


def _parted(records: list[bytes]) -> tuple[list[bytes], list[bytes] | None]:
    """What belongs into the journal that is being written, and into the next one where that begins here."""
    if _NEXT not in records:
        return records, None
    at = records.index(_NEXT)
    return records[:at], records[at + 1 :]
