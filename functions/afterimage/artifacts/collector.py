"""Clears away what no version needs: released bytes, bytes that a crash left, uploads whose time is over.

Bytes are claimed through their content's document before they are deleted, and that document outlives them. A save that
looked earlier finds its condition broken, stores the bytes again, and loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from afterimage.artifacts.arrivals import Arrivals
from afterimage.artifacts.contents import GONE_IS_KEPT_FOR, Content, ContentState, content_in, content_write
from afterimage.artifacts.upload_documents import UNDER_WAY, UploadState, upload_in
from afterimage.artifacts.versions import Versions
from afterimage.paths import ArtifactFile, blob_path, parse_artifact_file, upload_path
from afterimage.store.documents import ConflictError, Document
from afterimage.store.files import StoredFile

LEFT_ALONE_FOR: Final = timedelta(hours=1)
"""A file this young may belong to a request that is still under way; it would only have to store it again."""
EVENTS_TAKE_AT_MOST: Final = timedelta(minutes=10)
"""An upload that arrived longer ago and is still open has lost its event."""


@dataclass(frozen=True, kw_only=True)
class Collector:
    """One decision at a time; walking through everything is the job's."""

    arrivals: Arrivals

    @property
    def versions(self) -> Versions:
        return self.arrivals.versions

    def content(self, user: str, stored: Document) -> str:
        """Deletes the bytes of a content that nothing refers to; says what was done."""
        content = content_in(stored)
        if content is None or content.state not in {ContentState.RELEASED, ContentState.DELETING}:
            return "in use"
        try:
            if content.state is ContentState.RELEASED:
                content = replace(content, state=ContentState.DELETING)
                stored = self._moved(user, stored, content)
            self._delete_claimed(user, stored, content)
        except ConflictError:
            # Referred to again meanwhile; its bytes are there, or are stored again by whoever does.
            return "in use"
        return "released bytes deleted"

    def file(self, file: StoredFile) -> str:
        """Decides about a stored file below `artifacts/`: it stays, is deleted, or is handled in place of its event."""
        place = parse_artifact_file(file.name)
        if place is None:
            return "outside the grammar"
        age = self.versions.now() - file.created
        if place.is_upload:
            return self._arrived_file(place, file, age)
        stored = self.versions.documents.read(blob_path(place.user, place.id))
        content = content_in(stored)
        if content is not None and content.state not in {ContentState.GONE, ContentState.DELETING}:
            if content.generation < file.generation:
                return str(self.arrivals.finalized(file.bucket, file.name, file.generation))
            return "in use"
        if age < LEFT_ALONE_FOR:
            return "too young to tell"
        claim = Content(
            digest=place.id, size=0, stored_bytes=0, generation=file.generation, content_type="",
            state=ContentState.DELETING,
        )  # fmt: skip
        try:
            self._delete_claimed(place.user, self._moved(place.user, stored, claim), claim)
        except ConflictError:
            return "in use"
        return "left-over bytes deleted"

    def upload(self, user: str, stored: Document) -> str:
        """Ends an upload whose time is over; one whose event was lost is handled as if it had come."""
        upload = upload_in(stored)
        if upload is None or upload.state not in UNDER_WAY:
            return "closed"
        now = self.versions.now()
        name = upload_path(user, upload.id)
        file = self.versions.contents.files.find(self.versions.contents.bucket, name)
        if file is not None and now - file.created >= EVENTS_TAKE_AT_MOST:
            return str(self.arrivals.finalized(file.bucket, file.name, file.generation))
        if file is None and now > upload.reserved_until + EVENTS_TAKE_AT_MOST:
            reason = "no file came while room was reserved for it: announce it again"
            self.arrivals.uploads.end(
                user, upload.id, lambda found: found.closed(UploadState.EXPIRED, now, reason=reason)
            )
            return "reservations ended"
        return "under way"

    def lost_content(self, user: str, stored: Document) -> str:
        """Notices bytes that are gone without an event having told."""
        content = content_in(stored)
        if content is None or content.state is not ContentState.STORED:
            return "not counted"
        name = blob_path(user, content.digest)
        file = self.versions.contents.files.find(self.versions.contents.bucket, name)
        if file is not None and file.generation == content.generation:
            return "there"
        if file is not None:
            return str(self.arrivals.finalized(file.bucket, file.name, file.generation))
        return str(self.arrivals.deleted(self.versions.contents.bucket, name, content.generation))

    def _arrived_file(self, place: ArtifactFile, file: StoredFile, age: timedelta) -> str:
        upload = upload_in(self.versions.documents.read(upload_path(place.user, place.id)))
        if age < EVENTS_TAKE_AT_MOST:
            return "under way"
        if upload is None or upload.state not in UNDER_WAY:
            self.versions.contents.files.delete(file.bucket, file.name, generation=file.generation)
            return "left-over uploads deleted"
        return str(self.arrivals.finalized(file.bucket, file.name, file.generation))

    def _delete_claimed(self, user: str, stored: Document, claim: Content) -> None:
        self.versions.contents.delete(user, claim)
        gone = replace(claim, state=ContentState.GONE, expires_at=self.versions.now() + GONE_IS_KEPT_FOR)
        self._moved(user, stored, gone)

    def _moved(self, user: str, stored: Document | None, after: Content) -> Document:
        write = content_write(user, after, stored)
        [version] = self.versions.documents.commit([write])
        return Document(path=write.path, fields={}, version=version)
