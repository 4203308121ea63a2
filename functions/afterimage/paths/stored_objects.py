"""What the name of a stored object says: its family, whose it is, and which output it belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from afterimage.paths.artifacts import DIGEST
from afterimage.paths.books import booked_document
from afterimage.paths.identifiers import DOCUMENT_ID_LIMIT_BYTES, is_document_id, object_id
from afterimage.paths.users import SHARED_RECORDS, USER_RECORDS, USERS


class Family(StrEnum):
    """Which part of the grammar a name belongs to; plans are configured per family."""

    AI_IMAGE = "ai_image"
    AI_VIDEO = "ai_video"
    AI_AUDIO = "ai_audio"
    GENERATED_IMAGE = "generated_image"
    GENERATED_VIDEO = "generated_video"
    MEDIA = "media"
    ARTIFACT = "artifact"
    PROJECT_ARCHIVE = "project_archive"


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """The document a file belongs to, and the parts its name is made of."""

    document: str | None = None
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """What a name inside the grammar says: its family, whose it is, and which output it belongs to."""

    family: Family
    owner: str | None
    """From the path; under `media/`, from the metadata, where rules let nobody name somebody else."""
    output: Output
    records: str | None
    """The collection that holds the record of such an object; None where none is kept."""


_NO_OUTPUT: Final = Output()
_GENERATED_NAME = re.compile(r"(?P<file_uid>.+?)(?:_(?P<index>\d+))?", re.DOTALL)
_VERSION = re.compile(r"v[1-9]\d*")


def place_of(name: str, metadata: Mapping[str, str] | None = None) -> Place | None:
    """What the name of an object says; None for a name outside the grammar, which is left alone.

    `metadata` is the object's custom metadata. Its ids are taken where they spell the very same file name, because only
    they can tell `a_b` + `c` from `a` + `b_c`; without them a name is split at its last underscore.
    """
    parse = _GRAMMAR.get(name.partition("/")[0])
    return parse(name.split("/"), metadata or {}) if parse else None


def record_path(place: Place, bucket: str, name: str) -> str | None:
    """Where the record of an object lives; None where none is kept, or where its id would be too long to exist."""
    if place.records is None:
        return None
    identifier = object_id(bucket, name)
    return f"{place.records}/{identifier}" if len(identifier) <= DOCUMENT_ID_LIMIT_BYTES else None


def _owned(owner: str, family: Family, output: Output) -> Place | None:
    if not is_document_id(owner):
        return None
    return Place(family=family, owner=owner, output=output, records=f"{USERS}/{owner}/{USER_RECORDS}")


def _output(owner: str, kind: str, identifier: str, parts: Mapping[str, str]) -> Output:
    document = booked_document(owner, kind, identifier) if is_document_id(identifier) else None
    return Output(document=document, parts=parts)


def _pair(stem: str, first: str, second: str, metadata: Mapping[str, str]) -> dict[str, str]:
    """Splits `{first}_{second}`: by the metadata where it spells this stem, else at the last underscore."""
    stated = {key: metadata[key] for key in (first, second) if metadata.get(key)}
    if len(stated) == 2 and "_".join(stated.values()) == stem:
        return stated
    left, underscore, right = stem.rpartition("_")
    return {first: left, second: right} if underscore and left and right else {}


def _users(segments: list[str], metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, owner, "ai_generated", "images", file] if file:
            stem = _stem(file)
            parts = _pair(stem, "card_id", "image_type", metadata)
            return _owned(owner, Family.AI_IMAGE, _output(owner, "images", stem, parts))
        case [_, owner, "ai_generated", "videos", file] if file:
            stem = _stem(file)
            return _owned(owner, Family.AI_VIDEO, _output(owner, "videos", stem, {"scene_id": stem} if stem else {}))
        case [_, owner, "ai_generated", "audio", "stems", file] if file:
            stem = _stem(file)
            parts = _pair(stem, "stem_type", "stem_id", metadata)
            return _owned(owner, Family.AI_AUDIO, _output(owner, "audio", stem, parts))
    return None


def _generating(segments: list[str], metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, owner, "image" | "video" as kind, file] if file:
            family = Family.GENERATED_IMAGE if kind == "image" else Family.GENERATED_VIDEO
            stem = _stem(file)
            stated = metadata.get("file_uid", "")
            tail = stem.removeprefix(stated)
            if stated and stem.startswith(stated) and re.fullmatch(r"(_\d+)?", tail):
                parts = {"file_uid": stated, **({"index": tail[1:]} if tail else {})}
            else:
                found = _GENERATED_NAME.fullmatch(stem)
                parts = {key: value for key, value in found.groupdict().items() if value} if found else {}
            return _owned(owner, family, _output(owner, "files", parts.get("file_uid", ""), parts))
    return None


def _media(segments: list[str], metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, file] if file:
            output = _NO_OUTPUT
        case [_, asset, file] if asset and file:
            document = f"mediaAssets/{asset}" if is_document_id(asset) else None
            output = Output(document=document, parts={"asset_id": asset})
        case _:
            return None
    uploader = metadata.get("owner", "")
    owner = uploader if is_document_id(uploader) else None
    return Place(family=Family.MEDIA, owner=owner, output=output, records=SHARED_RECORDS)


def _projects(segments: list[str], _metadata: Mapping[str, str]) -> Place | None:
    match segments:
        case [_, project, "generations", generation, file] if project and generation and file.endswith(".tar.gz"):
            version = file.removesuffix(".tar.gz")
            if _VERSION.fullmatch(version):
                parts = {"project_id": project, "generation_id": generation, "version": version[1:]}
                return Place(family=Family.PROJECT_ARCHIVE, owner=None, output=Output(parts=parts), records=None)
    return None


def _artifacts(segments: list[str], _metadata: Mapping[str, str]) -> Place | None:
    match segments:
        # What has only arrived below `uploads` is nobody's yet: it is looked at when it has been taken.
        case [_, owner, "blobs", digest] if DIGEST.fullmatch(digest):
            return _owned(owner, Family.ARTIFACT, Output(parts={"sha256": digest}))
    return None


def _stem(file: str) -> str:
    """The file name without its extension; a leading dot is not an extension."""
    stem, dot, _ = file.rpartition(".")
    return stem if dot and stem else file


_GRAMMAR: Final[Mapping[str, Callable[[list[str], Mapping[str, str]], Place | None]]] = {
    "users": _users,
    "generating": _generating,
    "media": _media,
    "projects": _projects,
    "artifacts": _artifacts,
}
