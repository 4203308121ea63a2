"""The documents of generations and of their versions. The only module that knows their shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from afterimage.generations.generator import Mode
from afterimage.paths import version_path
from afterimage.store.documents import Document
from afterimage.store.links import FileLink, FileLinks

MOST_VERSIONS: Final = 1_000
PROMPT_SHOWN_CHARACTERS: Final = 500
ARCHIVE_OF: Final = "afterimage_version"
"""In an archive's metadata: user, generation and version that it was made for."""
"""How much of a prompt stands in a list; a version holds the whole."""


class GenerationStatus(StrEnum):
    """How far a version has come."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """Where the files of a version lie."""

    bucket: str
    name: str
    generation: int
    bytes: int

    def link(self, links: FileLinks) -> FileLink:
        """Where it can be fetched for an hour; made at each read, stored nowhere."""
        return links.download_generation(self.bucket, self.name, self.generation)

    def as_fields(self) -> dict[str, Any]:
        return {"bucket": self.bucket, "name": self.name, "generation": self.generation, "bytes": self.bytes}


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionKey:
    """Which version of which user's which generation."""

    uid: str
    generation: str
    version: int
    project: str = field(default="", compare=False)
    """Where its archive lies; a task says it, so that an archive is found when its documents are gone."""

    @property
    def path(self) -> str:
        return version_path(self.uid, self.generation, self.version)

    @property
    def name(self) -> str:
        """Names the version among all of its user's."""
        return f"{self.generation}~v{self.version}"


def generation_fields(*, project_id: str, prompt: str, mode: Mode, now: datetime) -> dict[str, Any]:
    """A generation as it begins."""
    return {
        "project_id": project_id,
        "prompt": prompt[:PROMPT_SHOWN_CHARACTERS],
        "mode": mode,
        "status": GenerationStatus.PROCESSING.value,
        "version": 1,
        "current_version": None,
        "files": [],
        "files_count": 0,
        "archive": None,
        "model": None,
        "error": None,
        "created_at": now,
        "updated_at": now,
    }


def version_fields(
    *, project_id: str, version: int, parent: int | None, prompt: str, mode: Mode, reserved: int, now: datetime
) -> dict[str, Any]:
    """A version as it begins."""
    return {
        "project_id": project_id,
        "version": version,
        "parent_version": parent,
        "prompt": prompt,
        "mode": mode,
        "status": GenerationStatus.PROCESSING.value,
        "files": [],
        "files_count": 0,
        "archive": None,
        "model": None,
        "input_tokens": None,
        "output_tokens": None,
        "error": None,
        "reserved_nano_usd": reserved,
        "attempts": 0,
        "claim": None,
        "claimed_until": None,
        "may_have_spent": False,
        "created_at": now,
        "completed_at": None,
    }


def with_version(generation: Mapping[str, Any], version: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """What a generation says once one of its versions has ended: the later the version, the more its word counts."""
    fields = {**generation, "updated_at": now}
    number = version["version"]
    if number == generation["version"]:
        fields |= {"status": version["status"], "error": version["error"]}
    current = generation["current_version"]
    if version["status"] == GenerationStatus.COMPLETED and (current is None or number > current):
        shown = ("files", "files_count", "archive", "model")
        fields |= {"current_version": number, **{name: version[name] for name in shown}}
    return fields


def archive_in(fields: Mapping[str, Any]) -> Archive | None:
    held = fields["archive"]
    return None if held is None else Archive(**held)


def file_list(files: Mapping[str, bytes]) -> Sequence[Mapping[str, Any]]:
    return [{"path": name, "bytes": len(data)} for name, data in files.items()]


def is_open(version: Document | None) -> bool:
    return version is not None and version.fields["status"] == GenerationStatus.PROCESSING
