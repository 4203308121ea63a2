"""Deletes documents with everything beneath them in Firestore, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from google.cloud.firestore_v1 import SERVER_TIMESTAMP

from afterimage.ledger.tombstones import ERASED_AT, EXPIRES_AT, KEPT_FOR

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client, DocumentReference


class FirestoreDocumentTree:
    """Walks down on demand, so that a large tree costs no more memory than a path through it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def delete_some(self, root: str, limit: int, *, with_root: bool = True) -> int:
        top = self._client.document(root)
        found = list(islice((one for one in self._present(top) if with_root or one != top), limit))
        batch = self._client.batch()
        for reference in found:
            batch.delete(reference)
        if found:
            batch.commit()
        return len(found)

    def bury(self, root: str) -> None:
        # By the server's clock, which is the one that events are compared with.
        tombstone = {ERASED_AT: SERVER_TIMESTAMP, EXPIRES_AT: datetime.now(UTC) + KEPT_FOR}
        self._client.document(root).set(tombstone)

    def _present(self, reference: DocumentReference) -> Iterator[DocumentReference]:
        """Existing documents at and beneath a path, deepest first; a missing one may still have some beneath it."""
        for collection in reference.collections():
            for child in collection.list_documents(page_size=100):
                yield from self._present(child)
        if reference.get(field_paths=[]).exists:
            yield reference
