"""What a bucket tells which topic: one configuration read from a request, and whether it means an object (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid

EVENT_TYPES: Final = ("OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE", "OBJECT_DELETE", "OBJECT_ARCHIVE")
_FORMATS: Final = ("JSON_API_V1", "NONE")
_SERVICE: Final = "//pubsub.googleapis.com/"
_TOPIC: Final = re.compile(r"projects/[^/\s]{1,200}/topics/[^/\s]{1,255}")
_CONFIGURATIONS: Final = 100
_OVERLAPPING: Final = 10
_ATTRIBUTES: Final = 10
_KEY_BYTES: Final = 256
_VALUE_BYTES: Final = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class NotificationConfiguration:
    """`topic` is its plain name; no event types are all of them."""

    id: str
    topic: str
    payload_format: str
    event_types: tuple[str, ...] = ()
    custom_attributes: Mapping[str, str] | None = None
    prefix: str = ""

    def wants(self, event_type: str, name: str) -> bool:
        return (not self.event_types or event_type in self.event_types) and name.startswith(self.prefix)

    def resource(self, bucket: str, origin: str) -> dict[str, object]:
        resource: dict[str, object] = {
            "kind": "storage#notification",
            "id": self.id,
            "selfLink": f"{origin}/storage/v1/b/{bucket}/notificationConfigs/{self.id}",
            "etag": self.id,
            "topic": f"{_SERVICE}{self.topic}",
            "payload_format": self.payload_format,
        }
        if self.event_types:
            resource["event_types"] = list(self.event_types)
        if self.custom_attributes:
            resource["custom_attributes"] = dict(self.custom_attributes)
        if self.prefix:
            resource["object_name_prefix"] = self.prefix
        return resource


def read_configuration(body: Mapping[str, object], identity: str = "") -> NotificationConfiguration:
    """Event types that nobody knows are dropped, as production does; what is left of none means all."""
    topic, payload_format = body.get("topic"), body.get("payload_format")
    if not isinstance(topic, str) or not topic:
        raise StorageError(Reason.REQUIRED, "Required parameter: topic")
    name = topic.removeprefix(_SERVICE)
    if not _TOPIC.fullmatch(name):
        raise invalid(f"Invalid Google Cloud Pub/Sub topic `{topic[:200]}`; write projects/PROJECT/topics/TOPIC")
    if payload_format is None:
        raise StorageError(Reason.REQUIRED, "Required parameter: payload_format")
    if payload_format not in _FORMATS:
        raise invalid(f"Invalid value for `payload_format`: `{str(payload_format)[:60]}`; use {' or '.join(_FORMATS)}")
    types = [] if body.get("event_types") is None else body["event_types"]
    if not isinstance(types, list) or not all(isinstance(one, str) for one in types):
        raise invalid("Invalid value for `event_types`: it must be a list of strings")
    prefix = "" if body.get("object_name_prefix") is None else body["object_name_prefix"]
    if not isinstance(prefix, str) or len(prefix.encode(errors="replace")) > 1024:
        raise invalid("Invalid value for `object_name_prefix`: it must be a string of at most 1,024 bytes")
    return NotificationConfiguration(
        id=identity,
        topic=name,
        payload_format=str(payload_format),
        event_types=tuple(one for one in EVENT_TYPES if one in types),
        custom_attributes=_attributes(body.get("custom_attributes")),
        prefix=prefix,
    )


def check_further(old: Sequence[NotificationConfiguration], new: NotificationConfiguration) -> None:
    """Whether a bucket may have one more."""
    if len(old) >= _CONFIGURATIONS:
        raise invalid(f"Too many notifications. The maximum is {_CONFIGURATIONS}.")
    for event_type in new.event_types or EVENT_TYPES:
        overlapping = [
            one
            for one in old
            if (not one.event_types or event_type in one.event_types)
            and (one.prefix.startswith(new.prefix) or new.prefix.startswith(one.prefix))
        ]
        if len(overlapping) >= _OVERLAPPING:
            raise invalid(f"Too many overlapping notifications. The maximum is {_OVERLAPPING}.")


def _attributes(said: object) -> Mapping[str, str] | None:
    if said is None:
        return None
    if not isinstance(said, Mapping) or not all(isinstance(value, str) for value in said.values()):
        raise invalid("Invalid value for `custom_attributes`: it must be an object of strings")
    if len(said) > _ATTRIBUTES:
        raise invalid(f"Invalid value for `custom_attributes`: {len(said)} are more than {_ATTRIBUTES}")
    for key, value in said.items():
        is_short = len(value.encode(errors="replace")) <= _VALUE_BYTES
        if not 1 <= len(key.encode(errors="replace")) <= _KEY_BYTES or key.startswith("goog") or not is_short:
            raise invalid(
                f"Invalid value for `custom_attributes.{key[:60]}`: keys have 1 to {_KEY_BYTES} bytes and do not begin "
                f"with goog, values have at most {_VALUE_BYTES}"
            )
    return dict(said)
