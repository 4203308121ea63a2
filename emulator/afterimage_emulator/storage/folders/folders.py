"""Folders of hierarchical buckets: made, listed, deleted, and moved with all that lies in them."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.folders.folder_records import Folder, folders_above
from afterimage_emulator.storage.folders.managed_folders import with_slash
from afterimage_emulator.storage.objects.preconditions import Preconditions
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Listing, Selection
from afterimage_emulator.storage.objects.store import ObjectStore

_NAME: Final = re.compile(r"(?:[^/\r\n]+/)+")


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderListing:
    """One page of a bucket's folders."""

    prefix: str = ""
    is_flat: bool = True
    """Whether folders within folders are told too."""
    start: str = ""
    end: str = ""
    after: str = ""
    size: int = 1000


class Folders:
    """The folders stand in the namespace of their bucket, and go and come back with it."""

    def __init__(self, *, store: ObjectStore, clock: Clock, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._store = store
        self._clock = clock

    def create(self, bucket: str, name: object, *, with_parents: bool) -> Folder:
        folders, name = self._of(bucket), _checked(name)
        if name in folders:
            raise StorageError(Reason.CONFLICT, f"The folder {bucket}/{name} exists already.")
        missing = [above for above in folders_above(name) if above not in folders]
        if missing and not with_parents:
            raise StorageError(Reason.CONFLICT, f"The parent folder {bucket}/{missing[-1]} does not exist.")
        now = self._clock.now_ns()
        for one in (*missing, name):
            folders[one] = Folder(bucket=bucket, name=one, created_ns=now, updated_ns=now)
            self._touch(folders[one].key)
        return folders[name]

    def get(self, bucket: str, name: str, preconditions: Preconditions) -> Folder:
        folder = self._of(bucket).get(str(with_slash(name)))
        if folder is None:
            raise StorageError(Reason.NOT_FOUND, f"The folder {bucket}/{name} does not exist.")
        preconditions.check_read(folder)
        return folder

    def page(self, bucket: str, wanted: FolderListing) -> tuple[list[Folder], bool]:
        """The page, and whether there are more."""
        if wanted.prefix and not wanted.prefix.endswith("/"):
            raise invalid(f"Invalid value for `prefix`: `{wanted.prefix[:100]}` must end in a slash")
        found = [
            folder
            for name, folder in self._of(bucket).items()
            if name.startswith(wanted.prefix)
            and name > wanted.after
            and name >= wanted.start
            and (not wanted.end or name < wanted.end)
            and (wanted.is_flat or "/" not in name[len(wanted.prefix) : -1])
        ]
        return found[: wanted.size], len(found) > wanted.size

    def delete(self, bucket: str, name: str, preconditions: Preconditions) -> None:
        folder = self._to_change(bucket, name, preconditions)
        if self._store.has_objects(bucket, folder.name) or len(self._below(bucket, folder.name)) > 1:
            raise StorageError(Reason.CONFLICT, "The folder you tried to delete is not empty.")
        del self._of(bucket)[folder.name]
        self._touch(folder.key)

    def delete_recursive(self, bucket: str, name: str, preconditions: Preconditions) -> int:
        """With all that lies in it, or nothing of it where something is kept."""
        folder = self._to_change(bucket, name, preconditions)
        records = self._objects_below(bucket, folder.name)
        for record in records:
            self._store.check_not_kept(record)
        for record in records:
            self._store.delete(Selection(bucket=bucket, name=record.name))
        folders = self._of(bucket)
        for one in self._below(bucket, folder.name):
            self._touch(folders.pop(one).key)
        return len(records)

    def rename(self, bucket: str, name: str, target: str, preconditions: Preconditions) -> Folder:
        """In one step: objects keep their generations, and folders within it move along."""
        folder, target = self._to_change(bucket, name, preconditions), _checked(target)
        folders = self._of(bucket)
        if target.startswith(folder.name):
            raise StorageError(Reason.CONFLICT, f"The folder {bucket}/{folder.name} cannot move into itself.")
        if target in folders or self._store.has_objects(bucket, target):
            raise StorageError(Reason.CONFLICT, f"The folder {bucket}/{target} exists already.")
        missing = [above for above in folders_above(target) if above not in folders]
        if missing:
            raise StorageError(Reason.CONFLICT, f"The parent folder {bucket}/{missing[-1]} does not exist.")
        records = self._objects_below(bucket, folder.name)
        for record in records:
            self._store.check_not_kept(record)
        now = self._clock.now_ns()
        for one in self._below(bucket, folder.name):
            gone = folders.pop(one)
            moved = replace(gone, name=target + one.removeprefix(folder.name))
            self._touch(gone.key)
            self._touch(moved.key)
            folders[moved.name] = replace(moved, metageneration=moved.metageneration + 1, updated_ns=now)
        for record in records:
            self._store.rename(record, target + record.name.removeprefix(folder.name))
        return folders[target]

    def find(self, bucket: str, name: str) -> Folder | None:
        """Whatever became of its bucket meanwhile."""
        return self._store.folders(bucket).get(name) if self._store.bucket_or_none(bucket) else None

    def adopt(self, folder: Folder) -> None:
        """Takes a folder over as it is, from what was kept."""
        self._store.folders(folder.bucket)[folder.name] = folder
        self._touch(folder.key)

    # -- inside

    def _of(self, bucket: str) -> MutableMapping[str, Folder]:
        if not self._store.bucket(bucket).has_hierarchy:
            raise StorageError(Reason.CONFLICT, f"The bucket {bucket} does not support hierarchical namespace.")
        return self._store.folders(bucket)

    def _to_change(self, bucket: str, name: str, preconditions: Preconditions) -> Folder:
        folder = self.get(bucket, name, Preconditions())
        preconditions.check_write(folder)
        return folder

    def _below(self, bucket: str, name: str) -> list[str]:
        """The folder itself, then those in it."""
        return [one for one in self._of(bucket) if one.startswith(name)]

    def _objects_below(self, bucket: str, name: str) -> list[ObjectRecord]:
        found: list[ObjectRecord] = []
        token = ""
        while True:
            page = self._store.list(Listing(bucket=bucket, prefix=name, page_token=token))
            found += page.items
            token = page.next_token
            if not token:
                return found


def _checked(name: object) -> str:
    name = with_slash(name)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > 1024:
        raise invalid(f"Invalid value for `name`: `{str(name)[:100]}` is no name of a folder; it ends in a slash")
    return name
