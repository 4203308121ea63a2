"""Buckets that were deleted and may come back, with those of their objects that could be restored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock, Timer
from afterimage_emulator.durable.entries import Touch
from afterimage_emulator.storage.errors import no_such_bucket
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.listing import Namespace
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord


@dataclass(frozen=True, slots=True)
class DeletedBucket:
    """A bucket as it was, and what lay in it."""

    record: BucketRecord
    namespace: Namespace


class DeletedBuckets:
    """By name and generation: one name may have been deleted several times."""

    def __init__(self, *, clock: Clock, files: BlobFiles, touch: Touch) -> None:
        self._touch = touch
        self._clock = clock
        self._files = files
        self._kept: dict[tuple[str, int], DeletedBucket] = {}
        self._timer: Timer | None = None

    def reset(self) -> None:
        self._kept.clear()
        self._arm()

    def add(self, bucket: BucketRecord, namespace: Namespace) -> None:
        """For as long as the bucket's own policy keeps its objects."""
        now = self._clock.now_ns()
        ends = now + bucket.soft_delete_seconds * NANOS_PER_SECOND
        self.keep(replace(bucket, soft_deleted_ns=now, hard_deleted_ns=ends), namespace)

    def keep(self, bucket: BucketRecord, namespace: Namespace) -> None:
        """One that says itself until when, as an export has it."""
        self._kept[bucket.name, bucket.generation] = DeletedBucket(bucket, namespace)
        self._touch(deleted_bucket_key(bucket.name, bucket.generation))
        for kept in namespace.soft_deleted.values():
            for record in kept:
                self._touch(record.key)
        self._arm()

    def find(self, name: str, generation: int) -> BucketRecord:
        return self._found(name, generation).record

    def take(self, name: str, generation: int) -> DeletedBucket:
        """Whoever takes one has it; it is not deleted any more."""
        found = self._found(name, generation)
        del self._kept[name, generation]
        self._touch(deleted_bucket_key(name, generation))
        self._arm()
        return DeletedBucket(replace(found.record, soft_deleted_ns=None, hard_deleted_ns=None), found.namespace)

    def find_or_none(self, name: str, generation: int) -> BucketRecord | None:
        found = self._kept.get((name, generation))
        return None if found is None else found.record

    def placed_object(self, bucket: str, name: str, generation: int) -> tuple[int, ObjectRecord] | None:
        """The generation of the bucket that keeps it, and the record."""
        for (owner, of_bucket), deleted in self._kept.items():
            for record in deleted.namespace.soft_deleted.get(name, ()) if owner == bucket else ():
                if record.generation == generation:
                    return of_bucket, record
        return None

    def adopt_object(self, record: ObjectRecord, bucket_generation: int) -> None:
        """From an import, or from what was kept."""
        kept = self._found(record.bucket, bucket_generation).namespace.soft_deleted
        kept.setdefault(record.name, []).append(record)
        kept[record.name].sort(key=lambda one: one.generation)
        self._touch(record.key)

    def records(self) -> list[BucketRecord]:
        """In order of names, then of generations."""
        return [deleted.record for _, deleted in sorted(self._kept.items(), key=lambda item: item[0])]

    def objects(self) -> Iterator[tuple[BucketRecord, ObjectRecord]]:
        """All that could be restored in them."""
        for deleted in self._kept.values():
            for kept in deleted.namespace.soft_deleted.values():
                for one in kept:
                    yield deleted.record, one

    def _found(self, name: str, generation: int) -> DeletedBucket:
        found = self._kept.get((name, generation))
        if found is None:
            raise no_such_bucket()
        return found

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._kept:
            due = min(deleted.record.hard_deleted_ns or 0 for deleted in self._kept.values())
            self._timer = self._clock.call_later(max(0, due - self._clock.now_ns()) / NANOS_PER_SECOND, self._purge)

    def _purge(self) -> None:
        now = self._clock.now_ns()
        for place, deleted in list(self._kept.items()):
            if (deleted.record.hard_deleted_ns or 0) <= now:
                del self._kept[place]
                self._touch(deleted_bucket_key(*place))
                deleted.namespace.release_all(self._files.release, self._touch)
        self._arm()


def deleted_bucket_key(name: str, generation: int) -> str:
    """Under which one is kept."""
    return f"deleted-bucket/{name}/{generation}"
