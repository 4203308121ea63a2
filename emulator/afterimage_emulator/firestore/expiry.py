"""Documents that go when their time has come: the TTL policies of firestore.indexes.json, under the suite's clock.

The service promises a deletion within a day; here it happens when the time in the field is reached, in a commit of its
own that listeners and functions see. A document that a transaction holds goes when the transaction has ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from afterimage_emulator.clock import Clock, Timer
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import FieldPath, get_field
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import MICROS_PER_SECOND
from afterimage_emulator.firestore.transactions.sessions import Sessions

EXPIRED: Final = object()
"""The cause of changes that no caller made: a policy did."""
LOCKED_RETRY_SECONDS: Final = 1.0


class Expiry:
    """Waits for each document's time. `policies` name the field by database and collection group."""

    def __init__(self, sessions: Sessions, clock: Clock, policies: Mapping[str, Mapping[str, FieldPath]]) -> None:
        self._sessions = sessions
        self._clock = clock
        self._policies = {database: fields for database, fields in policies.items() if fields}
        self._timers: dict[tuple[Database, str], Timer] = {}

    def committed(self, database: Database, commit_time: int, changes: Sequence[Change], cause: object) -> None:
        policies = self._policies.get(database.name.database)
        if policies is None:
            return
        for change in changes:
            if change.after is not None and change.collection.rpartition("/")[2] in policies:
                self._await(database, change.after)

    def cleared(self, database: Database) -> None:
        """Nothing to do: a timer that finds no document, or another one, goes by what it finds."""

    def _await(self, database: Database, document: StoredDocument) -> None:
        due = self._due(database, document)
        if due is None:
            return
        waiting = self._timers.get((database, document.path))
        if waiting is not None:
            if waiting.due_ns <= due * 1000:
                return  # it looks again when it fires: a document that is put off often keeps one timer
            waiting.cancel()
        self._look_in((due * 1000 - self._clock.now_ns()) / 1e9, database, document.path)

    def _look_in(self, seconds: float, database: Database, path: str) -> None:
        self._timers[database, path] = self._clock.call_later(seconds, lambda: self._look(database, path))

    def _look(self, database: Database, path: str) -> None:
        """What is stored now decides, not what was stored when the timer was set."""
        del self._timers[database, path]
        document = database.get(path)
        due = None if document is None else self._due(database, document)
        if document is None or due is None:
            return
        if due > self._clock.now_ns() // 1000:
            self._await(database, document)
        elif self._sessions.of(database.name).transactions.locks.are_free_to_write(None, (path,)):
            database.commit([Change(path, document, None)], database.next_commit_time(), EXPIRED)
        else:
            self._look_in(LOCKED_RETRY_SECONDS, database, path)

    def _due(self, database: Database, document: StoredDocument) -> int | None:
        """In microseconds; None where the field holds no time."""
        group = document.path.split("/")[-2]
        value = get_field(document.fields(), self._policies[database.name.database][group])
        if value is None or value.WhichOneof("value_type") != "timestamp_value":
            return None
        stamp = value.timestamp_value
        return int(stamp.seconds * MICROS_PER_SECOND + -(-stamp.nanos // 1000))
