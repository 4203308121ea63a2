"""The stores that a test uses: whatever it does, they are whole when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from afterimage_emulator.firestore.documents.document_store import Database

_used: list[Callable[[], Iterable[Database]]] = []


def is_whole_at_the_end(databases: Callable[[], Iterable[Database]]) -> None:
    """Whoever makes a store for a test says so here."""
    _used.append(databases)


def check_used_stores() -> None:
    used, _used[:] = list(_used), []
    for databases in used:
        for database in databases():
            database.check_invariants()
