"""Adds versions to saved files: bytes first, then one commit that moves head, version, contents and account together.

Many may save the same file at once. Each reads, decides, and commits on the condition that nothing it decided by has
moved; who loses reads again. A commit whose answer was lost is found by the save that its version names, so that it is
never made twice.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from afterimage.artifacts.content_bytes import ContentBytes
from afterimage.artifacts.contents import Content, ContentMoves, content_in
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.drive_notes import drive_note
from afterimage.artifacts.heads import Head, VersionEntry, head_fields, head_in
from afterimage.artifacts.refusals import in_the_way, invalid, not_found
from afterimage.drive_paths import drive_link_path
from afterimage.faults import TransientError
from afterimage.paths import artifact_path, artifact_version_path, blob_path, quota_path
from afterimage.quota.account import account_in, account_writes
from afterimage.store.documents import (
    Change,
    ConflictError,
    Document,
    DocumentStore,
    ErasedError,
    Expect,
    Remove,
    Replace,
    UncertainError,
    Write,
)
from afterimage.store.files import StoredFile

MOST_ROUNDS: Final = 40
T = TypeVar("T")
Reading = Mapping[str, Document | None]
"""Documents by their paths; None for those that are not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewVersion:
    """What is to be kept."""

    user: str
    save: str
    """Names this save: the same one twice has its effect once."""
    said: Description
    digest: str
    size: int
    content_type: str
    file: str | None = None
    """None: a new file."""
    is_auto_saved: bool = False
    creates_version: bool = True
    """False: an automatic save takes the place of the automatic save before it."""
    reverted_from: int | None = None
    packs: bool = True
    """Whether the bytes may be stored packed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedVersion:
    """What became of it."""

    head: Head
    number: int
    is_new_version: bool
    """False where the newest version already held these very bytes."""
    content_type: str
    goes_to_drive: bool = False
    """Whether the user has linked a Google Drive, where it is brought to next."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Companion:
    """A document that moves in the same commit: an upload that becomes a version."""

    path: str
    decide: Callable[[Document | None, str, int], tuple[Sequence[Write], int]]
    """Given the document, the file and the number: what is written, and by how much the reserved bytes move; raises
    what ends the save."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Runs what may collide again, after a while that is random: those who collided must not meet again."""

    wait: Callable[[float], None] = time.sleep
    dice: random.Random = field(default_factory=random.Random)

    def run(self, what: str, attempt: Callable[[bool], T]) -> T:
        """Calls `attempt` until nothing came between; it is told whether an earlier commit may have been applied."""
        for number in range(MOST_ROUNDS):
            try:
                return attempt(number > 0)
            except ErasedError:
                raise
            except (ConflictError, UncertainError):
                self.wait(self.dice.uniform(0, min(1.0, 0.01 * 2**number)))
        raise TransientError(f"{what} is contended; try again")


@dataclass(frozen=True, kw_only=True)
class Versions:
    """Everything that changes saved files."""

    documents: DocumentStore
    contents: ContentBytes
    quota_bytes: int
    """The limit of users that have none of their own."""
    rounds: Rounds = field(default_factory=Rounds)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    notes_drive: bool = False
    """Whether files of users that have linked a Google Drive are noted for it as they move."""

    def add(
        self,
        new: NewVersion,
        source: bytes | StoredFile | None,
        *,
        companion: Companion | None = None,
        reading: Reading | None = None,
    ) -> SavedVersion:
        """Keeps a version; `source` are its bytes, None where a version that is kept holds them.

        A `reading` that the caller has made already saves the first one here.
        """
        file = new.file or file_of_save(new.user, new.save)

        def attempt(is_again: bool) -> SavedVersion:
            found = reading if reading is not None and not is_again else None
            return self._add_once(new, file, source, companion, found)

        return self.rounds.run(f"`{file}`", attempt)

    def _add_once(
        self,
        new: NewVersion,
        file: str,
        source: bytes | StoredFile | None,
        companion: Companion | None,
        reading: Reading | None,
    ) -> SavedVersion:
        beside = companion.path if companion else ""
        paths = [artifact_path(new.user, file), blob_path(new.user, new.digest), quota_path(new.user)]
        found = reading or self._found([*paths, *self._drive(new.user), *([beside] if beside else [])])
        stored_head = found[paths[0]]
        head = head_in(stored_head)
        mine = head.saved_by(new.save) if head is not None else None
        # A new file's id is made of its save: whoever finds it there has made it.
        if head is not None and (mine is not None or new.file is None):
            return replace(_saved_before(head, mine), goes_to_drive=self._is_linked(new.user, found))
        if head is None and new.file is not None:
            raise not_found(f"there is no file `{file}`: it was deleted, or never was")
        if head is not None and head.archived_at is not None:
            raise in_the_way(f"`{file}` is archived: restore it first")
        stored_content = found[paths[1]]
        content = content_in(stored_content)
        is_same = head is not None and _says_nothing_new(head, new) and content is not None and content.has_bytes
        moves = ContentMoves(user=new.user, found={new.digest: stored_content})
        decided = _decided(head, file, new, self.now(), is_same=is_same)
        writes: list[Write] = []
        reserved = 0
        if companion is not None:
            beside_writes, reserved = companion.decide(found[beside], file, decided.number)
            writes += beside_writes
        if not is_same:
            if content is None or not content.has_bytes:
                self._refuse_without_room(new.user, found[paths[2]], reserved + new.size, is_sure=companion is None)
                moves.fresh[new.digest] = self._put(new, source, content)
            moves.refer(new.digest)
            writes += self._version_writes(new, head, decided, moves)
        if stored_head is None or decided.head != head:
            writes.append(_head_write(new.user, decided.head, stored_head))
            writes += self._drive_notes(new.user, file, found)
        self._commit(new.user, writes, moves, found[paths[2]], reserved)
        return SavedVersion(
            head=decided.head,
            number=decided.number,
            is_new_version=not is_same,
            content_type=new.content_type,
            goes_to_drive=self._is_linked(new.user, found),
        )

    def read_ahead(self, user: str, file: str, digest: str) -> Reading:
        """What a save of these bytes to this file begins with."""
        return self._found([artifact_path(user, file), blob_path(user, digest), quota_path(user), *self._drive(user)])

    def change_head(self, user: str, file: str, change: Callable[[Head], tuple[Head, Sequence[VersionEntry]]]) -> Head:
        """Changes a head; versions that go with it are dropped in the same commit."""

        def attempt(_is_again: bool) -> Head:
            path = artifact_path(user, file)
            found = self._found([path, quota_path(user), *self._drive(user)])
            stored = found[path]
            head = head_in(stored)
            if head is None or stored is None:
                raise not_found(f"there is no file `{file}`: it was deleted, or never was")
            after, gone = change(head)
            if after == head:
                return head
            moves = ContentMoves(user=user)
            writes = self._dropped(user, file, gone, moves)
            pins = {entry.number for entry in after.versions if entry.is_pinned}
            for entry in head.versions:
                kept = any(each.number == entry.number for each in after.versions)
                if kept and entry.is_pinned != (entry.number in pins):
                    writes.append(_pin_write(user, file, entry.number, is_pinned=not entry.is_pinned))
            writes.append(_head_write(user, after, stored))
            writes += self._drive_notes(user, file, found)
            self._commit(user, writes, moves, found[quota_path(user)], 0)
            return after

        return self.rounds.run(f"`{file}`", attempt)

    def remove(self, user: str, file: str, *, refuse: Callable[[Head], None] = lambda _head: None) -> Head:
        """Deletes a file with all its versions; their bytes are released with it."""

        def attempt(is_again: bool) -> Head:
            path = artifact_path(user, file)
            found = self._found([path, quota_path(user), *self._drive(user)])
            stored = found[path]
            head = head_in(stored)
            if head is None or stored is None:
                if is_again:
                    return Head(file=file, name="")
                raise not_found(f"there is no file `{file}`: it was deleted, or never was")
            refuse(head)
            moves = ContentMoves(user=user)
            writes = self._dropped(user, file, head.versions, moves)
            writes.append(Remove(path=path, expected=stored.version))
            writes += self._drive_notes(user, file, found)
            self._commit(user, writes, moves, found[quota_path(user)], 0)
            return head

        return self.rounds.run(f"`{file}`", attempt)

    # -- within

    def _found(self, paths: Sequence[str]) -> dict[str, Document | None]:
        return dict(zip(paths, self.documents.read_many(paths), strict=True))

    def _drive(self, user: str) -> list[str]:
        """What else is read where users can link a Drive: whether this one has."""
        return [drive_link_path(user)] if self.notes_drive else []

    def _drive_notes(self, user: str, file: str, found: Reading) -> list[Write]:
        return [drive_note(user, file, self.now())] if self._is_linked(user, found) else []

    def _is_linked(self, user: str, found: Reading) -> bool:
        return found.get(drive_link_path(user)) is not None

    def _put(self, new: NewVersion, source: bytes | StoredFile | None, known: Content | None) -> Content:
        if source is None:
            raise in_the_way(f"the bytes of `{new.digest}` are lost: no version can be made of them")
        return self.contents.put(new.user, new.digest, source, new.content_type, known, packs=new.packs)

    def _refuse_without_room(self, user: str, quota: Document | None, size: int, *, is_sure: bool) -> None:
        """Before bytes are stored for nothing; the commit asks again."""
        if is_sure:
            account_in(user, quota, self.quota_bytes).moved(used=size)

    def _version_writes(
        self, new: NewVersion, head: Head | None, decided: _Decided, moves: ContentMoves
    ) -> list[Write]:
        writes = self._dropped(new.user, decided.head.file, decided.gone, moves)
        if decided.replaced is not None:
            self._read_contents(new.user, [decided.replaced.digest], moves)
            moves.drop(decided.replaced.digest)
        path = artifact_version_path(new.user, decided.head.file, decided.number)
        fields = _version_fields(new, head, decided)
        expected = Expect.ABSENT if decided.replaced is None else Expect.PRESENT
        return [*writes, Replace(path=path, fields=fields, expected=expected, server_times=("created_at",))]

    def _dropped(self, user: str, file: str, gone: Sequence[VersionEntry], moves: ContentMoves) -> list[Write]:
        self._read_contents(user, [entry.digest for entry in gone], moves)
        for entry in gone:
            moves.drop(entry.digest)
        return [
            Remove(path=artifact_version_path(user, file, entry.number), expected=Expect.ANYTHING) for entry in gone
        ]

    def _read_contents(self, user: str, digests: Sequence[str], moves: ContentMoves) -> None:
        missing = sorted({digest for digest in digests if digest not in moves.found})
        if missing:
            read = self.documents.read_many([blob_path(user, digest) for digest in missing])
            moves.found.update(zip(missing, read, strict=True))

    def _commit(
        self, user: str, writes: list[Write], moves: ContentMoves, quota: Document | None, reserved: int
    ) -> None:
        content_writes, used = moves.writes_and_bytes()
        if used or reserved:
            before = account_in(user, quota, self.quota_bytes)
            writes = [*writes, *account_writes(before, before.moved(used=used, reserved=reserved), quota, self.now())]
        if writes or content_writes:
            self.documents.commit([*writes, *content_writes])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decided:
    """What a save does to a head."""

    head: Head
    number: int
    gone: Sequence[VersionEntry] = ()
    replaced: VersionEntry | None = None


def file_of_save(user: str, save: str) -> str:
    """The id of the file that a save creates: the same save twice creates the same file."""
    return hashlib.sha256(f"{user}\n{save}".encode()).hexdigest()[:32]


def _decided(head: Head | None, file: str, new: NewVersion, now: datetime, *, is_same: bool) -> _Decided:
    said = new.said
    if head is None:
        if said.name is None:
            raise invalid("`name` is missing: a new file needs one")
        head = Head(file=file, name=said.name)
    described = replace(
        head,
        name=head.name if said.name is None else said.name,
        artifact_type=head.artifact_type if said.artifact_type is None else said.artifact_type,
        folder=head.folder if said.folder is None else said.folder,
        tags=head.tags if said.tags is None else tuple(said.tags),
        content_type=new.content_type,
    )
    if is_same:
        return _Decided(head=described, number=head.newest.number)
    newest = head.newest if head.versions else None
    if not new.creates_version and new.is_auto_saved and newest and newest.is_auto_saved and not newest.is_pinned:
        entry = replace(newest, digest=new.digest, size=new.size, saved_at=now, save=new.save)
        after = described.with_newest_replaced(entry)
        return _Decided(head=after, number=entry.number, replaced=newest)
    entry = VersionEntry(
        number=head.last_number + 1,
        digest=new.digest,
        size=new.size,
        is_auto_saved=new.is_auto_saved,
        saved_at=now,
        save=new.save,
    )
    after, gone = described.with_version(entry)
    return _Decided(head=after, number=entry.number, gone=gone)


def _says_nothing_new(head: Head, new: NewVersion) -> bool:
    return head.newest.digest == new.digest and not new.said.description and not new.said.change


def _saved_before(head: Head, mine: VersionEntry | None) -> SavedVersion:
    """This very save, made before: its answer was lost, or it was asked for again."""
    number = mine.number if mine is not None else 1
    return SavedVersion(head=head, number=number, is_new_version=True, content_type=head.content_type)


def _version_fields(new: NewVersion, head: Head | None, decided: _Decided) -> dict[str, Any]:
    before = head.newest if head is not None and head.versions else None
    if decided.replaced is not None and head is not None:
        before = head.versions[-2] if len(head.versions) > 1 else None
    return {
        "version_number": decided.number,
        "file_id": decided.head.file,
        "name": decided.head.name,
        "sha256": new.digest,
        "size": new.size,
        "size_change_bytes": new.size - (before.size if before else 0),
        "content_type": new.content_type,
        "author": new.said.author or new.user,
        "description": new.said.description,
        "change": new.said.change,
        "auto_saved": new.is_auto_saved,
        "pinned": False,
        "reverted_from": new.reverted_from,
    }


def _head_write(user: str, head: Head, stored: Document | None) -> Write:
    times = [
        "updated_at",
        *(["created_at"] if stored is None else []),
        *(["active_at"] if head.archived_at is None else []),
    ]
    return Replace(
        path=artifact_path(user, head.file),
        fields=head_fields(head),
        expected=stored.version if stored else Expect.ABSENT,
        server_times=times,
    )


def _pin_write(user: str, file: str, number: int, *, is_pinned: bool) -> Write:
    path = artifact_version_path(user, file, number)
    return Change(path=path, put={"pinned": is_pinned}, expected=Expect.PRESENT)
