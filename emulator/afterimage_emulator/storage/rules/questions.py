"""What the rules are asked when somebody reads or changes objects, and the objects as rules read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import Question
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import DEFAULT_CONTENT_TYPE, ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload

if TYPE_CHECKING:
    from afterimage_emulator.rules_language import DocumentLookup

TOKENS_KEY = "firebaseStorageDownloadTokens"
_TIMES = ("timeCreated", "updated")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asking:
    """What every question needs besides: when it is asked, and where `firestore.get` and `firestore.exists` read."""

    now_ns: int
    documents: DocumentLookup | None


def about_list(caller: Caller, bucket: str, asking: Asking, prefix: str) -> Question:
    return _question(caller, bucket, asking, "list", prefix)


def about_object(
    caller: Caller, bucket: str, asking: Asking, method: str, name: str, record: ObjectRecord | None
) -> Question:
    """Whether the object, or its absence, may be seen (`get`), or deleted."""
    return _question(caller, bucket, asking, method, name, stored_resource(record))


def about_edit(
    caller: Caller, bucket: str, asking: Asking, name: str, record: ObjectRecord | None, metadata: ObjectMetadata | None
) -> Question:
    proposed = None if record is None or metadata is None else edited_resource(record, metadata, asking.now_ns)
    return _question(caller, bucket, asking, "update", name, stored_resource(record), proposed)


def about_upload(
    caller: Caller, bucket: str, asking: Asking, upload: Upload, blob: Blob, record: ObjectRecord | None
) -> Question:
    """Overwriting is creating, too: the official suite asks so."""
    uploaded = uploaded_resource(upload, blob, asking.now_ns)
    return _question(caller, bucket, asking, "create", upload.name, stored_resource(record), uploaded)


def _question(
    caller: Caller,
    bucket: str,
    asking: Asking,
    method: str,
    path: str,
    resource: Mapping[str, object] | None = None,
    proposed: Mapping[str, object] | None = None,
) -> Question:
    # Imported where there is something to ask: a suite without storage rules runs without their compiler.
    from afterimage_emulator.rules_language import StorageRequest, Timestamp

    request = StorageRequest(
        method=method,
        bucket=bucket,
        path=path,
        time=Timestamp(asking.now_ns),
        auth=_auth(caller),
        resource=_for_rules(resource),
        request_resource=_for_rules(proposed),
    )
    return Question((request,), asking.documents)


def stored_resource(record: ObjectRecord | None) -> Mapping[str, object] | None:
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


def edited_resource(record: ObjectRecord, metadata: ObjectMetadata, now_ns: int) -> Mapping[str, object]:
    """`request.resource` of a metadata update."""
    return {
        **(stored_resource(record) or {}),
        **_described(record.bucket, record.name, metadata),
        "metageneration": record.metageneration + 1,
        "updated": now_ns,
    }


def uploaded_resource(upload: Upload, blob: Blob, now_ns: int) -> Mapping[str, object]:
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


def _described(bucket: str, name: str, metadata: ObjectMetadata) -> dict[str, object]:
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


def _auth(caller: Caller) -> Mapping[str, object] | None:
    if caller.uid is None and not caller.claims:
        return None
    return {"uid": caller.uid, "token": dict(caller.claims)}


def _for_rules(resource: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    from afterimage_emulator.rules_language import Timestamp

    if resource is None:
        return None
    known = {name: value for name, value in resource.items() if value is not None}
    return {name: Timestamp(value) if name in _TIMES else value for name, value in known.items()}
