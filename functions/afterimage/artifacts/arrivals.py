"""What happens when a file below `artifacts/` arrives or goes: once, though events come twice, late or out of order.

An upload that arrived is hashed and looked at in pieces, its bytes become a content, and one commit makes it a version,
closes the upload and settles the account. Then the arrived file is deleted. What a crash leaves, the next delivery or
the clean-up completes. A content's own file is compared with its document by generation alone, so it does not matter
which event comes first: the greater generation stands, and the end of a generation ends that one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from afterimage.artifacts.contents import GONE_IS_KEPT_FOR, Content, ContentState, content_in, content_write
from afterimage.artifacts.file_types import TextReader, kept_type
from afterimage.artifacts.refusals import RefusalKind, RefusedError
from afterimage.artifacts.upload_documents import UNDER_WAY, Upload, UploadState, upload_in, upload_write
from afterimage.artifacts.uploads import Uploads
from afterimage.artifacts.versions import Companion, NewVersion, Versions
from afterimage.media.inspection.signatures import HEAD_BYTES
from afterimage.paths import ArtifactFile, blob_path, parse_artifact_file, quota_path, upload_path
from afterimage.quota.account import account_in, account_writes
from afterimage.store.documents import Document, Write
from afterimage.store.files import GoneError, StoredFile

CLOCKS_DIFFER_BY: Final = timedelta(minutes=1)


class Arrival(StrEnum):
    """How a delivery ended."""

    OUTSIDE = "outside the grammar"
    GONE = "gone"
    """Overwritten or deleted before it could be looked at."""
    KEPT = "kept"
    REFUSED = "refused"
    LATE = "too late"
    """Its reservation had ended: deleted, and said in the upload's document."""
    KNOWN = "known"
    ADOPTED = "adopted"
    """Somebody stored the same bytes over a content: the document follows."""
    LOST = "lost"
    """Somebody deleted a content's bytes: its owner's account is released of them."""


class _EndedError(Exception):
    """The upload was closed by somebody else meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """Handles finalized and deleted files of the bucket."""

    uploads: Uploads

    @property
    def versions(self) -> Versions:
        return self.uploads.versions

    def finalized(self, bucket: str, name: str, generation: int) -> Arrival:
        place = self._place(bucket, name)
        if place is None:
            return Arrival.OUTSIDE
        file = self.versions.contents.files.find(bucket, name)
        if file is None or file.generation != generation:
            return Arrival.GONE
        try:
            return self._upload_arrived(place, file) if place.is_upload else self._content_stored(place, file)
        except GoneError:
            return Arrival.GONE

    def deleted(self, bucket: str, name: str, generation: int) -> Arrival:
        place = self._place(bucket, name)
        if place is None or place.is_upload:
            return Arrival.OUTSIDE
        return self.versions.rounds.run(f"`{name}`", lambda _again: self._content_gone(place, generation))

    def _place(self, bucket: str, name: str) -> ArtifactFile | None:
        return parse_artifact_file(name) if bucket == self.versions.contents.bucket else None

    # -- uploads

    def _upload_arrived(self, place: ArtifactFile, file: StoredFile) -> Arrival:
        upload = self._checking(place, file)
        if upload is None:
            self._delete(file)
            return Arrival.LATE
        if upload.state is UploadState.DONE:
            self._delete(file)
            return Arrival.KNOWN
        if file.size != upload.size:
            return self._refused(
                place, file, "INVALID_REQUEST", f"{file.size} bytes came; {upload.size} were announced"
            )
        try:
            new = self._inspected(place.user, upload, file)
            self.versions.add(new, file, companion=self._closing(place))
        except RefusedError as error:
            return self._refused(place, file, str(error.kind), str(error))
        except _EndedError:
            # Closed meanwhile: by another delivery of the same, or because its time was over.
            return self._upload_arrived(place, file)
        self._delete(file)
        return Arrival.KEPT

    def _checking(self, place: ArtifactFile, file: StoredFile) -> Upload | None:
        """The upload as it is now looked at, or as it was kept; None where nothing is reserved for it."""

        def attempt(_is_again: bool) -> Upload | None:
            stored = self.versions.documents.read(upload_path(place.user, place.id))
            upload = upload_in(stored)
            if upload is None or upload.state in {UploadState.DONE, UploadState.CHECKING}:
                return upload
            now = self.versions.now()
            is_late = file.created > upload.reserved_until + CLOCKS_DIFFER_BY
            if upload.state is UploadState.OPEN and is_late:
                # Its reservation is over, though nobody has released it yet.
                self.uploads.end(place.user, upload.id, lambda found: found.closed(UploadState.EXPIRED, now))
                return attempt(True)
            if upload.state is not UploadState.OPEN:
                if upload.state is not UploadState.REFUSED and upload.late_arrival_at is None:
                    said = replace(
                        upload,
                        late_arrival_at=file.created,
                        reason="the file came after its reservation had ended, and was deleted: announce it again",
                    )
                    self.versions.documents.commit([upload_write(place.user, said, stored)])
                return None
            checking = replace(upload, state=UploadState.CHECKING, received_bytes=upload.size)
            self.versions.documents.commit([upload_write(place.user, checking, stored)])
            return checking

        return self.versions.rounds.run(f"upload `{place.id}`", attempt)

    def _inspected(self, user: str, upload: Upload, file: StoredFile) -> NewVersion:
        """Reads the bytes once, in pieces: what they are, their digest, and whether all of it is text."""
        digest, reader, head = hashlib.sha256(), TextReader(), b""
        for piece in self.versions.contents.pieces(file):
            digest.update(piece)
            reader.take(piece)
            head = head or piece[:HEAD_BYTES]
        reader.take(b"", is_last=True)
        if upload.digest and upload.digest != digest.hexdigest():
            raise RefusedError(RefusalKind.INVALID_REQUEST, "the bytes are not those whose `sha256` was announced")
        name = upload.said.name
        if name is None and upload.file is not None:
            name = self.uploads.library.head(user, upload.file).name
        content_type = kept_type(name or "", upload.declared_type, head, is_text=reader.is_text)
        return NewVersion(
            user=user,
            save=upload.id,
            said=upload.said,
            digest=digest.hexdigest(),
            size=file.size,
            content_type=content_type,
            file=upload.file,
        )

    def _closing(self, place: ArtifactFile) -> Companion:
        """Closes an upload in the commit that makes it a version."""

        def decide(found: Document | None, file: str, number: int) -> tuple[Sequence[Write], int]:
            upload = upload_in(found)
            if upload is None or upload.state not in UNDER_WAY:
                raise _EndedError
            done = upload.closed(
                UploadState.DONE,
                self.versions.now(),
                received_bytes=upload.size,
                saved_file=file,
                version_number=number,
            )
            return [upload_write(place.user, done, found)], -upload.reserved_bytes

        return Companion(path=upload_path(place.user, place.id), decide=decide)

    def _refused(self, place: ArtifactFile, file: StoredFile, code: str, reason: str) -> Arrival:
        """Says so first, then deletes: a crash between the two is ended by the next delivery."""
        now = self.versions.now()
        closed = self.uploads.end(
            place.user, place.id, lambda found: found.closed(UploadState.REFUSED, now, code=code, reason=reason)
        )
        self._delete(file)
        return Arrival.KNOWN if closed.state is UploadState.DONE else Arrival.REFUSED

    def _delete(self, file: StoredFile) -> None:
        self.versions.contents.files.delete(file.bucket, file.name, generation=file.generation)

    # -- contents

    def _content_stored(self, place: ArtifactFile, file: StoredFile) -> Arrival:
        """Mostly our own writing, known or about to be committed. Somebody else's is followed if it is the same."""
        content = content_in(self.versions.documents.read(blob_path(place.user, place.id)))
        is_ours = content is None or content.generation >= file.generation
        if is_ours or content is None or content.state not in {ContentState.STORED, ContentState.LOST}:
            return Arrival.KNOWN
        digest = hashlib.sha256()
        for piece in self.versions.contents.unpacked_pieces(file, content.size):
            digest.update(piece)
        if digest.hexdigest() != place.id:
            # Under a digest stand its bytes and no others: these are taken for what they are, a loss.
            self._delete(file)
            return self.versions.rounds.run(
                f"`{file.name}`", lambda _again: self._content_gone(place, content.generation)
            )

        def adopt(_is_again: bool) -> Arrival:
            stored, quota = self._content_and_quota(place)
            known = content_in(stored)
            if known is None or known.generation >= file.generation:
                return Arrival.KNOWN
            restored = replace(
                known,
                generation=file.generation,
                stored_bytes=file.size,
                is_packed=file.content_encoding == "gzip",
                state=ContentState.STORED if known.references else ContentState.RELEASED,
                expires_at=None,
            )
            self._commit(place.user, known, restored, stored, quota)
            return Arrival.ADOPTED

        return self.versions.rounds.run(f"`{file.name}`", adopt)

    def _content_gone(self, place: ArtifactFile, generation: int) -> Arrival:
        stored, quota = self._content_and_quota(place)
        content = content_in(stored)
        now = self.versions.now()
        if quota is None:
            # A user who was erased, or never saved anything: no save is under way that could take the file for its own.
            return Arrival.KNOWN
        if content is None:
            gone = Content(
                digest=place.id, size=0, stored_bytes=0, generation=generation, content_type="",
                state=ContentState.GONE, expires_at=now + GONE_IS_KEPT_FOR,
            )  # fmt: skip
            self.versions.documents.commit([content_write(place.user, gone, None)])
            return Arrival.LOST
        if content.generation != generation or content.state in {ContentState.GONE, ContentState.LOST}:
            return Arrival.KNOWN
        if content.references:
            after = replace(content, state=ContentState.LOST)
        else:
            after = replace(content, state=ContentState.GONE, expires_at=now + GONE_IS_KEPT_FOR)
        self._commit(place.user, content, after, stored, quota)
        return Arrival.LOST if content.state is ContentState.STORED else Arrival.KNOWN

    def _content_and_quota(self, place: ArtifactFile) -> tuple[Document | None, Document | None]:
        stored, quota = self.versions.documents.read_many([blob_path(place.user, place.id), quota_path(place.user)])
        return stored, quota

    def _commit(
        self, user: str, before: Content, after: Content, stored: Document | None, quota: Document | None
    ) -> None:
        account = account_in(user, quota, self.versions.quota_bytes)
        moved = account.moved(used=after.counted_bytes - before.counted_bytes, is_forced=True)
        writes = account_writes(account, moved, quota, self.versions.now()) if moved != account else []
        self.versions.documents.commit([content_write(user, after, stored), *writes])
