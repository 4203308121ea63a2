"""Firestore as the sync sees it: one document read, one write sent, in the words of decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from afterimage_client.database.encoding import ValueKind
from afterimage_client.errors import FirebaseError
from afterimage_client.firestore.batches import WriteBatch
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.kept_kinds import PLACES_AND_VECTORS
from afterimage_client.firestore.references import DocumentReference
from afterimage_client.firestore.snapshots import DocumentSnapshot
from afterimage_client.firestore.transforms import DELETE_FIELD, SERVER_TIMESTAMP
from afterimage_client.store.copies import MARKS, REV, Mutation, Remote
from afterimage_client.store.fields import ABSENT, Path, field_at
from afterimage_client.sync.configuration import CollectionSyncConfig

NOBODY_THERE: Final = frozenset({"unavailable", "deadline-exceeded", "unauthenticated", "cancelled"})
"""Nobody could be reached, or nobody is signed in: the write itself is not at fault."""
ON_PURPOSE: Final = frozenset(
    {"permission-denied", "invalid-argument", "failed-precondition", "already-exists", "not-found", "out-of-range"}
)
"""What the server says on purpose. Which of conflict and refusal it means, only reading again tells."""


MOST_BYTES_TOGETHER: Final = 8 * 1024 * 1024
"""The server takes 10 MiB at once."""


class TooLargeError(Exception):
    """Writes that fit into no commit together; nothing was sent."""


def value_kinds(firestore: Firestore) -> tuple[ValueKind, ...]:
    """What a store needs to keep Firestore's own types: `Store(path, kinds=value_kinds(app.firestore))`."""
    return (
        *PLACES_AND_VECTORS,
        ValueKind(
            tag="reference",
            kind=DocumentReference,
            encode=lambda reference: reference.path,
            decode=firestore.document,
        ),
    )


def code_of(error: Exception) -> str:
    return error.code if isinstance(error, FirebaseError) else "unavailable"


class RemoteDocuments:
    """Reads and writes documents of configured collections."""

    def __init__(self, firestore: Firestore) -> None:
        self.firestore = firestore

    async def read(self, config: CollectionSyncConfig, document_id: str) -> tuple[Remote | None, str]:
        """What the server has, None where it has none, and the moment of which this is said."""
        snapshot = await self._reference(config, document_id).get()
        return self.remote_of(config, snapshot), moment_text(snapshot.read_time)

    def remote_of(self, config: CollectionSyncConfig, snapshot: DocumentSnapshot) -> Remote | None:
        fields = snapshot.to_dict()
        if fields is None:
            return None
        if config.get_rev_from_doc is not None:
            fields[REV] = config.get_rev_from_doc(fields)
        return Remote.of(fields, moment_text(snapshot.update_time))

    async def write(
        self, config: CollectionSyncConfig, document_id: str, mutation: Mutation
    ) -> tuple[str, dict[str, Any]]:
        """Sends a write once; returns its time, and the fields that the server computed."""
        (answer,) = await self.write_together([(config, document_id, mutation)])
        return answer

    async def write_together(
        self, writes: Sequence[tuple[CollectionSyncConfig, str, Mutation]]
    ) -> list[tuple[str, dict[str, Any]]]:
        """Sends writes once, all or none."""
        batch = self.firestore.batch()
        for config, document_id, mutation in writes:
            self._add(batch, config, document_id, mutation)
        if batch.size_bytes > MOST_BYTES_TOGETHER and len(writes) > 1:
            raise TooLargeError
        results = await batch.commit(repeat_if_lost=False)
        return [
            (
                moment_text(result.update_time or result.commit_time),
                dict(zip([config.updated_field], result.transform_results, strict=False)),
            )
            for (config, _, _), result in zip(writes, results, strict=True)
        ]

    def _add(self, batch: WriteBatch, config: CollectionSyncConfig, document_id: str, mutation: Mutation) -> None:
        reference = self._reference(config, document_id)
        moment = datetime.fromisoformat(mutation.base_update_time) if mutation.base_update_time else None
        if mutation.kind == "delete":
            batch.delete(reference, last_update_time=moment, must_exist=moment is None)
        elif mutation.kind == "create":
            batch.create(reference, self._created(config, mutation))
        else:
            batch.update(reference, self._changed(config, mutation), last_update_time=moment)

    def _created(self, config: CollectionSyncConfig, mutation: Mutation) -> dict[str, Any]:
        fields: dict[str, Any] = {**mutation.value, MARKS: dict(mutation.marks)}
        if mutation.rev is not None:
            fields[REV] = mutation.rev
        if config.updated_field:
            fields[config.updated_field] = SERVER_TIMESTAMP
        return fields

    def _changed(self, config: CollectionSyncConfig, mutation: Mutation) -> dict[Path, Any]:
        changed: dict[Path, Any] = {}
        for path in mutation.mask:
            value = field_at(mutation.value, path)
            changed[path] = DELETE_FIELD if value is ABSENT else value
        changed |= {(MARKS, name): mark for name, mark in mutation.marks.items()}
        changed |= {(MARKS, name): DELETE_FIELD for name in mutation.dropped_marks}
        if mutation.rev is not None:
            changed[(REV,)] = mutation.rev
        if config.updated_field:
            changed[(config.updated_field,)] = SERVER_TIMESTAMP
        return changed

    def _reference(self, config: CollectionSyncConfig, document_id: str) -> DocumentReference:
        return self.firestore.document(f"{config.collection_name}/{document_id}")


def moment_text(moment: datetime | None) -> str:
    """Times as texts that compare as times do."""
    return "" if moment is None else moment.isoformat(timespec="microseconds")
