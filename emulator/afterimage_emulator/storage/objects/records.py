"""What is known of a bucket and of one generation of an object: plain values that change by replacement."""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_emulator.storage.access.lists import AccessList
from afterimage_emulator.storage.access.policies import Policy
from afterimage_emulator.storage.notifications.configurations import NotificationConfiguration
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.contexts import Contexts
from afterimage_emulator.storage.settings.hierarchy_settings import is_hierarchical

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
STORAGE_CLASSES: Final = frozenset(
    {"STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "DURABLE_REDUCED_AVAILABILITY"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectMetadata:
    """The part of an object's metadata that clients write. `custom` is what SDKs call `metadata`."""

    content_type: str | None = None
    content_encoding: str | None = None
    content_disposition: str | None = None
    content_language: str | None = None
    cache_control: str | None = None
    custom_time: str | None = None
    custom: Mapping[str, str] = field(default_factory=dict)
    temporary_hold: bool | None = None
    event_based_hold: bool | None = None
    retention: Mapping[str, str] | None = None
    """`mode` and `retainUntilTime`."""
    contexts: Contexts = field(default_factory=dict)
    kms_key_name: str | None = None
    """The version of the key, which the suite keeps and has no use for."""
    customer_key_sha256: str | None = None
    policy: Policy | None = None
    writer: str | None = None
    """The account that made this generation; None is the suite's own, whose token every client here has."""
    acl: AccessList = ()
    """Empty where nobody set one: the bucket's built-in default, and the writer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectRecord:
    """One generation of an object. Times are nanoseconds since the epoch."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    metadata: ObjectMetadata
    storage_class: str
    blob: Blob
    created_ns: int
    updated_ns: int
    deleted_ns: int | None = None
    class_changed_ns: int | None = None
    hold_released_ns: int | None = None
    """When the event-based hold ended: the bucket's retention counts from there."""
    soft_deleted_ns: int | None = None
    hard_deleted_ns: int | None = None
    component_count: int | None = None
    """The number of uploads that the object was put together of; None for one that was not."""

    @property
    def etag(self) -> str:
        return etag_of(self.generation, self.metageneration)

    @property
    def key(self) -> str:
        """Under which it is kept. No bucket has a slash in its name."""
        return f"object/{self.bucket}/{self.generation}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketRecord:
    """One bucket. `settings` holds what clients wrote in the JSON API's own form (labels, cors, website …)."""

    name: str
    project: str | None
    generation: int = 0
    """Tells buckets apart that had one name after the other; 0 only of what an older export says nothing of."""
    metageneration: int
    location: str
    storage_class: str
    created_ns: int
    updated_ns: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    notifications: tuple[NotificationConfiguration, ...] = ()
    policy: Policy | None = None
    """What somebody set; None is the default of new buckets."""
    soft_deleted_ns: int | None = None
    hard_deleted_ns: int | None = None

    @property
    def is_versioned(self) -> bool:
        versioning = self.settings.get("versioning")
        return isinstance(versioning, Mapping) and versioning.get("enabled") is True

    @property
    def retention_seconds(self) -> int:
        return self._seconds("retentionPolicy", "retentionPeriod")

    @property
    def soft_delete_seconds(self) -> int:
        return self._seconds("softDeletePolicy", "retentionDurationSeconds")

    @property
    def has_uniform_access(self) -> bool:
        configuration = self.settings.get("iamConfiguration")
        uniform = configuration.get("uniformBucketLevelAccess") if isinstance(configuration, Mapping) else None
        return isinstance(uniform, Mapping) and uniform.get("enabled") is True

    @property
    def forbids_public_access(self) -> bool:
        configuration = self.settings.get("iamConfiguration")
        return isinstance(configuration, Mapping) and configuration.get("publicAccessPrevention") == "enforced"

    @property
    def allows_object_retention(self) -> bool:
        return "objectRetention" in self.settings

    @property
    def has_autoclass(self) -> bool:
        autoclass = self.settings.get("autoclass")
        return isinstance(autoclass, Mapping) and autoclass.get("enabled") is True

    @property
    def has_hierarchy(self) -> bool:
        return is_hierarchical(self.settings)

    def _seconds(self, setting: str, field: str) -> int:
        policy = self.settings.get(setting)
        return int(policy.get(field, 0)) if isinstance(policy, Mapping) else 0

    @property
    def etag(self) -> str:
        return etag_of(None, self.metageneration)


def bucket_key(name: str) -> str:
    """Under which a bucket is kept."""
    return f"bucket/{name}"


def etag_of(generation: int | None, metageneration: int) -> str:
    """Cloud Storage's etags are base64 of a small protobuf: field 1 the generation, field 2 the metageneration."""
    encoded = b"" if generation is None else b"\x08" + _varint(generation)
    return b2a_base64(encoded + b"\x10" + _varint(metageneration), newline=False).decode()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
