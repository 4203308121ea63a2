"""One project's documents as other services' rules may look them up: Storage rules ask with `firestore.get`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterimage_emulator.firestore.documents.document_store import DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.rules.rule_values import rule_document


class ProjectDocuments:
    """Reads as an admin, of the moment; there is no pending commit to look ahead into."""

    def __init__(self, store: DocumentStore, project: str) -> None:
        self._store = store
        self._project = project

    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        return rule_document(self._store.database(DatabaseName(self._project, database)).get(path))

    def get_after(self, path: str, *, database: str) -> Mapping[str, object] | None:
        return self.get(path, database=database)
