"""Handlers of saved files and of the room they take: translation only; what is decided lies in artifacts and quota."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from afterimage.api.cursors import cursor_at, place_at
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.rooms.storage_routes import (
    Advice,
    AdviceGiven,
    AnnouncedFile,
    AnnouncedFiles,
    ArtifactPage,
    ArtifactQuery,
    ArtifactToSave,
    CdnResult,
    CleanedFile,
    CleanupDone,
    CleanupToRun,
    DownloadQuery,
    DriveResult,
    FileAddress,
    FileToUpload,
    Named,
    Overview,
    Removed,
    SavedFile,
    SaveOptions,
    StoredArtifact,
    ToMerge,
    UploadProgress,
    UploadShown,
    UploadStart,
    UploadsToAnnounce,
    UploadToAnnounce,
)
from afterimage.api.routes import Asked, Caller
from afterimage.api.services import Services
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.heads import Head, head_in
from afterimage.artifacts.library import Library, Saving
from afterimage.artifacts.refusals import RefusedError
from afterimage.artifacts.upload_documents import Upload
from afterimage.artifacts.uploads import Announced, Announcement, Uploads
from afterimage.artifacts.versions import SavedVersion
from afterimage.drive_paths import drive_path
from afterimage.paths import blob_path, is_document_id, quota_path, upload_path
from afterimage.quota.account import account_in
from afterimage.quota.advice import recommendations, storage_overview
from afterimage.quota.cleanup import Cleanup, CleanupOptions
from afterimage.quota.review import review
from afterimage.store.links import FileLink

DETAIL = {
    ErrorCode.NOT_FOUND: "the list of files names what there is",
    ErrorCode.CONFLICT: "look at how things stand, and ask again",
}


@contextmanager
def refusals_answered() -> Iterator[None]:
    """Refusals in the API's shape; their kinds are named alike on both sides."""
    try:
        yield
    except RefusedError as error:
        code = ErrorCode(str(error.kind))
        raise ApiError(code, str(error), DETAIL.get(code, "")) from error


def library_of(services: Services) -> Library:
    return library_over(services.documents(), services.files(), services.settings(), now=services.now)


def save_artifact(services: Services, caller: Caller, asked: Asked[Any, ArtifactToSave]) -> SavedFile:
    said = asked.body
    if (said.artifact_data is UNSET) == (said.text is UNSET):
        raise ApiError(ErrorCode.INVALID_REQUEST, "`artifact_data` or `text` is to be saved", "send one of the two")
    if isinstance(said.text, str):
        data, extension = said.text.encode("utf-8", "surrogatepass"), "txt"
    else:
        data, extension = _json(said.artifact_data), "json"
    name = said.name
    if name is None and said.file_id is None:
        name = f"{said.artifact_type or 'artifact'}.{extension}"
    description = _described(said, name, said.description, said.change, said.author)
    return _saved(services, caller, asked, said, GivenBytes(data=data, description=description))


def upload_file(services: Services, caller: Caller, asked: Asked[FileToUpload, bytes]) -> SavedFile:
    said = asked.query
    description = Description(
        name=said.name,
        artifact_type=said.artifact_type,
        folder=said.folder,
        description=said.description,
        change=said.change,
        author=said.author,
    )
    declared = asked.content_type.partition(";")[0].strip()
    return _saved(
        services, caller, asked, said, GivenBytes(data=asked.body, description=description, declared_type=declared)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenBytes:
    """What is to be kept, and what is said of it."""

    data: bytes
    description: Description
    declared_type: str = ""


def _saved(
    services: Services, caller: Caller, asked: Asked[Any, Any], said: SaveOptions, given: GivenBytes
) -> SavedFile:
    """Keeps a version, and publishes it where that was asked for."""
    network = _network_for(services, said)
    saving = Saving(
        file=said.file_id,
        auto_save=said.auto_save,
        create_version=said.create_version,
        declared_type=given.declared_type,
        # What the world is to have is stored as the world is to have it.
        auto_compress=said.auto_compress and not network,
    )
    library = library_of(services)
    with refusals_answered():
        saved = library.save(caller.uid, given.data, given.description, saving, save=asked.operation_id)
        if not network:
            return shown_save(saved)
        from afterimage.publications.saved_files import publish_content

        address = publish_content(library.versions, caller.uid, saved.head.version(saved.number).digest)
    url = None if address is None else network + address
    return shown_save(saved, CdnResult(cdn_url=url, cdn_provider=services.settings().cdn_provider))


def _network_for(services: Services, said: SaveOptions) -> str:
    """The address of the network in front, where the save asks for it; refused where it asks for another."""
    there, base = services.settings().cdn_provider, services.settings().cdn_base_url
    if not said.upload_to_cdn:
        if said.cdn_provider is None:
            return ""
        raise ApiError(
            ErrorCode.INVALID_REQUEST, "`cdn_provider` alone publishes nothing", "send `upload_to_cdn` with it"
        )
    if not there or not base:
        raise ApiError(
            ErrorCode.INVALID_REQUEST,
            "`upload_to_cdn` needs a network in front, and this deployment has none",
            "leave it out, or have `DEFAULT_CDN` and `CDN_BASE_URL` set",
        )
    if said.cdn_provider not in {None, there}:
        raise ApiError(ErrorCode.INVALID_REQUEST, "`cdn_provider` is not in front here", f"name `{there}`, or none")
    return base


def overview(services: Services, caller: Caller, _asked: Asked[Any, None]) -> Overview:
    settings, documents = services.settings(), services.documents()
    quota, drive = documents.read_many([quota_path(caller.uid), drive_path(caller.uid)])
    account = account_in(caller.uid, quota, settings.quota_bytes)
    return Overview(**storage_overview(account, drive=drive.fields if drive else None))


def advise(services: Services, caller: Caller, _asked: Asked[Any, None]) -> AdviceGiven:
    documents = services.documents()
    account = account_in(caller.uid, documents.read(quota_path(caller.uid)), services.settings().quota_bytes)
    advice = recommendations(review(documents, caller.uid), account, services.now())
    return AdviceGiven(recommendations=[Advice(**each) for each in advice])


def clean(services: Services, caller: Caller, asked: Asked[Any, CleanupToRun]) -> CleanupDone:
    said = asked.body
    options = CleanupOptions(
        older_than_days=said.older_than_days, keep_newest=said.keep_newest, auto_saves_only=said.auto_saves_only
    )
    cleanup = Cleanup(library=library_of(services))
    with refusals_answered():
        plan = cleanup.plan(caller.uid, options) if said.dry_run else cleanup.run(caller.uid, options, said.plan)
    return CleanupDone(
        dry_run=said.dry_run,
        plan=plan.name,
        files=[
            CleanedFile(file_id=each.file, name=each.name, versions=[entry.number for entry in each.gone])
            for each in plan.files
        ],
        versions_count=plan.versions,
        freed_bytes=plan.freed_bytes,
        is_cut=plan.is_cut,
    )


def list_files(services: Services, caller: Caller, asked: Asked[ArtifactQuery, None]) -> ArtifactPage:
    said = asked.query
    place = place_at(said.cursor) if said.cursor else None
    if place is not None and not is_document_id(place[1]):
        raise ApiError(ErrorCode.INVALID_REQUEST, "`cursor` is no cursor of this list", "take `next_cursor` of a page")
    found = library_of(services).listed(caller.uid, limit=said.limit, after=place, archived=said.archived)
    order = "archived_at" if said.archived else "active_at"
    files = [shown_file(head, each.fields) for each in found if (head := head_in(each)) is not None]
    following = cursor_at(found[-1].fields[order], found[-1].id) if len(found) == said.limit else None
    return ArtifactPage(files=files, next_cursor=following)


def merge_files(services: Services, caller: Caller, asked: Asked[Any, ToMerge]) -> StoredArtifact:
    with refusals_answered():
        return shown_file(library_of(services).merge(caller.uid, asked.body.kept, asked.body.others))


def show_file(services: Services, caller: Caller, asked: Asked[Any, None]) -> StoredArtifact:
    with refusals_answered():
        return shown_file(library_of(services).head(caller.uid, asked.path["file_id"]))


def describe_file(services: Services, caller: Caller, asked: Asked[Any, Named]) -> StoredArtifact:
    with refusals_answered():
        description = _described(asked.body, asked.body.name)
        return shown_file(library_of(services).describe(caller.uid, asked.path["file_id"], description))


def remove_file(services: Services, caller: Caller, asked: Asked[Any, None]) -> Removed:
    with refusals_answered():
        library_of(services).remove(caller.uid, asked.path["file_id"])
    return Removed()


def download_file(services: Services, caller: Caller, asked: Asked[DownloadQuery, None]) -> FileAddress:
    """A file that a browser saves under its name and never runs."""
    library = library_of(services)
    with refusals_answered():
        head = library.head(caller.uid, asked.path["file_id"])
        entry = head.version(version_number(asked.query.version_id)) if asked.query.version_id else head.newest
        content = library.content(caller.uid, entry)
    link = services.links().download(
        services.settings().originals_bucket,
        blob_path(caller.uid, content.digest),
        shown_as=head.name,
        content_type=content.content_type,
    )
    return FileAddress(url=link.url, expires_at=link.expires_at)


def archive_file(services: Services, caller: Caller, asked: Asked[Any, None]) -> StoredArtifact:
    with refusals_answered():
        return shown_file(library_of(services).archive(caller.uid, asked.path["file_id"]))


def restore_file(services: Services, caller: Caller, asked: Asked[Any, None]) -> StoredArtifact:
    with refusals_answered():
        return shown_file(library_of(services).restore(caller.uid, asked.path["file_id"]))


def announce_uploads(services: Services, caller: Caller, asked: Asked[Any, UploadsToAnnounce]) -> AnnouncedFiles:
    files = [
        Announcement(
            said=_described(each, each.name, each.description, each.change, each.author),
            size=each.size,
            declared_type=each.content_type,
            file=each.file_id,
            digest=each.sha256,
        )
        for each in asked.body.files
    ]
    with refusals_answered():
        found = _uploads(services).announce(caller.uid, files, operation=asked.operation_id)
    shown = [_announced(caller.uid, each) for each in found]
    return AnnouncedFiles(success=all(each.success for each in shown), files=shown)


def show_upload(services: Services, caller: Caller, asked: Asked[Any, None]) -> UploadShown:
    with refusals_answered():
        return _shown_upload(caller.uid, _uploads(services).read(caller.uid, asked.path["upload_id"]))


def start_upload_again(services: Services, caller: Caller, asked: Asked[Any, None]) -> UploadShown:
    with refusals_answered():
        found = _uploads(services).again(caller.uid, asked.path["upload_id"])
    assert found.upload is not None
    return _shown_upload(caller.uid, found.upload, found.link)


def report_progress(services: Services, caller: Caller, asked: Asked[Any, UploadProgress]) -> UploadShown:
    with refusals_answered():
        uploads = _uploads(services)
        return _shown_upload(caller.uid, uploads.report(caller.uid, asked.path["upload_id"], asked.body.received_bytes))


def cancel_upload(services: Services, caller: Caller, asked: Asked[Any, None]) -> UploadShown:
    with refusals_answered():
        return _shown_upload(caller.uid, _uploads(services).cancel(caller.uid, asked.path["upload_id"]))


def shown_save(saved: SavedVersion, cdn: CdnResult | None = None) -> SavedFile:
    entry = saved.head.version(saved.number)
    return SavedFile(
        file_id=saved.head.file,
        version_number=saved.number,
        version_id=f"v{saved.number}",
        is_new_version=saved.is_new_version,
        size=entry.size,
        sha256=entry.digest,
        content_type=saved.content_type,
        drive_result=DriveResult(file_id=saved.head.file, queued=saved.goes_to_drive),
        cdn=cdn or CdnResult(),
    )


def shown_file(head: Head, fields: Mapping[str, Any] | None = None) -> StoredArtifact:
    return StoredArtifact(
        file_id=head.file,
        name=head.name,
        artifact_type=head.artifact_type,
        folder=head.folder,
        tags=list(head.tags),
        version_number=head.newest.number,
        versions_count=len(head.versions),
        pinned=[entry.number for entry in head.versions if entry.is_pinned],
        size=head.newest.size,
        sha256=head.newest.digest,
        content_type=head.content_type,
        created_at=head.created_at,
        archived_at=head.archived_at,
        updated_at=fields["updated_at"] if fields else None,
    )


def version_number(version_id: str) -> int:
    """`v7` and `7` both mean the seventh."""
    digits = version_id.removeprefix("v")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise ApiError(ErrorCode.INVALID_REQUEST, f"`{version_id[:40]}` is no version", "name one as `v7`, or `7`")
    return int(digits)


def _json(value: object) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    except RecursionError as error:
        raise ApiError(ErrorCode.INVALID_REQUEST, "`artifact_data` is nested too deep", "make it flatter") from error


def _uploads(services: Services) -> Uploads:
    return Uploads(library=library_of(services), links=services.links())


def _described(
    said: ArtifactToSave | Named | UploadToAnnounce,
    name: str | None,
    description: str = "",
    change: str = "",
    author: str = "",
) -> Description:
    return Description(
        name=name,
        artifact_type=said.artifact_type,
        folder=said.folder,
        tags=None if said.tags is None else tuple(said.tags),
        description=description,
        change=change,
        author=author,
    )


def _announced(user: str, found: Announced) -> AnnouncedFile:
    if found.upload is None:
        assert found.refusal is not None
        return AnnouncedFile(success=False, error=str(found.refusal), code=str(found.refusal.kind))
    return AnnouncedFile(success=True, upload=_shown_upload(user, found.upload, found.link))


def _shown_upload(user: str, upload: Upload, link: FileLink | None = None) -> UploadShown:
    start = None
    if link is not None:
        start = UploadStart(url=link.url, method=link.method, headers=dict(link.headers), expires_at=link.expires_at)
    return UploadShown(
        upload_id=upload.id,
        state=str(upload.state),
        size=upload.size,
        received_bytes=upload.received_bytes,
        reserved_until=upload.reserved_until,
        document=upload_path(user, upload.id),
        file_id=upload.saved_file,
        version_number=upload.version_number,
        reason=upload.reason,
        code=upload.code,
        start=start,
    )
