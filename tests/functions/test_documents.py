"""Document events: read from protobuf or JSON as plain values, with nothing that needs a client."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from google.events.cloud.firestore import DocumentEventData

from afterimage.delivery.document_changes import decode_document_change
from afterimage.store.firestore_values import GeoPoint

NAME = "projects/p/databases/(default)/documents/usage/ü/days/é"


def event(**documents: dict[str, object]) -> DocumentEventData:
    return DocumentEventData.from_json(json.dumps(documents))


FIELDS = {
    "null": {"nullValue": None},
    "yes": {"booleanValue": True},
    "count": {"integerValue": str(2**62)},
    "ratio": {"doubleValue": 1.0},
    "when": {"timestampValue": "2026-11-20T12:00:00.123456Z"},
    "text": {"stringValue": "é"},
    "raw": {"bytesValue": "AP8="},
    "elsewhere": {"referenceValue": "projects/another/databases/(default)/documents/a/b"},
    "where": {"geoPointValue": {"latitude": 1.5, "longitude": -2}},
    "list": {"arrayValue": {"values": [{"integerValue": "1"}, {"stringValue": "x"}]}},
    "map": {"mapValue": {"fields": {"inner": {"doubleValue": 0.5}}}},
    "empty": {"mapValue": {}},
}
VALUES = {
    "null": None,
    "yes": True,
    "count": 2**62,
    "ratio": 1.0,
    "when": datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC),
    "text": "é",
    "raw": b"\x00\xff",
    "elsewhere": "projects/another/databases/(default)/documents/a/b",
    "where": GeoPoint(latitude=1.5, longitude=-2.0),
    "list": [1, "x"],
    "map": {"inner": 0.5},
    "empty": {},
}


@pytest.mark.parametrize("encoding", ["protobuf", "json", "json object"])
def test_every_kind_of_value_is_read(encoding: str) -> None:
    """Each of Firestore's types, a reference into another project among them, in all encodings of an event."""
    message = event(value={"name": NAME, "fields": FIELDS, "updateTime": "2026-11-20T12:00:00.000001Z"})
    data: object = {
        "protobuf": lambda: DocumentEventData.serialize(message),
        "json": lambda: DocumentEventData.to_json(message),
        "json object": lambda: json.loads(DocumentEventData.to_json(message)),
    }[encoding]()
    change = decode_document_change(data)
    assert change.after == VALUES
    assert change.before is None
    assert (change.project, change.database, change.path) == ("p", "(default)", "usage/ü/days/é")
    assert isinstance(change.after["ratio"], float)


def test_a_deletion_keeps_what_was_there() -> None:
    """After a delete there is no new value; path and version come from the old one."""
    message = event(oldValue={"name": NAME, "fields": {}, "updateTime": "1970-01-01T00:00:01Z"})
    change = decode_document_change(DocumentEventData.serialize(message))
    assert (change.before, change.after, change.version) == ({}, None, 1_000_000_000)


def test_an_event_about_nothing_is_refused() -> None:
    """It is recorded by the delivery, not passed on as an empty change."""
    with pytest.raises(ValueError, match="neither an old value nor a new one"):
        decode_document_change(DocumentEventData.serialize(event()))
