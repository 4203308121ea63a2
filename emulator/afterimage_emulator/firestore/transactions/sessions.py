"""One database as requests meet it: its documents with its transactions, found by name."""

from __future__ import annotations

from afterimage_emulator.clock import Clock
from afterimage_emulator.firestore.documents.document_store import Database, DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, parse_database
from afterimage_emulator.firestore.transactions.transactions import Transactions


class Session:
    """A database and its open transactions."""

    __slots__ = ("database", "transactions")

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.transactions = Transactions(database, clock)


class Sessions:
    """Every project's session state, made when the project is first named."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_name: dict[DatabaseName, Session] = {}
        self._by_text: dict[str, Session] = {}

    def of(self, name: DatabaseName) -> Session:
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = Session(self._store.database(name), self._clock)
        return found

    def named(self, text: str) -> Session:
        """By the resource name that requests carry."""
        found = self._by_text.get(text)
        if found is None:
            found = self._by_text[text] = self.of(parse_database(text))
        return found

    def reset(self) -> None:
        """Ends every transaction and forgets every document."""
        for session in self._by_name.values():
            session.transactions.end_all()
            session.database.clear()
