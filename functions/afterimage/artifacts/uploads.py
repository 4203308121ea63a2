"""Uploads that go past the functions: announced and reserved, then sent by the client to the store of files itself.

An announcement is checked as far as anything can be known, room is reserved for it, and the client is given a link that
starts a resumable upload of exactly that size and type. What arrives is looked at by `arrivals.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from afterimage.artifacts.contents import content_in
from afterimage.artifacts.descriptions import Description, checked_description
from afterimage.artifacts.file_types import declared_or_named, refuse_by_name
from afterimage.artifacts.library import Library, checked_file
from afterimage.artifacts.refusals import RefusalKind, RefusedError, in_the_way, invalid, not_found
from afterimage.artifacts.upload_documents import Upload, UploadState, upload_in, upload_write
from afterimage.artifacts.versions import NewVersion, Versions
from afterimage.paths import blob_path, is_document_id, quota_path, upload_path
from afterimage.quota.account import account_in, account_writes
from afterimage.store.documents import Document, Write
from afterimage.store.links import FileLink, FileLinks

MOST_IN_A_BATCH: Final = 50
RESERVED_FOR: Final = timedelta(hours=24)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """A file that a client is going to upload."""

    said: Description
    size: int
    declared_type: str = ""
    file: str | None = None
    """The file that gets another version; None: a new one."""
    digest: str = ""
    """SHA-256 of the bytes, if the client knows it: bytes that are there already need not travel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Announced:
    """What came of one announcement: an upload, with a link where bytes have to travel, or the reason why not."""

    upload: Upload | None = None
    link: FileLink | None = None
    refusal: RefusedError | None = None


@dataclass(frozen=True, kw_only=True)
class Uploads:
    """Everything about uploads but their arrival."""

    library: Library
    links: FileLinks

    @property
    def versions(self) -> Versions:
        return self.library.versions

    def announce(self, user: str, files: Sequence[Announcement], *, operation: str) -> list[Announced]:
        """Reserves room for each file in turn; one that is refused keeps none of the others.

        The same operation again finds what it announced before, and gets new links for it.
        """
        if not 1 <= len(files) <= MOST_IN_A_BATCH:
            raise invalid(f"`files` holds {len(files)}; one to {MOST_IN_A_BATCH} are announced at once")
        ids = [
            hashlib.sha256(f"{user}\n{operation}\n{number}".encode()).hexdigest()[:32] for number in range(len(files))
        ]
        refusals: dict[int, RefusedError] = {}
        for number, file in enumerate(files):
            try:
                self._check(user, file)
            except RefusedError as error:
                refusals[number] = error
        for number, file in enumerate(files):
            if number not in refusals and file.digest:
                self._keep_what_is_there(user, ids[number], file)

        def attempt(_is_again: bool) -> list[Announced]:
            return self._announce_once(user, files, ids, refusals)

        return self.versions.rounds.run(f"the uploads of `{user}`", attempt)

    def again(self, user: str, upload: str) -> Announced:
        """A new link for an upload whose own was lost or has run out; the upload then begins anew."""
        _, found = self._read(user, upload)
        if found.state is not UploadState.OPEN:
            raise in_the_way(f"upload `{upload}` is {found.state}: announce it again")
        return self._with_link(user, found)

    def report(self, user: str, upload: str, received_bytes: int) -> Upload:
        """Notes how far an upload has come, for whoever listens; it never goes back."""

        def attempt(_is_again: bool) -> Upload:
            stored, found = self._read(user, upload)
            if not 0 <= received_bytes <= found.size:
                raise invalid(f"`received_bytes` is {received_bytes}; the file has {found.size}")
            after = replace(found, received_bytes=max(found.received_bytes, received_bytes))
            if found.state is not UploadState.OPEN or after == found:
                return found
            self.versions.documents.commit([upload_write(user, after, stored)])
            return after

        return self.versions.rounds.run(f"upload `{upload}`", attempt)

    def cancel(self, user: str, upload: str) -> Upload:
        """Ends an upload; what is reserved for it is free again."""
        return self.end(user, upload, lambda found: found.closed(UploadState.CANCELLED, self.versions.now()))

    def end(self, user: str, upload: str, close: Callable[[Upload], Upload]) -> Upload:
        """Closes an upload that is under way, and releases its room in the same commit; one that has ended stays so."""

        def attempt(_is_again: bool) -> Upload:
            stored, found = self._read(user, upload)
            after = close(found) if found.reserved_bytes else found
            if after == found:
                return found
            quota = self.versions.documents.read(quota_path(user))
            before = account_in(user, quota, self.versions.quota_bytes)
            moved = before.moved(reserved=after.reserved_bytes - found.reserved_bytes)
            writes = account_writes(before, moved, quota, self.versions.now())
            self.versions.documents.commit([upload_write(user, after, stored), *writes])
            return after

        return self.versions.rounds.run(f"upload `{upload}`", attempt)

    def read(self, user: str, upload: str) -> Upload:
        return self._read(user, upload)[1]

    # -- within

    def _check(self, user: str, file: Announcement) -> None:
        checked_description(file.said)
        if file.size < 1:
            raise invalid(
                f"`size` is {file.size}: say how many bytes the file has; an empty one is saved, not uploaded"
            )
        self.library.refuse_large(file.size)
        if file.digest and not _DIGEST.fullmatch(file.digest):
            raise invalid("`sha256` is not the digest of a file: 64 digits, 0 to 9 and a to f")
        name = file.said.name
        if file.file is not None:
            head = self.library.head(user, checked_file(file.file))
            if head.archived_at is not None:
                raise in_the_way(f"`{file.file}` is archived: restore it first")
            name = head.name if name is None else name
        if name is None:
            raise invalid("`name` is missing: a new file needs one")
        refuse_by_name(name, file.declared_type)

    def _keep_what_is_there(self, user: str, upload: str, file: Announcement) -> None:
        """A version of bytes that the user has already; nothing where they are not, or not any more."""
        documents = self.versions.documents
        stored, known = documents.read_many([blob_path(user, file.digest), upload_path(user, upload)])
        content = content_in(stored)
        if content is None or not content.has_bytes or content.size != file.size or known is not None:
            return
        new = NewVersion(
            user=user,
            save=upload,
            said=file.said,
            digest=content.digest,
            size=content.size,
            content_type=content.content_type,
            file=file.file,
        )
        now = self.versions.now()
        try:
            saved = self.versions.add(new, None)
        except RefusedError as error:
            if error.kind is RefusalKind.CONFLICT:
                return
            raise
        done = replace(self._opened(upload, file), received_bytes=file.size, saved_file=saved.head.file)
        done = done.closed(UploadState.DONE, now, version_number=saved.number)

        def note(is_again: bool) -> None:
            if not is_again or documents.read(upload_path(user, upload)) is None:
                documents.commit([upload_write(user, done, None)])

        self.versions.rounds.run(f"upload `{upload}`", note)

    def _announce_once(
        self,
        user: str,
        files: Sequence[Announcement],
        ids: Sequence[str],
        refusals: dict[int, RefusedError],
    ) -> list[Announced]:
        paths = [upload_path(user, each) for each in ids]
        *stored, quota = self.versions.documents.read_many([*paths, quota_path(user)])
        before = account = account_in(user, quota, self.versions.quota_bytes)
        writes: list[Write] = []
        results: list[Announced] = []
        for number, file in enumerate(files):
            known = upload_in(stored[number])
            if known is not None:
                results.append(Announced(upload=known))
                continue
            refusal = refusals.get(number)
            try:
                account = account if refusal else account.moved(reserved=file.size)
            except RefusedError as error:
                refusal = error
            if refusal is not None:
                results.append(Announced(refusal=refusal))
                continue
            upload = self._opened(ids[number], file)
            writes.append(upload_write(user, upload, None))
            results.append(Announced(upload=upload))
        if writes:
            self.versions.documents.commit([*writes, *account_writes(before, account, quota, self.versions.now())])
        return [
            self._with_link(user, each.upload) if each.upload and each.upload.state is UploadState.OPEN else each
            for each in results
        ]

    def _opened(self, identifier: str, file: Announcement) -> Upload:
        return Upload(
            id=identifier,
            state=UploadState.OPEN,
            size=file.size,
            declared_type=file.declared_type,
            said=file.said,
            file=file.file,
            digest=file.digest,
            reserved_until=self.versions.now() + RESERVED_FOR,
        )

    def _with_link(self, user: str, upload: Upload) -> Announced:
        link = self.links.start_upload(
            self.versions.contents.bucket,
            upload_path(user, upload.id),
            size=upload.size,
            content_type=declared_or_named(upload.said.name or "", upload.declared_type),
        )
        return Announced(upload=upload, link=link)

    def _read(self, user: str, upload: str) -> tuple[Document, Upload]:
        stored = self.versions.documents.read(upload_path(user, upload)) if is_document_id(upload) else None
        found = upload_in(stored)
        if stored is None or found is None:
            raise not_found(f"there is no upload `{upload[:80]}`: announce it first")
        return stored, found
