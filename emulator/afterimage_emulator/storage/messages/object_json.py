"""Objects and buckets as resources of the JSON API, and the metadata that clients send in that form (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote

from afterimage_emulator.storage.access.lists import OBJECT_ROLES, read_list
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.messages.timestamps import parse_time, print_event_time, print_time
from afterimage_emulator.storage.objects.contexts import Contexts, ObjectContext, patched_contexts
from afterimage_emulator.storage.objects.holds import retained_until_ns
from afterimage_emulator.storage.objects.records import STORAGE_CLASSES, BucketRecord, ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.settings.key_names import check_key_name

_TEXT_FIELDS: Final = {
    "contentType": "content_type",
    "contentEncoding": "content_encoding",
    "contentDisposition": "content_disposition",
    "contentLanguage": "content_language",
    "cacheControl": "cache_control",
}
_HOLDS: Final = {"temporaryHold": "temporary_hold", "eventBasedHold": "event_based_hold"}
_WRITABLE: Final = frozenset((*_TEXT_FIELDS, *_HOLDS)) | {"metadata", "customTime", "acl", "retention"}
CUSTOM_METADATA_LIMIT_BYTES: Final = 8 * 1024


def object_resource(record: ObjectRecord, *, origin: str, bucket: BucketRecord | None = None) -> dict[str, object]:
    """The resource as production prints it; numbers of 64 bits are strings. `bucket` has a say in what is kept."""
    name = quote(record.name, safe="")
    metadata = record.metadata
    created = print_time(record.created_ns)
    path = f"b/{record.bucket}/o/{name}"
    resource: dict[str, Any] = {
        "kind": "storage#object",
        "id": f"{record.bucket}/{record.name}/{record.generation}",
        "selfLink": f"{origin}/storage/v1/{path}",
        "mediaLink": f"{origin}/download/storage/v1/{path}?generation={record.generation}&alt=media",
        "name": record.name,
        "bucket": record.bucket,
        "generation": str(record.generation),
        "metageneration": str(record.metageneration),
        "storageClass": record.storage_class,
        "size": str(record.blob.size),
        "crc32c": record.blob.crc32c,
        "etag": record.etag,
        "timeCreated": created,
        "updated": created if record.updated_ns == record.created_ns else print_time(record.updated_ns),
        "timeStorageClassUpdated": created if record.class_changed_ns is None else print_time(record.class_changed_ns),
        "timeFinalized": created,
    }
    for field, attribute in _TEXT_FIELDS.items():
        value = getattr(metadata, attribute)
        if value is not None:
            resource[field] = value
    if metadata.custom_time is not None:
        resource["customTime"] = metadata.custom_time
    if metadata.custom:
        resource["metadata"] = dict(metadata.custom)
    if record.blob.md5:
        resource["md5Hash"] = record.blob.md5
    if record.component_count is not None:
        resource["componentCount"] = record.component_count
    _add_keeping(resource, record, bucket)
    return resource


def _add_keeping(resource: dict[str, Any], record: ObjectRecord, bucket: BucketRecord | None) -> None:
    """What keeps the object, and when it went."""
    for field, attribute in _HOLDS.items():
        value = getattr(record.metadata, attribute)
        if value is not None:
            resource[field] = value
    if record.metadata.contexts:
        resource["contexts"] = {"custom": {key: _context(one) for key, one in record.metadata.contexts.items()}}
    if record.metadata.kms_key_name is not None:
        resource["kmsKeyName"] = record.metadata.kms_key_name
    encryption = _customer_encryption(record.metadata)
    if encryption is not None:
        resource["customerEncryption"] = encryption
    if record.metadata.retention is not None:
        resource["retention"] = dict(record.metadata.retention)
    until = None if bucket is None else retained_until_ns(bucket, record)
    times = {
        "retentionExpirationTime": until,
        "timeDeleted": record.deleted_ns,
        "softDeleteTime": record.soft_deleted_ns,
        "hardDeleteTime": record.hard_deleted_ns,
    }
    resource.update({field: print_time(value) for field, value in times.items() if value is not None})


def _context(one: ObjectContext) -> dict[str, str]:
    return {
        "value": one.value,
        "createTime": print_event_time(one.created_ns),
        "updateTime": print_event_time(one.updated_ns),
    }


def stored_contexts(said: object) -> Contexts:
    """As a resource tells them, with the times that they have."""
    custom = said.get("custom") if isinstance(said, Mapping) else None
    times = custom if isinstance(custom, Mapping) else {}
    return {
        key: replace(
            one,
            created_ns=parse_time(str(times[key].get("createTime"))) or 0,
            updated_ns=parse_time(str(times[key].get("updateTime"))) or 0,
        )
        for key, one in patched_contexts({}, said).items()
    }


def location_type(record: BucketRecord) -> str:
    if "customPlacementConfig" in record.settings:
        return "dual-region"
    if record.location in _TWO_REGIONS:
        return "dual-region"
    return "multi-region" if record.location in ("US", "EU", "ASIA") else "region"


_TWO_REGIONS: Final = frozenset({"ASIA1", "EUR4", "EUR5", "EUR7", "EUR8", "NAM4"})


def bucket_resource(record: BucketRecord, *, origin: str) -> dict[str, Any]:
    gone = {"softDeleteTime": record.soft_deleted_ns, "hardDeleteTime": record.hard_deleted_ns}
    return {
        "kind": "storage#bucket",
        "id": record.name,
        "name": record.name,
        "selfLink": f"{origin}/storage/v1/b/{record.name}",
        "projectNumber": "1",
        "generation": str(record.generation),
        "metageneration": str(record.metageneration),
        "location": record.location,
        "locationType": location_type(record),
        **({} if location_type(record) == "region" else {"rpo": "DEFAULT"}),
        "storageClass": record.storage_class,
        "etag": record.etag,
        "timeCreated": print_time(record.created_ns),
        "updated": print_time(record.updated_ns),
        **{name: value for name, value in record.settings.items() if name not in ("acl", "defaultObjectAcl")},
        "iamConfiguration": {
            "publicAccessPrevention": "inherited",
            "uniformBucketLevelAccess": {"enabled": False},
            **record.settings.get("iamConfiguration", {}),
        },
        **{field: print_time(value) for field, value in gone.items() if value is not None},
    }


def read_metadata(body: Mapping[str, object]) -> ObjectMetadata:
    """For uploads, `update` and copies with new metadata: what is not said is empty."""
    return patch_metadata(ObjectMetadata(), {key: value for key, value in body.items() if value is not None})


def patch_metadata(old: ObjectMetadata, body: Mapping[str, Any]) -> ObjectMetadata:
    """For `patch`: what is not said stays, null empties a field or removes a key of `metadata`."""
    changes: dict[str, Any] = {}
    for field, attribute in _TEXT_FIELDS.items():
        if field in body:
            changes[attribute] = _text(body[field], field)
    if "metadata" in body:
        changes["custom"] = _patched_custom(old.custom, body["metadata"])
    if "customTime" in body:
        changes["custom_time"] = _custom_time(old.custom_time, body["customTime"])
    if body.get("acl") not in (None, []):  # an empty list changes nothing, as in production
        changes["acl"] = read_list(body["acl"], OBJECT_ROLES)
    for field, attribute in _HOLDS.items():
        if field in body:
            changes[attribute] = _hold(body[field], field)
    if "contexts" in body:
        changes["contexts"] = patched_contexts(old.contexts, body["contexts"])
    if body.get("kmsKeyName") not in (None, old.kms_key_name):
        changes["kms_key_name"] = f"{check_key_name(body['kmsKeyName'])}/cryptoKeyVersions/1"
    if body.get("customerEncryption") not in (None, _customer_encryption(old)):
        raise invalid("`customerEncryption` is told by the server; send a key in the headers `x-goog-encryption-…`")
    if "retention" in body and body["retention"] != {}:
        changes["retention"] = _retention(body["retention"])
    return replace(old, **changes)


def says_metadata(body: Mapping[str, object]) -> bool:
    """Whether a copy's body stands for all of the metadata: one that names anything but the object does."""
    return any(field in _WRITABLE or field == "storageClass" for field in body)


def read_storage_class(body: Mapping[str, object]) -> str | None:
    value = body.get("storageClass")
    if value is not None and (not isinstance(value, str) or value not in STORAGE_CLASSES):
        raise invalid(f"Invalid storage class `{value}`; choose one of {', '.join(sorted(STORAGE_CLASSES))}")
    return value


def _customer_encryption(metadata: ObjectMetadata) -> dict[str, str] | None:
    if metadata.customer_key_sha256 is None:
        return None
    return {"encryptionAlgorithm": "AES256", "keySha256": metadata.customer_key_sha256}


def _hold(value: object, field: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise invalid(f"Invalid value for `{field}`: `{str(value)[:60]}` is neither true nor false")


def _retention(value: object) -> Mapping[str, str] | None:
    """Null, or both of its fields null, is none."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise invalid(f"Invalid value for `retention`: it must be an object, not `{str(value)[:60]}`")
    mode, until = value.get("mode"), value.get("retainUntilTime")
    if mode is None and until is None:
        return None
    if mode not in ("Unlocked", "Locked"):
        raise invalid(f"Invalid value for `retention.mode`: `{mode}`; use Unlocked or Locked")
    moment = parse_time(until) if isinstance(until, str) else None
    if moment is None:
        raise invalid(f"Invalid value for `retention.retainUntilTime`: `{until}`; send an RFC 3339 time with its zone")
    return {"mode": mode, "retainUntilTime": print_time(moment)}


def _text(value: object, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    raise invalid(f"Invalid value for `{field}`: it must be a string, not `{value!r}`")


def _patched_custom(old: Mapping[str, str], body: object) -> Mapping[str, str]:
    if body is None:
        return {}
    if not isinstance(body, Mapping):
        raise invalid(f"Invalid value for `metadata`: it must be an object, not `{body!r}`")
    custom = dict(old)
    for key, value in body.items():
        if value is None:
            custom.pop(key, None)
        elif isinstance(value, str):
            custom[key] = value
        elif isinstance(value, bool | int | float):  # as production does
            custom[key] = json.dumps(value)
        else:
            raise invalid(f"Invalid value for `metadata.{key}`: it must be a string, not `{json.dumps(value)[:60]}`")
    if sum(len(key.encode(errors="replace")) + len(value.encode(errors="replace")) for key, value in custom.items()) > (
        CUSTOM_METADATA_LIMIT_BYTES
    ):
        raise invalid(f"the custom metadata is larger than {CUSTOM_METADATA_LIMIT_BYTES} bytes; store less in it")
    return custom


def _custom_time(old: str | None, value: object) -> str | None:
    moment = parse_time(value) if isinstance(value, str) else None
    if moment is None or not isinstance(value, str):
        if value is None and old is None:
            return None
        raise invalid(f"Invalid value for `customTime`: `{value}`; send an RFC 3339 time, it cannot be removed")
    if old is not None and moment < (parse_time(old) or 0):
        raise invalid(f"Invalid value for `customTime`: `{value}` is before `{old}`; it only moves forward")
    return value
