"""Managed folders of a bucket: names that policies may be set on, whether or not objects lie below them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.storage.access.policies import Policy
from afterimage_emulator.storage.errors import Reason, StorageError, condition_not_met, invalid
from afterimage_emulator.storage.folders.folder_records import Folder
from afterimage_emulator.storage.objects.preconditions import Preconditions
from afterimage_emulator.storage.objects.records import BucketRecord
from afterimage_emulator.storage.objects.store import ObjectStore

_LEVELS: Final = 15
_NAME: Final = re.compile(r"(?:[^/\r\n]+/)+")


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagedFolder(Folder):
    """One that policies may be set on."""

    policy: Policy = ()

    @property
    def key(self) -> str:
        """Under which it is kept."""
        return f"folder/{self.bucket}/{self.name}"


class ManagedFolders:
    """The folders of all buckets; they go with their bucket."""

    def __init__(self, *, store: ObjectStore, clock: Clock, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._store = store
        self._clock = clock
        self._folders: dict[tuple[str, str], ManagedFolder] = {}

    def reset(self) -> None:
        self._folders.clear()

    def create(self, bucket_name: str, name: object) -> ManagedFolder:
        bucket = self._bucket(bucket_name)
        name = with_slash(name)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > 1024:
            raise invalid(f"Invalid value for `name`: `{str(name)[:100]}` is no name of a folder; it ends in a slash")
        if name.count("/") > _LEVELS:
            raise invalid(f"Invalid value for `name`: `{name[:100]}` is deeper than {_LEVELS} levels")
        if self._found(bucket, name) is not None:
            raise StorageError(Reason.CONFLICT, f"The managed folder {bucket_name}/{name} exists already.")
        now = self._clock.now_ns()
        folder = ManagedFolder(bucket=bucket_name, name=name, created_ns=now, updated_ns=now)
        return self._put(folder)

    def adopt(self, folder: ManagedFolder) -> None:
        """Takes a folder over as it is, from an import."""
        self._put(folder)

    def find(self, bucket_name: str, name: str) -> ManagedFolder | None:
        """Whatever became of its bucket meanwhile."""
        return self._folders.get((bucket_name, name))

    def _put(self, folder: ManagedFolder) -> ManagedFolder:
        self._folders[folder.bucket, folder.name] = folder
        self._touch(folder.key)
        return folder

    def get(self, bucket_name: str, name: str, preconditions: Preconditions) -> ManagedFolder:
        folder = self._found(self._bucket(bucket_name), str(with_slash(name)))
        if folder is None:
            raise StorageError(Reason.NOT_FOUND, f"The managed folder {bucket_name}/{name} does not exist.")
        preconditions.check_read(folder)
        return folder

    def put(self, folder: ManagedFolder) -> ManagedFolder:
        new = replace(folder, metageneration=folder.metageneration + 1, updated_ns=self._clock.now_ns())
        return self._put(new)

    def of_bucket(self, bucket_name: str, prefix: str = "") -> list[ManagedFolder]:
        bucket = self._store.bucket(bucket_name)
        return [
            folder
            for (owner, name), folder in sorted(self._folders.items())
            if owner == bucket_name and name.startswith(prefix) and folder.created_ns >= bucket.created_ns
        ]

    def names_of(self, bucket_name: str) -> list[str]:
        """The bucket may not be there."""
        is_there = self._store.bucket_or_none(bucket_name) is not None
        return [folder.name for folder in self.of_bucket(bucket_name)] if is_there else []

    def delete(self, bucket_name: str, name: str, preconditions: Preconditions, *, allows_objects: bool) -> None:
        folder = self.get(bucket_name, name, preconditions)
        if not allows_objects and self._store.has_objects(bucket_name, folder.name):
            raise StorageError(Reason.CONFLICT, "The managed folder you tried to delete is not empty.")
        del self._folders[folder.bucket, folder.name]
        self._touch(folder.key)

    def _bucket(self, name: str) -> BucketRecord:
        """Policies of folders need a bucket that has policies alone."""
        bucket = self._store.bucket(name)
        if not bucket.has_uniform_access:
            raise condition_not_met()
        return bucket

    def _found(self, bucket: BucketRecord, name: str) -> ManagedFolder | None:
        folder = self._folders.get((bucket.name, name))
        return None if folder is None or folder.created_ns < bucket.created_ns else folder


def with_slash(name: object) -> object:
    """Clients may leave out the slash that every folder's name ends in."""
    return f"{name}/" if isinstance(name, str) and name and not name.endswith("/") else name
