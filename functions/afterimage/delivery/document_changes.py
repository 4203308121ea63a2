"""A written document as plain values, read from an event's protobuf without a Firestore client.

The document's path comes from the event's body: in the headers, ids outside ASCII arrive garbled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from afterimage.store.firestore_values import plain_fields


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentChange:
    """One write to one document: what was there before, and what after; None where there was no document."""

    project: str
    database: str
    path: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    version: int
    """Nanoseconds of the later of both update times: grows with every write to this document."""
    version_before: int | None = None
    """The fields that were there before, likewise."""
    created: int
    """Nanoseconds of the creation time: tells a document from the one that had its path before it."""


def decode_document_change(data: object) -> DocumentChange:
    """Reads the data of a Firestore event, which is protobuf bytes, or the same as JSON."""
    from google.events.cloud.firestore import DocumentEventData

    if isinstance(data, bytes | bytearray):
        message = DocumentEventData.pb(DocumentEventData.deserialize(bytes(data)))
    else:
        import json

        text = data if isinstance(data, str) else json.dumps(data)
        message = DocumentEventData.pb(DocumentEventData.from_json(text))
    before = message.old_value if message.HasField("old_value") and message.old_value.name else None
    after = message.value if message.HasField("value") and message.value.name else None
    present = [document for document in (before, after) if document is not None]
    if not present:
        raise ValueError("a document event with neither an old value nor a new one")
    project, database, path = _split(present[-1].name)
    return DocumentChange(
        project=project,
        database=database,
        path=path,
        before=None if before is None else plain_fields(before.fields),
        after=None if after is None else plain_fields(after.fields),
        version=max(document.update_time.ToNanoseconds() for document in present),
        version_before=None if before is None else before.update_time.ToNanoseconds(),
        created=present[-1].create_time.ToNanoseconds(),
    )


def _split(name: str) -> tuple[str, str, str]:
    """`projects/p/databases/d/documents/a/b` in its parts."""
    head, found, path = name.partition("/documents/")
    parts = head.split("/")
    if not found or len(parts) != 4 or parts[0] != "projects" or parts[2] != "databases":
        raise ValueError(f"`{name}` is not the name of a document")
    return parts[1], parts[3], path
