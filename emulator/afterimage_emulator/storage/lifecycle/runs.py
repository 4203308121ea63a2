"""Applies lifecycle rules once a day of the suite's clock, at midnight UTC."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.storage.lifecycle.rules import ABORT, DAY_NS, DELETE, SET_CLASS, LifecycleRule, read_rules
from afterimage_emulator.storage.objects.holds import retained_until_ns
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.uploads.in_parts import UploadsInParts

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_COLDER: Final = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
_log = logging.getLogger("afterimage_emulator.storage")


class LifecycleRuns:
    """A clock that nobody asks for rules has no timer of this."""

    def __init__(self, *, store: ObjectStore, in_parts: UploadsInParts, clock: Clock) -> None:
        self._store = store
        self._in_parts = in_parts
        self._clock = clock
        self._timer: Timer | None = None
        self._has_changed = False
        store.watch_buckets(self._arm)

    def _arm(self) -> None:
        """For the next midnight, while any bucket has rules.

        Nothing but rules changes objects while somebody moves the clock, so that midnights at which no rule can have
        come to hold are leapt over: years pass in as many runs as have something to do.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not any(bucket.settings.get("lifecycle") for bucket in self._store.buckets()):
            return
        now = self._clock.now_ns()
        at = _midnight_after(now)
        moving_to = self._clock.moving_to
        if moving_to is not None and not self._has_changed:  # what was changed may be due again at once
            ends = _midnight_after((moving_to - _EPOCH) // timedelta(microseconds=1) * 1000)
            due = min((moment for moment in self._dues() if moment > now), default=ends)
            at = min(max(at, _midnight_after(due - 1)), ends)
        self._timer = self._clock.call_later((at - now) / NANOS_PER_SECOND, self._run)

    def _run(self) -> None:
        self._has_changed = False
        for bucket in self._store.buckets():
            if bucket.settings.get("lifecycle"):
                rules = read_rules(bucket.settings["lifecycle"])
                self._apply(bucket, rules)
                self._abort(bucket, rules)
        self._arm()

    def _apply(self, bucket: BucketRecord, rules: Sequence[LifecycleRule]) -> None:
        now = self._clock.now_ns()
        deletes = [rule for rule in rules if rule.action == DELETE]
        changes = [rule for rule in rules if rule.action == SET_CLASS]
        for generations in self._store.generations(bucket.name):
            for place, record in enumerate(generations):
                newer = len(generations) - 1 - place
                if any(_holds(rule, record, newer, now) for rule in deletes):
                    self._has_changed |= self._store.delete_by_rule(record)
                    continue
                wanted = {rule.storage_class or "" for rule in changes if _holds(rule, record, newer, now)}
                colder = _coldest(record, wanted)
                if colder is not None:
                    self._store.change_class(record, colder)
                    self._has_changed = True

    def _abort(self, bucket: BucketRecord, rules: Sequence[LifecycleRule]) -> None:
        now = self._clock.now_ns()
        aborts = [rule for rule in rules if rule.action == ABORT]
        for upload in self._in_parts.of_bucket(bucket.name):
            dues = [rule.due_ns_of_upload(upload.request.name, upload.started_ns) for rule in aborts]
            if any(due is not None and due <= now for due in dues):
                self._in_parts.give_up(upload)
                self._has_changed = True
                _log.info("lifecycle ended the upload in parts of %s/%s", bucket.name, upload.request.name)

    def _dues(self) -> Iterator[int]:
        """From when on each rule holds of each object and each upload, and when what is retained may go."""
        for bucket in self._store.buckets():
            if not bucket.settings.get("lifecycle"):
                continue
            rules = read_rules(bucket.settings["lifecycle"])
            for generations in self._store.generations(bucket.name):
                for place, record in enumerate(generations):
                    newer = len(generations) - 1 - place
                    dues = [rule.due_ns(record, newer) for rule in rules if rule.action != ABORT]
                    yield from (due for due in dues if due is not None)
                    until = retained_until_ns(bucket, record)
                    if until is not None:
                        yield until
            for upload in self._in_parts.of_bucket(bucket.name):
                aborts = (rule for rule in rules if rule.action == ABORT)
                dues = [rule.due_ns_of_upload(upload.request.name, upload.started_ns) for rule in aborts]
                yield from (due for due in dues if due is not None)


def _holds(rule: LifecycleRule, record: ObjectRecord, newer_versions: int, now_ns: int) -> bool:
    due = rule.due_ns(record, newer_versions)
    return due is not None and due <= now_ns


def _midnight_after(moment_ns: int) -> int:
    return (moment_ns // DAY_NS + 1) * DAY_NS


def _coldest(record: ObjectRecord, wanted: set[str]) -> str | None:
    """Classes only get colder by rule; of several that hold the coldest counts."""
    is_now = _COLDER.index(record.storage_class) if record.storage_class in _COLDER else 0
    colder = [one for one in _COLDER[is_now + 1 :] if one in wanted]
    return colder[-1] if colder else None
