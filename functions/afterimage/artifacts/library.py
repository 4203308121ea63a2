"""A user's saved files: save, go back, pin, describe, archive, merge, delete; and what there is to read about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from afterimage.artifacts.contents import Content, content_in
from afterimage.artifacts.descriptions import MOST_MERGED, Description, checked_description
from afterimage.artifacts.file_types import TextReader, kept_type, refuse_by_name
from afterimage.artifacts.heads import MOST_PINNED, VERSIONS_KEPT, Head, VersionEntry, head_in
from afterimage.artifacts.refusals import RefusalKind, RefusedError, in_the_way, invalid, not_found
from afterimage.artifacts.versions import NewVersion, SavedVersion, Versions
from afterimage.paths import (
    artifact_path,
    artifact_version_path,
    artifact_versions_path,
    artifacts_path,
    blob_path,
    is_document_id,
)
from afterimage.store.documents import Document, DocumentStore, Query


@dataclass(frozen=True, kw_only=True, slots=True)
class Saving:
    """How a save is meant."""

    file: str | None = None
    """The file that gets another version; None: a new file."""
    auto_save: bool = False
    create_version: bool = True
    declared_type: str = ""
    auto_compress: bool = True
    """Whether the bytes may be stored packed, where their type gains by it."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """Everything a user can do with saved files, except upload large ones."""

    versions: Versions
    most_bytes: int
    """The largest file that is kept."""

    @property
    def documents(self) -> DocumentStore:
        return self.versions.documents

    def save(self, user: str, data: bytes, said: Description, saving: Saving, *, save: str) -> SavedVersion:
        """Keeps bytes as the newest version of a file. The same bytes again cost nothing and make no version."""
        checked_description(said)
        self.refuse_large(len(data))
        file = None if saving.file is None else checked_file(saving.file)
        digest = hashlib.sha256(data).hexdigest()
        reading = None if file is None else self.versions.read_ahead(user, file, digest)
        name = said.name
        if name is None:
            name = "" if file is None or reading is None else self._found(file, reading[artifact_path(user, file)]).name
        refuse_by_name(name, saving.declared_type)
        reader = TextReader()
        reader.take(data, is_last=True)
        content_type = kept_type(name, saving.declared_type, data, is_text=reader.is_text)
        new = NewVersion(
            user=user,
            save=save,
            said=said,
            digest=digest,
            size=len(data),
            content_type=content_type,
            file=file,
            is_auto_saved=saving.auto_save,
            creates_version=saving.create_version,
            packs=saving.auto_compress,
        )
        return self.versions.add(new, data, reading=reading)

    def refuse_large(self, size: int) -> None:
        if size > self.most_bytes:
            raise RefusedError(
                RefusalKind.FILE_TOO_LARGE, f"{size} bytes; a file may have {self.most_bytes}: make it smaller"
            )

    def revert(self, user: str, file: str, number: int, *, save: str, description: str = "") -> SavedVersion:
        """Makes an old version the newest, as a new version; what came between stays."""
        head = self.head(user, file)
        entry = head.version(number)
        content = self.content(user, entry)
        said = checked_description(Description(description=description, change=f"reverted to version {number}"))
        if head.newest.digest == entry.digest and head.saved_by(save) is None:
            # Nothing to go back to: the newest version holds the very same bytes.
            said = Description()
        new = NewVersion(
            user=user,
            save=save,
            said=said,
            digest=entry.digest,
            size=entry.size,
            content_type=content.content_type,
            file=file,
            reverted_from=number,
        )
        return self.versions.add(new, None)

    def pin(self, user: str, file: str, number: int, *, is_pinned: bool) -> Head:
        """Pinned versions stand outside the thirty, until they are unpinned."""
        return self.versions.change_head(
            user, checked_file(file), lambda head: head.pinned(number, is_pinned=is_pinned)
        )

    def describe(self, user: str, file: str, said: Description) -> Head:
        """Gives a file another name, folder, type or other tags; no version comes of it."""
        checked_description(said)

        def described(head: Head) -> tuple[Head, Sequence[VersionEntry]]:
            after = replace(
                head,
                name=head.name if said.name is None else said.name,
                artifact_type=head.artifact_type if said.artifact_type is None else said.artifact_type,
                folder=head.folder if said.folder is None else said.folder,
                tags=head.tags if said.tags is None else said.tags,
            )
            return after, ()

        return self.versions.change_head(user, checked_file(file), described)

    def archive(self, user: str, file: str) -> Head:
        """Takes a file out of the lists, and lets go of every version but the newest and the pinned ones."""

        def archived(head: Head) -> tuple[Head, Sequence[VersionEntry]]:
            if head.archived_at is not None:
                return head, ()
            gone = [entry for entry in head.versions[:-1] if not entry.is_pinned]
            return replace(head.without({entry.number for entry in gone}), archived_at=self.versions.now()), gone

        return self.versions.change_head(user, checked_file(file), archived)

    def restore(self, user: str, file: str) -> Head:
        """Brings an archived file back; it can be saved to again."""
        return self.versions.change_head(user, checked_file(file), lambda head: (replace(head, archived_at=None), ()))

    def remove(self, user: str, file: str) -> Head:
        """Deletes a file with all its versions, pinned ones too."""
        return self.versions.remove(user, checked_file(file))

    def merge(self, user: str, kept: str, others: Sequence[str]) -> Head:
        """Makes one file of several that hold the same bytes: the others go, their tags stay with the one kept.

        Refused where another file's newest bytes differ, or where something of it is pinned: nothing that only it
        holds on purpose may go with it.
        """
        if not others or len(others) > MOST_MERGED or kept in others or len(set(others)) != len(others):
            raise invalid(f"`others` names {len(others)} files: one to {MOST_MERGED} of them, each once, not `{kept}`")
        head = self.head(user, kept)
        found = [self.head(user, other) for other in others]
        for other in found:
            _refuse_unequal(head, other)
        tags = list(dict.fromkeys([*head.tags, *(tag for other in found for tag in other.tags)]))
        head = self.describe(user, kept, Description(tags=tuple(tags[:20])))
        for other in found:
            self.versions.remove(user, other.file, refuse=lambda current: _refuse_unequal(head, current))
        return head

    # -- reading

    def head(self, user: str, file: str) -> Head:
        return self._found(file, self.documents.read(artifact_path(user, checked_file(file))))

    def _found(self, file: str, stored: Document | None) -> Head:
        found = head_in(stored)
        if found is None:
            raise not_found(f"there is no file `{file}`: it was deleted, or never was")
        return found

    def content(self, user: str, entry: VersionEntry) -> Content:
        """What is stored for a version; refused where the bytes were lost."""
        content = content_in(self.documents.read(blob_path(user, entry.digest)))
        if content is None or not content.has_bytes:
            raise in_the_way(f"the bytes of version {entry.number} are lost: somebody deleted them from the bucket")
        return content

    def version(self, user: str, file: str, number: int) -> Document:
        found = self.documents.read(artifact_version_path(user, checked_file(file), number))
        if found is None:
            raise not_found(f"version {number} of `{file}` is not kept")
        return found

    def history(self, user: str, file: str) -> tuple[Head, list[Mapping[str, Any]]]:
        """The head, and every version that is kept, newest first."""
        head = self.head(user, file)
        query = Query(
            collection=artifact_versions_path(user, file),
            order_by="version_number",
            descending=True,
            limit=VERSIONS_KEPT + MOST_PINNED + 1,
        )
        numbers = {entry.number for entry in head.versions}
        # Head and versions are read at two moments: what has gone or come in between is left out.
        found = [each.fields for each in self.documents.find(query)]
        return head, [fields for fields in found if fields["version_number"] in numbers]

    def listed(
        self, user: str, *, limit: int, after: tuple[datetime, str] | None = None, archived: bool = False
    ) -> list[Document]:
        """Heads, those first that were changed (or archived) last; from behind a place in that order."""
        place: dict[str, Any] = {"after_id": after[1], "after_value": after[0]} if after else {}
        if archived:
            query = Query(
                collection=artifacts_path(user), order_by="archived_at", descending=True, limit=limit, **place
            )
        else:
            query = Query(collection=artifacts_path(user), order_by="active_at", descending=True, limit=limit, **place)
        return self.documents.find(query)


def checked_file(file: str) -> str:
    if not is_document_id(file):
        raise invalid(f"`{file[:80]}` cannot be the id of a file")
    return file


def _refuse_unequal(kept: Head, other: Head) -> None:
    if other.newest.digest != kept.newest.digest:
        raise in_the_way(f"`{other.file}` does not hold the same bytes as `{kept.file}`: they are no duplicates")
    if any(entry.is_pinned for entry in other.versions):
        raise in_the_way(f"`{other.file}` has pinned versions: unpin them, or keep that file instead")
