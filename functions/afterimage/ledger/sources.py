"""Where the truth stands that the audit compares with: live documents of clients and workers, and live objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from afterimage.ledger.contribution import OUTPUT_KINDS
from afterimage.ledger.observing import observe_document, observe_object
from afterimage.ledger.pricing import Prices
from afterimage.ledger.records import Observation
from afterimage.ledger.roll_up import every
from afterimage.ledger.stores import Reader

SOURCES: Final = {"ai_outputs": OUTPUT_KINDS, "generations": ("files",)}
"""Collections whose ids are users, and the collections below them that hold outputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    """What is known of a live object."""

    bucket: str
    name: str
    generation: int
    size: int
    created: datetime


class Objects(Protocol):
    """The originals' bucket."""

    def of_prefix(self, prefix: str) -> Iterator[StoredObject]: ...


class NoObjects:
    """Where no bucket is looked at."""

    def of_prefix(self, prefix: str) -> Iterator[StoredObject]:
        yield from ()


class BucketObjects:
    """Objects of one bucket in Cloud Storage."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def of_prefix(self, prefix: str) -> Iterator[StoredObject]:
        for blob in self._client.list_blobs(self._bucket, prefix=prefix, timeout=60):
            yield StoredObject(
                bucket=self._bucket,
                name=blob.name,
                generation=int(blob.generation),
                size=int(blob.size or 0),
                created=blob.time_created,
            )


def collections_of(user: str) -> list[str]:
    """In the order of their kinds, which is the order of the records of what is in them."""
    places = [(group, f"{root}/{user}/{group}") for root, groups in SOURCES.items() for group in groups]
    return [place for _, place in sorted(places)]


def document_of(user: str, kind: str, identifier: str) -> str | None:
    """The document that a record is about; None for objects."""
    if kind in OUTPUT_KINDS:
        return f"ai_outputs/{user}/{kind}/{identifier}"
    return f"generations/{user}/files/{identifier}" if kind == "files" else None


def object_prefixes_of(user: str) -> list[str]:
    return [f"users/{user}/", f"generating/{user}/", f"artifacts/{user}/"]


def live_documents(
    reader: Reader, user: str, prices: Prices, after: tuple[str, str] = ("", "")
) -> Iterator[Observation]:
    """What a user's live documents say, read one by one and not from any event; behind `after`, by kind, then by id."""
    for collection in collections_of(user):
        kind = collection.rpartition("/")[2]
        if kind < after[0]:
            continue
        for found in every(reader, collection, after[1] if kind == after[0] else ""):
            seen = observe_document(
                found.path,
                found.fields,
                created=found.created,
                version=found.updated,
                is_deleted=False,
                prices=prices,
            )
            if seen is not None:
                yield seen


def live_objects(objects: Objects, user: str) -> Iterator[Observation]:
    for prefix in object_prefixes_of(user):
        for found in objects.of_prefix(prefix):
            seen = observe_object(
                found.bucket,
                found.name,
                generation=found.generation,
                size=found.size,
                happened=found.created.astimezone(UTC),
                is_deleted=False,
            )
            if seen is not None:
                yield seen
