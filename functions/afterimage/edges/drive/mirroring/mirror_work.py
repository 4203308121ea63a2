"""Puts one saved file into its user's Drive: step by step, each of which may be the last and is then gone on from.

What is to be done follows from three things as they are: the file's head, its mirror, and the file in Drive. A step is
written down before it is taken where it could otherwise be taken twice (an id before the file, a session before its
bytes), and after it where Drive itself tells whether it was (the app properties of an upload).
"""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

from afterimage.artifacts.content_bytes import ContentBytes
from afterimage.artifacts.contents import content_in
from afterimage.artifacts.heads import Head, VersionEntry, head_in
from afterimage.drive_paths import drive_link_path, drive_mirror_path
from afterimage.edges.drive.faults import (
    DriveBusyError,
    DriveMissingError,
    DriveRefusedError,
    DriveThereError,
    KeyUnknownError,
    SessionGoneError,
)
from afterimage.edges.drive.google.drive_api import DriveApi, DriveFile, DriveRevision
from afterimage.edges.drive.google.resumable import PIECE_BYTES, Resumable
from afterimage.edges.drive.keys.sealing import Sealer
from afterimage.edges.drive.links.links import DriveLinks, OpenLink
from afterimage.edges.drive.mirroring.folder import app_folder
from afterimage.edges.drive.mirroring.mirrors import (
    REVISIONS_LIMIT,
    Mirror,
    MirroredVersion,
    MirrorState,
    Noticed,
    UploadMark,
    after_keeping,
    keeping_wanted,
    mirror_fields,
    mirror_in,
    name_there,
    upload_mark_in,
    uploads_wanted,
)
from afterimage.faults import TransientError
from afterimage.paths import artifact_path, blob_path
from afterimage.store.documents import Change, ConflictError, Document, DocumentStore, Expect, Replace, Write
from afterimage.store.files import StoredFile

logger = logging.getLogger("afterimage.drive")
_ROUNDS: Final = 4
_PACKED_TYPE: Final = "application/gzip"


class OutOfTimeError(Exception):
    """There is more to do, and no time now; all that was done is written down."""


@dataclass(frozen=True, kw_only=True)
class MirrorTools:
    """What the work on every file shares."""

    documents: DocumentStore
    links: DriveLinks
    contents: ContentBytes
    piece_bytes: int = PIECE_BYTES
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def sealer(self) -> Sealer:
        return self.links.sealer


@dataclass(kw_only=True)
class MirrorWork:
    """The work on one file, for as long as one round lasts."""

    tools: MirrorTools
    link: OpenLink
    api: DriveApi
    note: Document
    go_on: Callable[[], bool]
    _mirror: Mirror = field(init=False)
    _stored: Document | None = field(init=False, default=None)

    @property
    def _uid(self) -> str:
        return self.link.uid

    def run(self) -> None:
        """Does all there is to do. OutOfTimeError where something is left."""
        file = str(self.note.fields["file"])
        head_document, self._stored = self.tools.documents.read_many(
            [artifact_path(self._uid, file), drive_mirror_path(self._uid, file)]
        )
        head = head_in(head_document)
        found = mirror_in(self._stored)
        if head is None:
            if found is not None and found.state is not MirrorState.LEFT:
                self._mirror = found
                self._keep(replace(found, state=MirrorState.LEFT, error=""))
            return
        if found is None or found.account != self.link.account:
            found = Mirror(file=file, account=self.link.account)
        self._mirror = found
        self._look(head)
        for entry in uploads_wanted(head, self._mirror):
            self._upload_again(head, entry)
        self._tell_revisions(head)
        self._tell_name(head)
        self._keep(replace(self._mirror, state=MirrorState.CURRENT, error=""))

    # -- looking

    def _look(self, head: Head) -> None:
        """Takes in what is in Drive now: an upload whose answer was lost, and what people did."""
        mirror = self._mirror
        if not mirror.drive_id:
            return
        file = self.api.file(mirror.drive_id)
        if file is None:
            if mirror.is_made:
                self._notice(replace(mirror.noticed, removed=True))
            return
        mark = upload_mark_in(file)
        if mark is not None and mark.name != mirror.arrived:
            self._take_arrival(head, file, mark)
            mirror = self._mirror
        if not mirror.is_made:
            return
        is_edited = file.head_revision_id not in {"", mirror.head_revision}
        self._notice(
            replace(
                mirror.noticed,
                removed=False,
                trashed=file.trashed,
                locked=not file.capabilities.can_modify_content,
                edited_revision=file.head_revision_id if is_edited else "",
                renamed_to=file.name if file.name != mirror.name else "",
            )
        )

    def _take_arrival(self, head: Head, file: DriveFile, mark: UploadMark) -> None:
        """Everything of it is there; which revision it is, its checksum tells."""
        revisions = self.api.revisions(file.id)
        known = {each.revision for each in self._mirror.versions}
        fitting = [each for each in revisions if each.md5_checksum == mark.md5]
        new = [each for each in fitting if each.id not in known] or fitting
        if not new:
            # Damaged on its way: what is there is not what was sent, and is treated as somebody else's.
            return
        arrived = max(new, key=_modified)
        is_packed = file.name == name_there(head, is_packed=True)
        entry = MirroredVersion(
            number=mark.number, sha256=mark.sha256, revision=arrived.id, is_kept=arrived.keep_forever,
            is_packed=is_packed,
        )  # fmt: skip
        self._protect(revisions, arrived)
        self._keep(self._mirror.with_version(entry, file, name=self._mirror.name or file.name))

    def _protect(self, revisions: list[DriveRevision], ours: DriveRevision) -> None:
        """Contents of people that came between the last of ours and this one would be purged: they are kept."""
        before = next((each for each in revisions if each.id == self._mirror.head_revision), None)
        if before is None:
            return
        known = {each.revision for each in self._mirror.versions} | {ours.id}
        between = [
            each for each in revisions if _modified(before) < _modified(each) < _modified(ours) and each.id not in known
        ]
        kept = sum(each.keep_forever for each in revisions)
        for each in between:
            if not each.keep_forever and kept < REVISIONS_LIMIT:
                self.api.keep_revision(self._mirror.drive_id, each.id, is_kept=True)
                kept += 1
        if between:
            overtaken = (*self._mirror.noticed.overtaken, *(each.id for each in between))
            self._notice(replace(self._mirror.noticed, overtaken=tuple(dict.fromkeys(overtaken))))

    def _notice(self, noticed: Noticed) -> None:
        if noticed != self._mirror.noticed:
            self._keep(replace(self._mirror, noticed=noticed))

    # -- uploading

    def _upload_again(self, head: Head, entry: VersionEntry) -> None:
        for _ in range(_ROUNDS):
            try:
                self._upload(head, entry)
            except SessionGoneError:
                self._note_session("", "")
                self._look(head)
                if not uploads_wanted(replace(head, versions=(entry,)), self._mirror):
                    return
                continue
            return
        raise DriveBusyError("sessions of uploads run out before anything is sent")

    def _upload(self, head: Head, entry: VersionEntry) -> None:
        stored, is_packed = self._bytes_of(entry)
        if stored is None:
            self._keep(self._mirror.without_bytes(entry))
            return
        if not self.go_on():
            raise OutOfTimeError
        self._begin_file()
        mark = UploadMark(number=entry.number, sha256=entry.digest, md5=b64decode(stored.md5).hex())
        session, is_new, name = self._session(head, entry, stored, mark, is_packed=is_packed)
        exchange = self.api.exchange
        sender = Resumable(exchange=exchange, piece_bytes=self.tools.piece_bytes, wait=exchange.wait)
        files = self.tools.contents.files
        file = sender.send(
            session, stored.size, lambda start, end: files.read(stored, start, end), is_new=is_new, go_on=self.go_on
        )
        if file is None:
            raise OutOfTimeError
        if file.md5_checksum != mark.md5:
            self._note_session("", "")
            raise DriveBusyError(f"version {entry.number} arrived damaged")
        self._take_upload(file, entry, name, is_packed=is_packed)

    def _take_upload(self, file: DriveFile, entry: VersionEntry, name: str, *, is_packed: bool) -> None:
        # A file that was just made has nothing older; in any other, somebody may have been quicker.
        revisions = self.api.revisions(file.id)
        ours = next((each for each in revisions if each.id == file.head_revision_id), None)
        if ours is None:
            raise DriveBusyError("the revision that was just made is not listed yet")
        if self._mirror.is_made:
            self._protect(revisions, ours)
        version = MirroredVersion(
            number=entry.number, sha256=entry.digest, revision=ours.id, is_kept=ours.keep_forever, is_packed=is_packed
        )
        self._keep(self._mirror.with_version(version, file, name=name))

    def _bytes_of(self, entry: VersionEntry) -> tuple[StoredFile | None, bool]:
        """The stored bytes of a version as they are, packed where they are; None where they are lost."""
        content = content_in(self.tools.documents.read(blob_path(self._uid, entry.digest)))
        if content is None or not content.has_bytes:
            return None, False
        contents = self.tools.contents
        found = contents.files.find(contents.bucket, blob_path(self._uid, entry.digest))
        if found is None or found.generation != content.generation:
            raise TransientError(f"the bytes of version {entry.number} come and go; try again")
        return found, content.is_packed

    def _begin_file(self) -> None:
        """Makes sure that there is an id to put it under; nothing is put over what people did."""
        mirror = self._mirror
        if mirror.drive_id and not mirror.noticed.is_left_alone:
            return
        identifier = self.api.new_id()
        if mirror.drive_id:
            mirror = mirror.begun_anew(identifier, mirror.noticed.why, self.tools.now())
        self._keep(replace(mirror, drive_id=identifier, state=MirrorState.WAITING))

    def _session(
        self, head: Head, entry: VersionEntry, stored: StoredFile, mark: UploadMark, *, is_packed: bool
    ) -> tuple[str, bool, str]:
        """Where the bytes go, whether nothing has been sent there yet, and the name that arrives with them."""
        mirror = self._mirror
        # Whoever gave it a name in Drive keeps that name.
        name = "" if mirror.noticed.renamed_to else name_there(head, is_packed=is_packed)
        key = f"{entry.number}/{entry.digest}/{mirror.drive_id}"
        if self.note.fields.get("session_for") == key:
            try:
                sealed = str(self.note.fields["session"])
                return self.tools.sealer.open_under(self.link.key, self._uid, sealed), False, name
            except KeyUnknownError:
                # Sealed under the permission before this one. Nothing of it has arrived, or the look had told.
                logger.info("the session of `%s` is followed by another: its user has linked anew", mirror.file)
        about: dict[str, Any] = {"appProperties": mark.properties(mirror.file)}
        about |= {"name": name} if name else {}
        plain = stored.content_type.partition(";")[0].strip() or "application/octet-stream"
        content_type = _PACKED_TYPE if is_packed else plain
        about["mimeType"] = content_type
        if not mirror.is_made:
            about["parents"] = [app_folder(self.tools.documents, self.link, self.api)]
        session = self._begun(about, size=stored.size, content_type=content_type)
        self._note_session(key, self.tools.sealer.seal_under(self.link.key, self._uid, session))
        return session, True, name

    def _begun(self, about: dict[str, Any], *, size: int, content_type: str) -> str:
        mirror = self._mirror

        def begin(*, is_kept: bool) -> str:
            return self.api.start_upload(
                mirror.drive_id, about, is_new=not mirror.is_made, size=size, content_type=content_type, is_kept=is_kept
            )

        try:
            return begin(is_kept=True)
        except (DriveThereError, DriveMissingError) as error:
            # Something has changed since it was looked at: looked at again, it says what.
            raise DriveBusyError(f"a file in Drive came or went meanwhile: {error}") from error
        except DriveRefusedError:
            if not mirror.is_made or sum(e.keep_forever for e in self.api.revisions(mirror.drive_id)) < REVISIONS_LIMIT:
                raise
            # People have all two hundred kept: this one comes as any other revision, and is kept when there is room.
            return begin(is_kept=False)

    def _note_session(self, key: str, sealed: str) -> None:
        """Before the first byte: after a crash the same session goes on, and no second one makes a second revision."""
        put = {"session_for": key, "session": sealed}
        for _ in range(_ROUNDS):
            try:
                [version] = self.tools.documents.commit(
                    [Change(path=self.note.path, put=put, expected=self.note.version)]
                )
            except ConflictError:
                # A save has noted the file once more; only whoever took the note over would end this work.
                found = self.tools.documents.read(self.note.path)
                if found is None or found.fields.get("claim") != self.note.fields.get("claim"):
                    raise
                self.note = found
                continue
            self.note = replace(self.note, fields={**self.note.fields, **put}, version=version)
            return
        raise TransientError(f"`{self.note.path}` is contended; try again")

    # -- telling Drive

    def _tell_revisions(self, head: Head) -> None:
        if not self._mirror.is_made or self._mirror.noticed.removed:
            return
        told: dict[str, bool | None] = {}
        for revision, is_kept in keeping_wanted(head, self._mirror):
            if not self.go_on():
                raise OutOfTimeError
            try:
                is_there = self.api.keep_revision(self._mirror.drive_id, revision, is_kept=is_kept)
            except DriveRefusedError as error:
                # The limit of two hundred, or a file that was locked: the next look tries again.
                logger.warning("a revision of `%s` cannot be kept: %s", self._mirror.file, error)
                continue
            told[revision] = is_kept if is_there else None
        self._mirror_after(after_keeping(head, self._mirror, told))

    def _tell_name(self, head: Head) -> None:
        mirror = self._mirror
        there = [each for each in mirror.versions if each.revision]
        if not there or mirror.noticed.is_left_alone or mirror.noticed.renamed_to:
            return
        name = name_there(head, is_packed=there[-1].is_packed)
        if name != mirror.name:
            self.api.rename(mirror.drive_id, name)
            self._mirror_after(replace(mirror, name=name))

    def _mirror_after(self, mirror: Mirror) -> None:
        if mirror != self._mirror:
            self._keep(mirror)

    def _keep(self, mirror: Mirror) -> None:
        """Writes the mirror where it is as it was read; ConflictError where somebody else works on it."""
        path = drive_mirror_path(self._uid, mirror.file)
        expected = self._stored.version if self._stored else Expect.ABSENT
        fields = mirror_fields(mirror)
        if self._stored is not None and {**self._stored.fields, "updated_at": None} == {**fields, "updated_at": None}:
            self._mirror = mirror
            return
        writes: list[Write] = [Replace(path=path, fields=fields, expected=expected, server_times=("updated_at",))]
        if self._stored is None:
            # The user may be erased at this moment: with no link there is no mirror either.
            touched = {"mirrored_at": self.tools.now()}
            writes.append(Change(path=drive_link_path(self._uid), put=touched, expected=Expect.PRESENT))
        version = self.tools.documents.commit(writes)[0]
        self._stored = Document(path=path, fields=fields, version=version)
        self._mirror = mirror


def _modified(revision: DriveRevision) -> datetime:
    return revision.modified_time or datetime.min.replace(tzinfo=UTC)
