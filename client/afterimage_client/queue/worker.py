"""Runs what is in the queue: several keys at once, each key in order, until told to stop or until nothing is left.

While a server cannot be reached, one entry of its kind at a time tries again; the others wait for that one's luck.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from afterimage_client.database.errors import StoreError
from afterimage_client.queue.durable import DurableQueue
from afterimage_client.queue.entries import Entry, EntryStatus, OfflineError, waiting_between

Performer = Callable[[Entry], Awaitable[None]]
"""Does the work of one entry. It may complete the entry itself, in the transaction that books what it did."""

ManyPerformer = Callable[[Sequence[Entry]], Awaitable[Sequence[Entry]]]
"""Does the work of many entries at once, completes those that it did, and returns those that shall run one by one."""
MOST_TOGETHER: Final = 250

LOOK_AROUND_SECONDS: Final = 5.0
"""How often a worker looks for entries that another process put in, or left behind when it was killed."""
_log = logging.getLogger("afterimage_client.queue")


@dataclass(slots=True, kw_only=True)
class SyncReport:
    """What one `sync_all` did: ids of entries, and whether it ended early because nobody could be reached."""

    done: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    is_offline: bool = False


class QueueWorker:
    """Performers by kind, and how many entries may run at once."""

    def __init__(
        self,
        queue: DurableQueue,
        performers: Mapping[str, Performer],
        *,
        parallel: int = 8,
        together: Mapping[str, ManyPerformer] | None = None,
    ) -> None:
        if type(parallel) is not int or parallel < 1:
            raise ValueError(f"`parallel` is `{parallel!r}`: one entry at least has to run")
        self._queue = queue
        self._performers = dict(performers)
        self._together = dict(together or {})
        self._parallel = parallel
        self._running: dict[asyncio.Task[None], str] = {}
        self._offline: dict[str, float] = {}
        self._unsettled: list[Entry] = []
        self._loop: asyncio.Task[None] | None = None
        self._awake = asyncio.Event()

    @property
    def is_syncing(self) -> bool:
        return bool(self._running)

    @property
    def is_offline(self) -> bool:
        return bool(self._offline)

    def start(self) -> None:
        """Runs entries as they become due, until `stop`."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._work(), name="queue-worker")

    async def stop(self) -> None:
        """Ends the worker; what it was doing is called off and will be done again."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
            self._loop = None
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def try_now(self) -> None:
        """Tells the worker that the network is back: it does not wait for its next look."""
        self._offline.clear()
        self._hurry(self._performers)
        self._awake.set()

    async def sync_all(self) -> SyncReport:
        """Tries everything that waits now, back-off or not, each entry once; what comes meanwhile waits for later.

        It ends when each was tried: one that fails goes back to its back-off and is not tried again by this call. It
        ends early when nobody can be reached.
        """
        report = SyncReport()
        self._settle_what_could_not_be()
        self._queue.take_back()
        up_to = self._queue.newest_id()
        running: set[asyncio.Task[None]] = set()
        try:
            while True:
                free = 0 if report.is_offline else self._parallel - len(running)
                if free and up_to:
                    taken = self._queue.take(
                        self._performers, limit=self._most(free), up_to=up_to, early=True, without=report.waiting
                    )
                    running |= {asyncio.create_task(self._run_group(group, report)) for group in self._groups(taken)}
                if not running:
                    return report
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    # -- inside

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._awake.set)

        self._queue.notify(wake)
        try:
            while True:
                self._awake.clear()
                self._look_around()
                await self._something_changes()
        finally:
            self._queue.forget(wake)

    def _look_around(self) -> None:
        try:
            self._settle_what_could_not_be()
            self._queue.take_back()
            self._begin_what_may_run()
        except StoreError as error:  # a busy or full file is looked at again later
            _log.warning("the queue cannot be read or written now: %s", error)

    def _settle_what_could_not_be(self) -> None:
        """Entries whose end could not be written run again: whoever did their work knows them by their key."""
        while self._unsettled:
            self._queue.give_back(self._unsettled[-1])
            self._unsettled.pop()

    def _begin_what_may_run(self) -> None:
        reachable = [kind for kind in self._performers if kind not in self._offline]
        free = self._parallel - len(self._running)
        for group in self._groups(
            self._queue.take(reachable, limit=self._most(free)) if free > 0 and reachable else []
        ):
            self._begin(group)
        begin, end = waiting_between(self._queue.clock.now())
        for kind, until in self._offline.items():
            if not begin <= until <= end and kind not in self._running.values():
                for entry in self._queue.take([kind], early=True):
                    self._begin([entry])

    def _begin(self, group: Sequence[Entry]) -> None:
        task = asyncio.create_task(self._run_group(group, SyncReport()))
        self._running[task] = group[0].kind
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._awake.set()

    def _next_due(self) -> float | None:
        reachable = [kind for kind in self._performers if kind not in self._offline]
        if not reachable or len(self._running) >= self._parallel:
            return None
        try:
            return self._queue.next_due(reachable)
        except StoreError as error:  # as in `_look_around`
            _log.warning("the queue cannot be read now: %s", error)
            return None

    async def _something_changes(self) -> None:
        now = self._queue.clock.now()
        wait = LOOK_AROUND_SECONDS
        for moment in (self._next_due(), *self._offline.values()):
            if moment is not None and moment > now:
                wait = min(wait, moment - now)
        pause = asyncio.ensure_future(self._queue.clock.sleep(wait))
        woken = asyncio.ensure_future(self._awake.wait())
        try:
            await asyncio.wait({pause, woken}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            woken.cancel()

    def _most(self, free: int) -> int:
        return free * MOST_TOGETHER if self._together else free

    def _groups(self, taken: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
        """Entries that run together, and those that run alone."""
        for kind in self._together:
            alike = [entry for entry in taken if entry.kind == kind]
            for start in range(0, len(alike), MOST_TOGETHER):
                yield alike[start : start + MOST_TOGETHER]
        for entry in taken:
            if entry.kind not in self._together:
                yield [entry]

    async def _run_group(self, group: Sequence[Entry], report: SyncReport) -> None:
        alone = group
        if len(group) > 1:
            try:
                alone = await self._together[group[0].kind](group)
            except asyncio.CancelledError:
                self._call_off(group)
                raise
            except Exception as error:  # whatever went wrong together, each entry's own attempt tells whose fault it is
                _log.warning("%d entries did not run together: %s", len(group), error)
            done = {entry.id for entry in group} - {entry.id for entry in alone}
            report.done += sorted(done)
            if done:
                self._is_reachable(group[0].kind)
        for start in range(0, len(alone), self._parallel):
            await asyncio.gather(*(self._run(entry, report) for entry in alone[start : start + self._parallel]))
            if report.is_offline:
                self._call_off(alone[start + self._parallel :])
                return

    async def _run(self, entry: Entry, report: SyncReport) -> None:
        try:
            failure = await self._outcome(entry)
            if failure is not None:
                self._failed(entry, failure, report)
                return
            if self._queue.is_held(entry):
                self._queue.complete(entry)
            self._is_reachable(entry.kind)
        except StoreError as error:
            _log.warning("the end of `%s` cannot be written now: %s", entry.key, error)
            self._unsettled.append(entry)
            report.waiting.append(entry.id)
            return
        report.done.append(entry.id)

    async def _outcome(self, entry: Entry) -> Exception | None:
        try:
            await self._performers[entry.kind](entry)
        except asyncio.CancelledError:
            self._call_off([entry])
            raise
        except Exception as error:  # whatever a performer raises is its entry's failure, and no other's
            return error
        return None

    def _call_off(self, entries: Sequence[Entry]) -> None:
        try:
            self._queue.give_back(*entries)
        except StoreError as error:
            _log.warning("%d entries cannot be given back now: %s", len(entries), error)
            self._unsettled += entries

    def _failed(self, entry: Entry, error: Exception, report: SyncReport) -> None:
        after = self._queue.fail(entry, error)
        if isinstance(error, OfflineError):
            self._offline[entry.kind] = after.due
            report.is_offline = True
        else:
            self._is_reachable(entry.kind)
        is_dead = after.status is EntryStatus.FAILED
        (report.failed if is_dead else report.waiting).append(entry.id)
        _log.log(logging.WARNING if is_dead else logging.INFO, "`%s` failed: %s", entry.key, after.reason)

    def _is_reachable(self, kind: str) -> None:
        if self._offline.pop(kind, None) is not None:
            self._hurry([kind])

    def _hurry(self, kinds: Collection[str]) -> None:
        try:
            self._queue.hurry(kinds)
        except StoreError as error:  # they come at their time then
            _log.warning("what waits cannot be hurried now: %s", error)
