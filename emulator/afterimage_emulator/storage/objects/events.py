"""Tells the suite what happened to objects: the CloudEvents of Cloud Storage, built only when somebody wants them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.storage.messages.object_json import object_resource
from afterimage_emulator.storage.messages.timestamps import print_event_time
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord

_TYPE: Final = "google.cloud.storage.object.v1."
FINALIZED: Final = _TYPE + "finalized"
DELETED: Final = _TYPE + "deleted"
ARCHIVED: Final = _TYPE + "archived"
METADATA_UPDATED: Final = _TYPE + "metadataUpdated"

Notify = Callable[[str, ObjectRecord, BucketRecord, int | None, str], None]


class ObjectEvents:
    """Publishes on the bus. `origin` is where links in the data point: the address that clients last used."""

    def __init__(self, *, clock: Clock, bus: EventBus, notify: Notify) -> None:
        """`notify` is asked only for buckets that tell topics something."""
        self._notify = notify
        self._clock = clock
        self._bus = bus
        self._numbers = itertools.count(1)
        self.origin = "https://storage.googleapis.com"

    def publish(self, event_type: str, record: ObjectRecord, bucket: BucketRecord, other: int | None = None) -> None:
        """`other` is the generation that this one overwrote, or that overwrote it."""
        event = self._event(event_type, record, bucket)
        if event is not None:
            self._bus.publish(event)
        if bucket.notifications:
            self._notify(event_type.rpartition(".")[2], record, bucket, other, self.origin)
        what, place = f"object {event_type.rpartition('.')[2]}", f"{record.bucket}/{record.name}"
        self._bus.note("storage", what, place, () if event is None else (event.id,))

    def _event(self, event_type: str, record: ObjectRecord, bucket: BucketRecord) -> CloudEvent | None:
        attributes = {"bucket": record.bucket}
        if not self._bus.wants(event_type, attributes):
            return None
        data = object_resource(record, origin=self.origin, bucket=bucket)
        return CloudEvent(
            id=f"{record.generation}{next(self._numbers):06d}",
            source=f"//storage.googleapis.com/projects/_/buckets/{record.bucket}",
            type=event_type,
            time=print_event_time(self._clock.now_ns()),
            subject=f"objects/{record.name}",
            data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(),
            attributes=attributes,
        )
