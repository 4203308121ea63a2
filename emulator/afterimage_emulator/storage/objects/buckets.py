"""Buckets as they stand, those that were deleted and may come back, and the namespace of each."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import replace

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import Touch
from afterimage_emulator.storage.errors import Reason, SpecificError, no_such_bucket
from afterimage_emulator.storage.folders.folder_records import Folder
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.listing import Namespace
from afterimage_emulator.storage.objects.names import check_bucket_name
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS, Preconditions
from afterimage_emulator.storage.objects.records import BucketRecord, bucket_key
from afterimage_emulator.storage.objects.requests import BucketEdit, NewBucket
from afterimage_emulator.storage.restoring.deleted_buckets import DeletedBuckets
from afterimage_emulator.storage.restoring.soft_deleted import SoftDeleted


class BucketIndex:
    """What the store of objects stands on; numbers of generations are given out here."""

    def __init__(self, *, clock: Clock, files: BlobFiles, touch: Touch) -> None:
        self._touch = touch
        self._clock = clock
        self._files = files
        self._last_generation = 0
        self._buckets: dict[str, BucketRecord] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._soft_deleted = SoftDeleted(clock=clock, files=files, namespaces=self._namespaces, touch=touch)
        self.deleted_buckets = DeletedBuckets(clock=clock, files=files, touch=touch)
        self._watchers: list[Callable[[], None]] = []

    def forget_buckets(self) -> None:
        self._buckets.clear()
        self._namespaces.clear()
        self._soft_deleted.reset()
        self.deleted_buckets.reset()

    def watch_buckets(self, changed: Callable[[], None]) -> None:
        """`changed` is called when a bucket comes, or its settings change."""
        self._watchers.append(changed)

    def _put_bucket(self, bucket: BucketRecord) -> None:
        self._buckets[bucket.name] = bucket
        self._namespaces.setdefault(bucket.name, Namespace())
        self._touch(bucket_key(bucket.name))
        if bucket.settings:
            for changed in self._watchers:
                changed()

    def create_bucket(self, request: NewBucket) -> BucketRecord:
        check_bucket_name(request.name)
        self._refuse_taken(request.name)
        now = self._clock.now_ns()
        bucket = BucketRecord(
            name=request.name,
            project=request.project,
            generation=self._next_generation(now),
            metageneration=1,
            location=request.location.upper(),
            storage_class=request.storage_class,
            created_ns=now,
            updated_ns=now,
            settings=request.settings,
        )
        self._put_bucket(bucket)
        return bucket

    def ensure_bucket(self, name: str) -> BucketRecord:
        """The bucket, made on the spot where there is none: local code should not have to create its buckets."""
        return self._buckets.get(name) or self.create_bucket(NewBucket(name=name))

    def bucket(self, name: str, preconditions: Preconditions = NO_PRECONDITIONS) -> BucketRecord:
        bucket = self._buckets.get(name)
        if bucket is None:
            raise no_such_bucket()
        preconditions.check_read(bucket)
        return bucket

    def bucket_or_none(self, name: str) -> BucketRecord | None:
        return self._buckets.get(name)

    def buckets(self, *, project: str | None = None, prefix: str = "") -> list[BucketRecord]:
        """In order of names. A bucket made on the spot belongs to every project."""
        return [
            bucket
            for name, bucket in sorted(self._buckets.items())
            if name.startswith(prefix) and (project is None or bucket.project in (None, project))
        ]

    def edit_bucket(self, request: BucketEdit) -> BucketRecord:
        old = self._buckets.get(request.name)
        if old is None:
            raise no_such_bucket()
        request.preconditions.check_write(old)
        new = replace(request.change(old), metageneration=old.metageneration + 1, updated_ns=self._clock.now_ns())
        self._put_bucket(new)
        return new

    def delete_bucket(self, name: str, preconditions: Preconditions = NO_PRECONDITIONS) -> None:
        bucket = self._buckets.get(name)
        if bucket is None:
            raise no_such_bucket()
        preconditions.check_write(bucket)
        if not self._namespaces[name].is_empty():
            raise SpecificError(Reason.CONFLICT, "BucketNotEmpty", "The bucket you tried to delete is not empty.")
        del self._buckets[name]
        namespace = self._namespaces.pop(name)
        self._touch(bucket_key(name))
        for folder in namespace.folders.values():
            self._touch(folder.key)
        namespace.folders.clear()
        if bucket.soft_delete_seconds:
            self.deleted_buckets.add(bucket, namespace)
        else:
            namespace.release_all(self._files.release, self._touch)

    def restore_bucket(self, name: str, generation: int) -> BucketRecord:
        """With its settings, and with the objects that could be restored when it went and still can."""
        self.deleted_buckets.find(name, generation)
        self._refuse_taken(name)
        deleted = self.deleted_buckets.take(name, generation)
        self._namespaces[name] = deleted.namespace
        self._put_bucket(deleted.record)
        self._soft_deleted.keep_all_of(name)
        return deleted.record

    def _refuse_taken(self, name: str) -> None:
        if name in self._buckets:
            raise SpecificError(
                Reason.CONFLICT,
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
            )

    def folders(self, bucket: str) -> MutableMapping[str, Folder]:
        """The folders of a hierarchical bucket by name, in order."""
        folders: MutableMapping[str, Folder] = self._namespaces[bucket].folders
        return folders

    def adopt_bucket(self, bucket: BucketRecord) -> None:
        """Takes a bucket over as it is, from an import; an older export says nothing of its generation."""
        if not bucket.generation:
            bucket = replace(bucket, generation=self._next_generation(self._clock.now_ns()))
        self._last_generation = max(self._last_generation, bucket.generation)
        if bucket.soft_deleted_ns is None:
            self._put_bucket(bucket)
        else:
            self.deleted_buckets.keep(bucket, Namespace())

    def _next_generation(self, now_ns: int) -> int:
        self._last_generation = max(self._last_generation + 1, now_ns // 1000)
        return self._last_generation
