"""Owns what Drive keeps: files with revisions, what it purges, how much room there is, its feed, and what people do."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 30, 12, tzinfo=UTC)
PURGED_AFTER = timedelta(days=30)
MOST_UNKEPT = 100
MOST_KEPT = 200


class DriveFaultError(Exception):
    """What Drive answers instead of a success."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.message = message or reason


@dataclass
class Revision:
    id: str
    data: bytes
    at: datetime
    mime: str
    is_kept: bool
    by_app: bool

    @property
    def md5(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()


@dataclass
class KeptFile:
    id: str
    name: str
    mime: str
    parents: list[str]
    properties: dict[str, str]
    made: int
    revisions: list[Revision] = field(default_factory=list)
    is_trashed: bool = False
    is_locked: bool = False

    @property
    def head(self) -> Revision:
        return self.revisions[-1]


@dataclass
class Drive:
    """One account's Drive."""

    email: str
    clock: list[datetime]
    """The server's; one entry."""
    limit: int | None = 15 * 1024**3
    files: dict[str, KeptFile] = field(default_factory=dict)
    issued: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    feed: list[str] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(7))
    purged: int = 0
    lost: list[bytes] = field(default_factory=list)
    """Contents of people that were purged because this app had put something over them."""
    _count: Iterator[int] = field(default_factory=itertools.count)

    @property
    def now(self) -> datetime:
        # Each thing that happens has a time of its own, as at Google.
        self.clock[0] += timedelta(milliseconds=1)
        return self.clock[0]

    @property
    def permission(self) -> str:
        return str(int(hashlib.sha256(self.email.encode()).hexdigest()[:15], 16))

    def new_id(self, prefix: str = "1") -> str:
        made = prefix + "".join(
            self.dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", k=32)
        )
        self.issued.add(made)
        return made

    def usage(self) -> int:
        self.purge()
        return sum(len(revision.data) for file in self.files.values() for revision in file.revisions)

    def visible(self, identifier: str) -> KeptFile:
        self.purge()
        found = self.files.get(identifier)
        if found is None:
            raise DriveFaultError(404, "notFound", f"File not found: {identifier}.")
        return found

    def revision(self, identifier: str, revision: str) -> Revision:
        found = next((each for each in self.visible(identifier).revisions if each.id == revision), None)
        if found is None:
            raise DriveFaultError(404, "notFound", f"Revision not found: {revision}.")
        return found

    def make(self, about: Mapping[str, Any]) -> KeptFile:
        identifier = str(about.get("id") or self.new_id())
        if identifier in self.used:
            raise DriveFaultError(409, "fileIdInUse", "A file already exists with the provided ID.")
        if identifier not in self.issued:
            raise DriveFaultError(400, "invalid", "The provided file ID is not usable.")
        for parent in about.get("parents", []):
            self.visible(parent)
        made = KeptFile(
            id=identifier, name=str(about.get("name", "Untitled")), mime=str(about.get("mimeType", "")),
            parents=list(about.get("parents", ["root"])), properties=dict(about.get("appProperties", {})),
            made=next(self._count),
        )  # fmt: skip
        self._refuse_long(made.properties)
        self.files[identifier] = made
        self.used.add(identifier)
        self.feed.append(identifier)
        return made

    def change(self, identifier: str, about: Mapping[str, Any]) -> KeptFile:
        file = self.visible(identifier)
        file.name = str(about.get("name", file.name))
        file.mime = str(about.get("mimeType", file.mime))
        file.is_trashed = bool(about.get("trashed", file.is_trashed))
        file.properties |= about.get("appProperties", {})
        self._refuse_long(file.properties)
        self.feed.append(identifier)
        return file

    def put(self, file: KeptFile, data: bytes, mime: str, *, is_kept: bool, by_app: bool = True) -> None:
        if is_kept:
            self.refuse_more_kept(file)
        self.refuse_without_room(len(data))
        file.revisions.append(
            Revision(id=self.new_id("0B"), data=data, at=self.now, mime=mime, is_kept=is_kept, by_app=by_app)
        )
        self.feed.append(file.id)
        self.purge()

    def refuse_locked(self, identifier: str) -> None:
        if self.visible(identifier).is_locked:
            raise DriveFaultError(403, "cannotModifyContent", "The file is locked.")

    def refuse_without_room(self, size: int) -> None:
        if self.limit is not None and self.usage() + size > self.limit:
            raise DriveFaultError(403, "storageQuotaExceeded", "The user's Drive storage quota has been exceeded.")

    def refuse_more_kept(self, file: KeptFile) -> None:
        if sum(each.is_kept for each in file.revisions) >= MOST_KEPT:
            raise DriveFaultError(403, "cannotKeepMoreRevisions", "Only 200 revisions can be kept forever.")

    def keep(self, identifier: str, revision: str, *, is_kept: bool) -> Revision:
        found = self.revision(identifier, revision)
        if is_kept and not found.is_kept:
            self.refuse_more_kept(self.files[identifier])
        found.is_kept = is_kept
        return found

    def purge(self) -> None:
        """After thirty days under newer content, or earlier where a hundred are not kept; the head never."""
        now = self.clock[0]
        for file in self.files.values():
            old = [
                revision
                for revision, newer in itertools.pairwise(file.revisions)
                if not revision.is_kept and now - newer.at > PURGED_AFTER
            ]
            loose = [each for each in file.revisions[:-1] if not each.is_kept and each not in old]
            old += loose[: max(0, len(loose) - MOST_UNKEPT)]
            self.purged += len(old)
            self.lost += [
                each.data for each, newer in itertools.pairwise(file.revisions)
                if each in old and newer.by_app and not each.by_app
            ]  # fmt: skip
            file.revisions = [each for each in file.revisions if each not in old]

    def _refuse_long(self, properties: Mapping[str, str]) -> None:
        if len(properties) > 30 or any(len(f"{key}{value}".encode()) > 124 for key, value in properties.items()):
            raise DriveFaultError(400, "propertyValueTooLong", "A property is too long.")

    # -- people, in Drive's own pages

    def person_edits(self, identifier: str, data: bytes) -> Revision:
        file = self.files[identifier]
        self.put(file, data, file.mime, is_kept=False, by_app=False)
        return file.head

    def person_keeps(self, data: bytes) -> Revision:
        """A content of long ago that somebody keeps for ever."""
        return Revision(
            id=self.new_id("0B"), data=data, at=self.now - timedelta(days=400), mime="", is_kept=True, by_app=False
        )

    def person_renames(self, identifier: str, name: str) -> None:
        self.files[identifier].name = name
        self.feed.append(identifier)

    def person_trashes(self, identifier: str, *, is_trashed: bool = True) -> None:
        for file in self.files.values():
            if file.id == identifier or identifier in file.parents:
                file.is_trashed = is_trashed
        self.feed.append(identifier)

    def person_locks(self, identifier: str) -> None:
        self.files[identifier].is_locked = True
        self.feed.append(identifier)

    def person_deletes(self, identifier: str) -> None:
        for file in list(self.files.values()):
            if file.id == identifier or identifier in file.parents:
                del self.files[file.id]
        self.feed.append(identifier)

    # -- what tests ask

    def of_file(self, file: str) -> list[KeptFile]:
        found = [each for each in self.files.values() if each.properties.get("file") == file]
        return sorted(found, key=lambda each: each.made)

    def folders(self) -> list[KeptFile]:
        return [each for each in self.files.values() if each.mime == "application/vnd.google-apps.folder"]
