"""Where saved files, their versions, contents and uploads lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from afterimage.paths.identifiers import is_document_id

ARTIFACTS: Final = "artifacts"
"""What users save with versions: files and documents alike stand below each user."""
ARTIFACT_FILES: Final = "files"
ARTIFACT_VERSIONS: Final = "versions"
ARTIFACT_BLOBS: Final = "blobs"
ARTIFACT_UPLOADS: Final = "uploads"
DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactFile:
    """What the name of a stored file below `artifacts/` says."""

    user: str
    is_upload: bool
    """Whether it has only arrived; otherwise it holds bytes that versions refer to."""
    id: str
    """The id of the upload, or the digest of the content."""


def artifact_path(user: str, file: str) -> str:
    """The head of a saved file; its versions lie beneath it."""
    return f"{ARTIFACTS}/{user}/{ARTIFACT_FILES}/{file}"


def artifacts_path(user: str) -> str:
    return f"{ARTIFACTS}/{user}/{ARTIFACT_FILES}"


def artifact_versions_path(user: str, file: str) -> str:
    return f"{artifact_path(user, file)}/{ARTIFACT_VERSIONS}"


def artifact_version_path(user: str, file: str, number: int) -> str:
    return f"{artifact_versions_path(user, file)}/{number}"


def blobs_path(user: str) -> str:
    """The collection that counts who refers to each content; `blob_path` is also the name of the stored file."""
    return f"{ARTIFACTS}/{user}/{ARTIFACT_BLOBS}"


def blob_path(user: str, digest: str) -> str:
    """Where a document and the stored file itself stand: bytes once for each user, under their digest."""
    return f"{blobs_path(user)}/{digest}"


def uploads_path(user: str) -> str:
    return f"{ARTIFACTS}/{user}/{ARTIFACT_UPLOADS}"


def upload_path(user: str, upload: str) -> str:
    """Where the document of an upload and the stored file itself stand."""
    return f"{uploads_path(user)}/{upload}"


def parse_artifact_file(name: str) -> ArtifactFile | None:
    """What the name of a stored file says; None for any that is no artifact's."""
    match name.split("/"):
        case [root, user, "blobs" | "uploads" as kind, identifier] if root == ARTIFACTS and is_document_id(user):
            is_upload = kind == ARTIFACT_UPLOADS
            if is_document_id(identifier) if is_upload else DIGEST.fullmatch(identifier):
                return ArtifactFile(user=user, is_upload=is_upload, id=identifier)
    return None
