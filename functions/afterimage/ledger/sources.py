"""Where the truth stands that the audit compares with: live documents of clients and workers, and live objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from afterimage.ledger.observing import observe_live, observe_object
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.records import Observation
from afterimage.ledger.roll_up import every
from afterimage.paths import OWNED_FILES, booked_collections, owned_folder
from afterimage.store.documents import DocumentReader
from afterimage.store.files import FileStore, StoredFile


class Objects(Protocol):
    """The originals' bucket."""

    def of_prefix(self, prefix: str) -> Iterator[StoredFile]: ...


class NoObjects:
    """Where no bucket is looked at."""

    def of_prefix(self, prefix: str) -> Iterator[StoredFile]:
        yield from ()


@dataclass(frozen=True, kw_only=True)
class BucketObjects:
    """Objects of one bucket."""

    files: FileStore
    bucket: str

    def of_prefix(self, prefix: str) -> Iterator[StoredFile]:
        return self.files.walk(self.bucket, prefix)


def live_documents(
    reader: DocumentReader, user: str, prices: Prices, after: tuple[str, str] = ("", "")
) -> Iterator[Observation]:
    """What a user's live documents say, read one by one and not from any event; behind `after`, by kind, then by id."""
    for collection in booked_collections(user):
        kind = collection.rpartition("/")[2]
        if kind < after[0]:
            continue
        for found in every(reader, collection, after[1] if kind == after[0] else ""):
            seen = observe_live(found, prices)
            if seen is not None:
                yield seen


def live_objects(objects: Objects, user: str) -> Iterator[Observation]:
    for root in OWNED_FILES:
        for found in objects.of_prefix(owned_folder(root, user)):
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
