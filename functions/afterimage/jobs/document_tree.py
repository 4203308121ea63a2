"""Deletes documents with everything beneath them in Firestore, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client, DocumentReference


class FirestoreDocumentTree:
    """Walks down on demand, so that a large tree costs no more memory than a path through it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def delete_some(self, root: str, limit: int) -> int:
        found = list(islice(self._present(self._client.document(root)), limit))
        batch = self._client.batch()
        for reference in found:
            batch.delete(reference)
        if found:
            batch.commit()
        return len(found)

    def _present(self, reference: DocumentReference) -> Iterator[DocumentReference]:
        """Existing documents at and beneath a path, deepest first; a missing one may still have some beneath it."""
        for collection in reference.collections():
            for child in collection.list_documents(page_size=100):
                yield from self._present(child)
        if reference.get(field_paths=[]).exists:
            yield reference
