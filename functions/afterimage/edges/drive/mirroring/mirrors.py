"""A saved file as it stands in a user's Drive: which versions are there, as which revisions, and what people did. Pure.

Every file that is put there carries app properties, which no other app sees: which saved file it is, and which version
was put there last. They arrive in one step with the bytes, so they tell what became of an upload whose answer was lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from afterimage.artifacts.heads import Head, VersionEntry
from afterimage.edges.drive.google.drive_api import DriveFile
from afterimage.store.documents import Document

APP: Final = "afterimage"
FOLDER_MARK: Final[Mapping[str, str]] = {APP: "folder"}
FOLDER_NAME: Final = "Afterimage"
REVISIONS_LIMIT: Final = 200
"""So many revisions of a file Drive keeps for ever."""
MOST_PINNED_THERE: Final = 165
"""Beside the thirty newest; the rest of the limit is for people, and for a version that comes before another goes."""
_EARLIER_KEPT: Final = 20


class MirrorState(StrEnum):
    """What a user is told of a file."""

    WAITING = "waiting"
    CURRENT = "current"
    LEFT = "left"
    """It was deleted here; what lies in Drive stays there and is not touched any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MirroredVersion:
    """A version and the revision that holds it."""

    number: int
    sha256: str
    revision: str
    is_kept: bool
    is_packed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Noticed:
    """What people did in Drive to the file that is there now."""

    trashed: bool = False
    removed: bool = False
    locked: bool = False
    edited_revision: str = ""
    """A content that is not from here, and is the newest."""
    renamed_to: str = ""
    overtaken: tuple[str, ...] = ()
    """Contents of people that came in between two of ours: they are kept for ever."""

    @property
    def is_left_alone(self) -> bool:
        """Whether nothing may be put there any more."""
        return self.trashed or self.removed or self.locked or bool(self.edited_revision)

    @property
    def why(self) -> str:
        told = {"removed": self.removed, "trashed": self.trashed, "locked": self.locked}
        return next((why for why, is_so in told.items() if is_so), "edited")


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadMark:
    """What the app properties of a file say was put there last."""

    number: int
    sha256: str
    md5: str

    @property
    def name(self) -> str:
        return arrival_name(self.number, self.sha256)

    def properties(self, file: str) -> dict[str, str]:
        return {APP: "file", "file": file, "version": str(self.number), "sha256": self.sha256, "md5": self.md5}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """One saved file."""

    file: str
    account: str
    drive_id: str = ""
    """Made up before the file is, so that making it twice makes one."""
    is_made: bool = False
    name: str = ""
    """As it was last given from here."""
    url: str = ""
    through: int = 0
    """The newest version that was put there, or could not be."""
    through_sha256: str = ""
    arrived: str = ""
    """The last upload of which it is known that it arrived, as its mark names it."""
    head_revision: str = ""
    """The newest revision from here."""
    versions: tuple[MirroredVersion, ...] = ()
    noticed: Noticed = Noticed()
    earlier: tuple[Mapping[str, Any], ...] = ()
    """Files in Drive that this one had before, and why they were left to the user."""
    state: MirrorState = MirrorState.WAITING
    error: str = ""

    def begun_anew(self, drive_id: str, why: str, now: datetime) -> Mirror:
        """In another file of Drive: the one before is the user's, with all that is in it."""
        left = {"drive_id": self.drive_id, "why": why, "at": now}
        return replace(
            self, drive_id=drive_id, is_made=False, name="", url="", arrived="", head_revision="", versions=(),
            noticed=Noticed(), earlier=(*self.earlier, left)[-_EARLIER_KEPT:],
        )  # fmt: skip

    def without_bytes(self, entry: VersionEntry) -> Mirror:
        """With a version whose bytes are lost: it is told as one without a revision."""
        lost = MirroredVersion(number=entry.number, sha256=entry.digest, revision="", is_kept=False)
        return replace(self, through=entry.number, through_sha256=entry.digest, versions=(*self.versions, lost))

    def with_version(self, entry: MirroredVersion, file: DriveFile, *, name: str) -> Mirror:
        """With a version that has arrived."""
        is_newest = entry.number >= self.through
        return replace(
            self,
            is_made=True,
            url=file.web_view_link or self.url,
            name=name or self.name,
            through=entry.number if is_newest else self.through,
            through_sha256=entry.sha256 if is_newest else self.through_sha256,
            arrived=arrival_name(entry.number, entry.sha256),
            head_revision=entry.revision,
            versions=(*self.versions, entry),
            state=MirrorState.WAITING,
            error="",
        )


def upload_mark_in(file: DriveFile) -> UploadMark | None:
    said = file.app_properties
    number = said.get("version", "")
    if said.get(APP) != "file" or not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    return UploadMark(number=int(number), sha256=said.get("sha256", ""), md5=said.get("md5", ""))


def arrival_name(number: int, sha256: str) -> str:
    return f"{number}/{sha256}"


def uploads_wanted(head: Head, mirror: Mirror) -> list[VersionEntry]:
    """What has to be put there, oldest first, so that revisions stand in the order of versions."""
    return [
        entry
        for entry in head.versions
        if entry.number > mirror.through
        or (entry.number == mirror.through and entry.digest != mirror.through_sha256)  # an automatic save in its place
    ]


def kept_there(head: Head) -> set[tuple[int, str]]:
    """Versions that Drive is to keep for ever: all that are kept here, of many pinned ones the newest."""
    pinned = [entry for entry in head.versions if entry.is_pinned][-MOST_PINNED_THERE:]
    loose = [entry for entry in head.versions if not entry.is_pinned]
    return {(entry.number, entry.digest) for entry in (*pinned, *loose)}


def keeping_wanted(head: Head, mirror: Mirror) -> list[tuple[str, bool]]:
    """Revisions that are to be kept for ever, or no longer; what comes first is let go of, so that there is room."""
    kept = kept_there(head)
    wanted = {each.revision for each in mirror.versions if (each.number, each.sha256) in kept and each.revision}
    known = {each.revision: each.is_kept for each in mirror.versions if each.revision}
    changes = [(revision, revision in wanted) for revision, is_kept in known.items() if is_kept != (revision in wanted)]
    return sorted(changes, key=lambda change: change[1])


def after_keeping(head: Head, mirror: Mirror, told: Mapping[str, bool | None]) -> Mirror:
    """The mirror once revisions were told; None: a revision is not there any more. Versions that went are forgotten."""
    kept = kept_there(head)
    versions = [
        replace(each, is_kept=bool(told.get(each.revision, each.is_kept)))
        for each in mirror.versions
        if (each.number, each.sha256) in kept and told.get(each.revision, True) is not None
    ]
    return replace(mirror, versions=tuple(versions))


def name_there(head: Head, *, is_packed: bool) -> str:
    return f"{head.name}.gz" if is_packed else head.name


def mirror_in(found: Document | None) -> Mirror | None:
    if found is None:
        return None
    fields: Mapping[str, Any] = found.fields
    noticed = fields["noticed"]
    return Mirror(
        file=found.id,
        account=fields["account_id"],
        drive_id=fields["drive_id"],
        is_made=fields["is_made"],
        name=fields["name"],
        url=fields["url"],
        through=fields["version_number"],
        through_sha256=fields["sha256"],
        arrived=fields["arrived"],
        head_revision=fields["head_revision_id"],
        versions=tuple(
            MirroredVersion(
                number=each["version_number"],
                sha256=each["sha256"],
                revision=each["revision_id"],
                is_kept=each["kept"],
                is_packed=each["packed"],
            )
            for each in fields["revisions"]
        ),
        noticed=Noticed(
            trashed=noticed["trashed"],
            removed=noticed["removed"],
            locked=noticed["locked"],
            edited_revision=noticed["edited_revision_id"],
            renamed_to=noticed["renamed_to"],
            overtaken=tuple(noticed["overtaken_revision_ids"]),
        ),
        earlier=tuple(fields["earlier"]),
        state=MirrorState(fields["state"]),
        error=fields["error"],
    )


def mirror_fields(mirror: Mirror) -> dict[str, Any]:
    """The document that the user reads; `updated_at` is set by the store's clock beside it."""
    return {
        "state": str(mirror.state),
        "account_id": mirror.account,
        "drive_id": mirror.drive_id,
        "is_made": mirror.is_made,
        "name": mirror.name,
        "url": mirror.url,
        "version_number": mirror.through,
        "sha256": mirror.through_sha256,
        "arrived": mirror.arrived,
        "head_revision_id": mirror.head_revision,
        "revisions": [
            {
                "version_number": each.number,
                "sha256": each.sha256,
                "revision_id": each.revision,
                "kept": each.is_kept,
                "packed": each.is_packed,
            }
            for each in mirror.versions
        ],
        "noticed": {
            "trashed": mirror.noticed.trashed,
            "removed": mirror.noticed.removed,
            "locked": mirror.noticed.locked,
            "edited_revision_id": mirror.noticed.edited_revision,
            "renamed_to": mirror.noticed.renamed_to,
            "overtaken_revision_ids": list(mirror.noticed.overtaken),
        },
        "earlier": [dict(each) for each in mirror.earlier],
        "error": mirror.error,
    }
