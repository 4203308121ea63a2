"""Applies lifecycle rules once a day of the suite's clock, at midnight UTC."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.storage.lifecycle.rules import ABORT, DELETE, SET_CLASS, Age, LifecycleRule, read_rules
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.uploads.in_parts import UploadsInParts

_DAY_SECONDS: Final = 24 * 3600
_COLDER: Final = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
_log = logging.getLogger("afterimage_emulator.storage")


class LifecycleRuns:
    """A clock that nobody asks for rules has no timer of this."""

    def __init__(self, *, store: ObjectStore, in_parts: UploadsInParts, clock: Clock) -> None:
        self._store = store
        self._in_parts = in_parts
        self._clock = clock
        self._timer: Timer | None = None
        store.watch_buckets(self._arm)

    def _arm(self) -> None:
        """For the next midnight, while any bucket has rules."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if any(bucket.settings.get("lifecycle") for bucket in self._store.buckets()):
            passed = self._clock.now_ns() % (_DAY_SECONDS * NANOS_PER_SECOND)
            self._timer = self._clock.call_later(_DAY_SECONDS - passed / NANOS_PER_SECOND, self._run)

    def _run(self) -> None:
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
                age = Age(now_ns=now, newer_versions=len(generations) - 1 - place)
                if any(rule.holds(record, age) for rule in deletes):
                    self._store.delete_by_rule(record)
                    continue
                wanted = {rule.storage_class or "" for rule in changes if rule.holds(record, age)}
                colder = _coldest(record, wanted)
                if colder is not None:
                    self._store.change_class(record, colder)

    def _abort(self, bucket: BucketRecord, rules: Sequence[LifecycleRule]) -> None:
        now = self._clock.now_ns()
        for upload in self._in_parts.of_bucket(bucket.name):
            name, began = upload.request.name, upload.started_ns
            if any(rule.action == ABORT and rule.holds_of_upload(name, began, now) for rule in rules):
                self._in_parts.give_up(upload)
                _log.info("lifecycle ended the upload in parts of %s/%s", bucket.name, name)


def _coldest(record: ObjectRecord, wanted: set[str]) -> str | None:
    """Classes only get colder by rule; of several that hold the coldest counts."""
    is_now = _COLDER.index(record.storage_class) if record.storage_class in _COLDER else 0
    colder = [one for one in _COLDER[is_now + 1 :] if one in wanted]
    return colder[-1] if colder else None
