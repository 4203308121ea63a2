"""Objects as the Firebase SDKs see them, the metadata they send, and the download tokens kept in it (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from afterimage_emulator.storage.access.lists import FIREBASE_AGENT
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.messages.object_json import patch_metadata
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.objects.records import ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.rules.questions import TOKENS_KEY

_SETTABLE: Final = frozenset(
    {"cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType", "metadata"}
)
_FOR_ADMINISTRATORS: Final = (
    "acl", "contexts", "customTime", "customerEncryption", "eventBasedHold", "kmsKeyName", "retention", "storageClass",
    "temporaryHold",
)  # fmt: skip


def firebase_resource(record: ObjectRecord) -> dict[str, object]:
    """Download tokens are a field of their own here; in Cloud Storage's dialect they are custom metadata."""
    metadata = record.metadata
    resource: dict[str, Any] = {
        "name": record.name,
        "bucket": record.bucket,
        "generation": str(record.generation),
        "metageneration": str(record.metageneration),
        "contentType": metadata.content_type,
        "timeCreated": print_time(record.created_ns),
        "updated": print_time(record.updated_ns),
        "storageClass": record.storage_class,
        "size": str(record.blob.size),
        "crc32c": record.blob.crc32c,
        "etag": record.etag,
        "contentEncoding": metadata.content_encoding or "identity",
        "contentDisposition": metadata.content_disposition or default_disposition(record.name),
        "downloadTokens": ",".join(download_tokens(metadata)),
    }
    if record.blob.md5:
        resource["md5Hash"] = record.blob.md5
    if metadata.cache_control:
        resource["cacheControl"] = metadata.cache_control
    if metadata.content_language:
        resource["contentLanguage"] = metadata.content_language
    custom = {key: value for key, value in metadata.custom.items() if key != TOKENS_KEY}
    if custom:
        resource["metadata"] = custom
    return resource


def default_disposition(name: str) -> str:
    return f"inline; filename*=utf-8''{quote(name.rpartition('/')[2], safe='')}"


def firebase_upload_metadata(
    body: Mapping[str, object], name: str, media_type: str | None, token: str
) -> ObjectMetadata:
    """What an upload stores: `token` is the first download token, unless the client brought its own."""
    said = _settable({key: value for key, value in body.items() if value is not None})
    if isinstance(
        said.get("metadata"), Mapping
    ):  # at an upload null is a value like any other, as in the official suite
        said["metadata"] = {key: _text(value) for key, value in said["metadata"].items()}
    metadata = patch_metadata(ObjectMetadata(), said)
    return with_tokens(
        replace(
            metadata,
            content_type=metadata.content_type or media_type or None,
            content_disposition=metadata.content_disposition or default_disposition(name),
            writer=FIREBASE_AGENT,
        ),
        download_tokens(metadata) or (token,),
    )


def firebase_patched(old: ObjectMetadata, body: Mapping[str, object]) -> ObjectMetadata:
    """A client's update changes everything but the download tokens."""
    said = _settable(body)
    if isinstance(said.get("metadata"), Mapping):
        said["metadata"] = {key: None if value is None else _text(value) for key, value in said["metadata"].items()}
        if not said["metadata"]:
            said["metadata"] = None
    return with_tokens(patch_metadata(old, said), download_tokens(old))


def _settable(body: Mapping[str, object]) -> dict[str, Any]:
    """What users may say of their objects; what an administrator says by Cloud Storage's own API is refused by name."""
    for field in _FOR_ADMINISTRATORS:
        if body.get(field):
            raise invalid(f"`{field}` is for administrators: set it by the API of Cloud Storage")
    return {name: value for name, value in body.items() if name in _SETTABLE}


def _text(value: object) -> str:
    """Custom metadata is text: what is not becomes JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def download_tokens(metadata: ObjectMetadata) -> tuple[str, ...]:
    return tuple(token for token in metadata.custom.get(TOKENS_KEY, "").split(",") if token)


def with_tokens(metadata: ObjectMetadata, tokens: tuple[str, ...]) -> ObjectMetadata:
    custom = {key: value for key, value in metadata.custom.items() if key != TOKENS_KEY}
    if tokens:
        custom[TOKENS_KEY] = ",".join(tokens)
    return replace(metadata, custom=custom)
