"""Deleted generations that may come back: kept for as long as their bucket's policy said when they went."""

from __future__ import annotations

import heapq
from dataclasses import replace

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.durable.entries import Touch
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.listing import Namespace
from afterimage_emulator.storage.objects.records import ObjectRecord


class SoftDeleted:
    """The records stand in the namespaces of their buckets; here is when each of them goes for good."""

    def __init__(self, *, clock: Clock, files: BlobFiles, namespaces: dict[str, Namespace], touch: Touch) -> None:
        self._touch = touch
        self._clock = clock
        self._files = files
        self._namespaces = namespaces
        self._due: list[tuple[int, str, str, int]] = []
        self._timer: Timer | None = None

    def add(self, record: ObjectRecord, seconds: int) -> None:
        now = self._clock.now_ns()
        self.keep(replace(record, soft_deleted_ns=now, hard_deleted_ns=now + seconds * NANOS_PER_SECOND))

    def keep(self, record: ObjectRecord) -> None:
        """A record that says itself until when, as an export has it."""
        kept = self._namespaces[record.bucket].soft_deleted.setdefault(record.name, [])
        kept.append(record)
        self._touch(record.key)
        kept.sort(key=lambda one: one.generation)
        due = (record.hard_deleted_ns or 0, record.bucket, record.name, record.generation)
        heapq.heappush(self._due, due)
        if self._due[0] is due:
            self._arm()

    def find(self, bucket: str, name: str, generation: int | None) -> ObjectRecord | None:
        namespace = self._namespaces.get(bucket)
        kept: list[ObjectRecord] = [] if namespace is None else namespace.soft_deleted.get(name, [])
        return next((record for record in kept if record.generation == generation), None)

    def keep_all_of(self, bucket: str) -> None:
        """Those of a bucket that came back; what was due while it was gone goes at once."""
        for kept in self._namespaces[bucket].soft_deleted.values():
            for record in kept:
                self._touch(record.key)
                heapq.heappush(self._due, (record.hard_deleted_ns or 0, bucket, record.name, record.generation))
        self._arm()

    def reset(self) -> None:
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._due:
            seconds = (self._due[0][0] - self._clock.now_ns()) / NANOS_PER_SECOND
            self._timer = self._clock.call_later(max(0.0, seconds), self._purge)

    def _purge(self) -> None:
        now = self._clock.now_ns()
        while self._due and self._due[0][0] <= now:
            _, bucket, name, generation = heapq.heappop(self._due)
            record = self.find(bucket, name, generation)
            if record is None or (record.hard_deleted_ns or 0) > now:
                continue
            kept = self._namespaces[bucket].soft_deleted
            kept[name].remove(record)
            self._touch(record.key)
            if not kept[name]:
                del kept[name]
            self._files.release(record.blob)
        self._arm()
