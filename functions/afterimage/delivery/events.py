"""What handlers are given: events as plain values, and how each is read from the wire without anything to trip over."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from afterimage.delivery.document_changes import DocumentChange, decode_document_change


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """What every event carries, whatever it is about."""

    id: str
    type: str
    source: str
    subject: str
    time: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectEvent:
    """Something happened to one generation of one stored object; this triple is the event's identity, not its id."""

    envelope: Envelope
    bucket: str
    name: str
    generation: int
    size: int = 0
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentEvent:
    """A document was written; `change.version` orders the writes of one document."""

    envelope: Envelope
    change: DocumentChange


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageEvent:
    """A Pub/Sub message with a JSON body, or a schedule that came due (then the body is what the schedule says)."""

    envelope: Envelope
    body: Mapping[str, Any]
    attributes: Mapping[str, str] = field(default_factory=dict)


def decode_object_event(attributes: Mapping[str, str], data: object) -> ObjectEvent:
    fields = _json_object(data)
    return ObjectEvent(
        envelope=_envelope(attributes),
        bucket=str(fields["bucket"]),
        name=str(fields["name"]),
        generation=int(fields["generation"]),
        size=int(fields.get("size") or 0),
        content_type=str(fields.get("contentType") or ""),
        metadata={str(key): str(value) for key, value in (fields.get("metadata") or {}).items()},
    )


def decode_document_event(attributes: Mapping[str, str], data: object) -> DocumentEvent:
    return DocumentEvent(envelope=_envelope(attributes), change=decode_document_change(data))


def decode_message_event(attributes: Mapping[str, str], data: object) -> MessageEvent:
    message = _json_object(data)["message"]
    text = base64.b64decode(message.get("data") or "") or b"{}"
    return MessageEvent(
        envelope=_envelope(attributes),
        body=_json_object(text),
        attributes={str(key): str(value) for key, value in (message.get("attributes") or {}).items()},
    )


def parse_time(text: str) -> datetime:
    """An RFC 3339 time with any number of digits in its seconds, or none; microseconds are kept."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _envelope(attributes: Mapping[str, str]) -> Envelope:
    return Envelope(
        id=attributes["id"],
        type=attributes["type"],
        source=attributes["source"],
        subject=attributes.get("subject", ""),
        time=parse_time(attributes["time"]),
    )


def _json_object(data: object) -> dict[str, Any]:
    value = json.loads(data) if isinstance(data, str | bytes | bytearray) else data
    if not isinstance(value, dict):
        raise TypeError(f"expected a JSON object, got `{type(value).__name__}`")
    return value
