"""What the Firebase dialect asks its gate: who wants what, and the objects as rules read them (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from afterimage_emulator.front.callers import Caller
from afterimage_emulator.storage.errors import Reason, StorageError
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import DEFAULT_CONTENT_TYPE, ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload

TOKENS_KEY = "firebaseStorageDownloadTokens"


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What somebody wants to do: `method` is get, list, create, update or delete.

    The resources map the names that rules know to plain values; times are nanoseconds since the epoch.
    """

    caller: Caller
    method: str
    bucket: str
    path: str
    resource: Mapping[str, Any] | None = None
    request_resource: Mapping[str, Any] | None = None


class RulesGate(Protocol):
    """Whoever decides. Administrators are never asked about; without rules everything is allowed."""

    def authorize(self, access: Access) -> None:
        """Returns where the rules allow it, raises a forbidden `StorageError` where they do not."""
        ...


def forbidden(method: str, *, details: tuple[bytes, ...] = ()) -> StorageError:
    permission = {"get": "READ", "list": "LIST"}.get(method, "WRITE")
    return StorageError(Reason.FORBIDDEN, f"Permission denied. No {permission} permission.", details=details)


def stored_resource(record: ObjectRecord | None) -> Mapping[str, Any] | None:
    """`resource` as rules read it."""
    if record is None:
        return None
    return {
        **_described(record.bucket, record.name, record.metadata),
        "generation": record.generation,
        "metageneration": record.metageneration,
        "size": record.blob.size,
        "md5Hash": record.blob.md5,
        "crc32c": record.blob.crc32c,
        "etag": record.etag,
        "timeCreated": record.created_ns,
        "updated": record.updated_ns,
    }


def edited_resource(record: ObjectRecord, metadata: ObjectMetadata, now_ns: int) -> Mapping[str, Any]:
    """`request.resource` of a metadata update."""
    return {
        **(stored_resource(record) or {}),
        **_described(record.bucket, record.name, metadata),
        "metageneration": record.metageneration + 1,
        "updated": now_ns,
    }


def uploaded_resource(upload: Upload, blob: Blob, now_ns: int) -> Mapping[str, Any]:
    """`request.resource` of an upload."""
    return {
        **_described(upload.bucket, upload.name, upload.metadata),
        "contentType": upload.metadata.content_type or DEFAULT_CONTENT_TYPE,
        "timeCreated": now_ns,
        "updated": now_ns,
        "size": blob.size,
        "md5Hash": blob.md5,
        "crc32c": blob.crc32c,
    }


def _described(bucket: str, name: str, metadata: ObjectMetadata) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "name": name,
        "contentType": metadata.content_type,
        "contentEncoding": metadata.content_encoding,
        "contentDisposition": metadata.content_disposition,
        "contentLanguage": metadata.content_language,
        "cacheControl": metadata.cache_control,
        "metadata": {key: value for key, value in metadata.custom.items() if key != TOKENS_KEY},
    }
