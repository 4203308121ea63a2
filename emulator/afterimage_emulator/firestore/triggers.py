"""Turns committed changes into the CloudEvents that Firestore functions receive."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.firestore.documents.document_store import IMPORTED, Database
from afterimage_emulator.firestore.documents.field_paths import changed_paths, format_field_path
from afterimage_emulator.firestore.documents.stored_documents import Change
from afterimage_emulator.firestore.documents.wire_bytes import field, timestamp_text
from afterimage_emulator.firestore.expiry import EXPIRED
from afterimage_emulator.front.callers import Caller

PREFIX: Final = "google.cloud.firestore.document.v1."
WITH_AUTH: Final = ".withAuthContext"
DATA_SCHEMA: Final = (
    "https://github.com/googleapis/google-cloudevents/blob/main/proto/google/events/cloud/firestore/v1/data.proto"
)
DEFAULT_LOCATION: Final = "nam5"


class Triggers:
    """Publishes after each commit, to those who want it; nobody wanting anything costs a question a document."""

    def __init__(self, events: EventBus, *, location: str = DEFAULT_LOCATION) -> None:
        self._events = events
        self._location = location
        self._numbers = itertools.count(1)

    def committed(self, database: Database, commit_time: int, changes: Sequence[Change], cause: object) -> None:
        if cause is IMPORTED or not self._events.has_subscribers:
            return
        for change in changes:
            attributes = self._attributes(database, change)
            kind = _kind_of(change)
            published: list[str] = []
            for event_type in _types_of(kind):
                wanted = attributes
                if event_type.endswith(WITH_AUTH):
                    wanted = {**attributes, **_auth_attributes(cause)}
                if self._events.wants(event_type, wanted):
                    event = self._event(database, commit_time, change, event_type, wanted)
                    self._events.publish(event)
                    published.append(event.id)
            if cause is not EXPIRED:
                self._events.note("firestore", f"document {kind}", change.path, published)

    def cleared(self, database: Database) -> None:
        """Data that a test throws away is no change that a function would want to hear of."""

    def _attributes(self, database: Database, change: Change) -> dict[str, str]:
        return {
            "project": database.name.project,
            "database": database.name.database,
            "namespace": "(default)",
            "document": change.path,
            "location": self._location,
        }

    def _event(
        self, database: Database, commit_time: int, change: Change, event_type: str, attributes: dict[str, str]
    ) -> CloudEvent:
        return CloudEvent(
            id=f"{commit_time:x}-{next(self._numbers)}",
            source=f"//firestore.googleapis.com/{database.name}",
            type=event_type,
            time=timestamp_text(commit_time),
            subject=f"documents/{change.path}",
            content_type="application/protobuf",
            data=document_event_data(change),
            attributes={**attributes, "dataschema": DATA_SCHEMA},
        )


def _kind_of(change: Change) -> str:
    if change.before is None:
        return "created"
    return "deleted" if change.after is None else "updated"


def _types_of(kind: str) -> Iterator[str]:
    for name in (kind, "written"):
        yield f"{PREFIX}{name}"
        yield f"{PREFIX}{name}{WITH_AUTH}"


def _auth_attributes(cause: object) -> dict[str, str]:
    """The author of a change. Type and id are always there: the Python SDK fails on an event without them."""
    if cause is EXPIRED:
        return {"authtype": "system", "authid": ""}
    if not isinstance(cause, Caller) or cause.is_admin:
        return {"authtype": "service_account", "authid": "owner"}
    if cause.uid is None:
        return {"authtype": "unauthenticated", "authid": ""}
    return {"authtype": "unknown", "authid": cause.uid}


def document_event_data(change: Change) -> bytes:
    """A serialized google.events.cloud.firestore.v1.DocumentEventData; its documents are stored in the same form."""
    data = b""
    if change.after is not None:
        data += field(1, change.after.wire)
    if change.before is not None:
        data += field(2, change.before.wire)
    if change.before is not None and change.after is not None:
        paths = changed_paths(change.before_fields, change.after_fields)
        data += field(3, b"".join(field(1, format_field_path(path).encode()) for path in paths))
    return data
