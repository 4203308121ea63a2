"""Publishes to topics what a bucket's configurations ask for, in the moment that it happens."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.messages.object_json import object_resource
from afterimage_emulator.storage.messages.timestamps import print_event_time
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord

_TYPES: Final = {
    "finalized": "OBJECT_FINALIZE",
    "metadataUpdated": "OBJECT_METADATA_UPDATE",
    "deleted": "OBJECT_DELETE",
    "archived": "OBJECT_ARCHIVE",
}
_log = logging.getLogger("afterimage_emulator.storage")


@dataclass(frozen=True, kw_only=True, slots=True)
class Topics:
    """The suite's Pub/Sub, as far as Storage knows it. `publish` raises where there is no such topic."""

    exists: Callable[[str], bool]
    publish: Callable[[str, bytes, Mapping[str, str]], None]


NO_TOPICS: Final = Topics(exists=lambda topic: False, publish=lambda topic, data, attributes: None)
"""For a Storage that runs without Pub/Sub beside it."""


def topics_beside(services: Mapping[str, Any]) -> Topics:
    """Those of the suite's Pub/Sub, which may be built after Storage, or not at all."""

    def exists(topic: str) -> bool:
        beside = services.get("pubsub")
        return beside is not None and bool(beside.has_topic(topic))

    def publish(topic: str, data: bytes, attributes: Mapping[str, str]) -> None:
        beside = services.get("pubsub")
        if beside is not None:
            beside.publish(topic, data, attributes)

    return Topics(exists=exists, publish=publish)


class Notifications:
    """What a topic cannot take is lost, as in production, and the log says so."""

    def __init__(self, *, clock: Clock, topics: Topics) -> None:
        self._clock = clock
        self._topics = topics

    def send(self, what: str, record: ObjectRecord, bucket: BucketRecord, other: int | None, origin: str) -> None:
        """`other` is the generation that this one overwrote, or that overwrote it."""
        event_type = _TYPES[what]
        for configuration in bucket.notifications:
            if not configuration.wants(event_type, record.name):
                continue
            attributes = {
                **(configuration.custom_attributes or {}),
                "notificationConfig": f"projects/_/buckets/{bucket.name}/notificationConfigs/{configuration.id}",
                "eventType": event_type,
                "payloadFormat": configuration.payload_format,
                "bucketId": bucket.name,
                "objectId": record.name,
                "objectGeneration": str(record.generation),
                "eventTime": print_event_time(self._clock.now_ns()),
            }
            if other is not None:
                is_new = event_type == "OBJECT_FINALIZE"
                attributes["overwroteGeneration" if is_new else "overwrittenByGeneration"] = str(other)
            data = b"" if configuration.payload_format == "NONE" else _payload(event_type, record, bucket, origin)
            try:
                self._topics.publish(configuration.topic, data, attributes)
            except StatusError as error:
                _log.warning("%s of %s/%s reaches no topic: %s", event_type, bucket.name, record.name, error.message)


def _payload(event_type: str, record: ObjectRecord, bucket: BucketRecord, origin: str) -> bytes:
    resource = object_resource(record, origin=origin, bucket=bucket)
    resource.pop("acl", None)
    if event_type == "OBJECT_DELETE":
        resource.pop("timeDeleted", None)
    return json.dumps(resource, ensure_ascii=False, indent=2).encode()
