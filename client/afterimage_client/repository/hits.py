"""Owns hits on their way: counted here at once, told to the cloud one by one, none of them twice.

The rules let a reader raise the count by one and set the time, and nothing else: a hit carries no mark by which it
could be known again. So it is sent on condition that the document is at the version that was read, and that version is
written down first. When the answer is lost, a document that is still at that version has not got the hit. One that has
moved on is taken to have it: two readers that meet in such a moment may count one hit for two, never two for one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from afterimage_client.errors import FirestoreError
from afterimage_client.failures import failure_of_entry
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.transforms import SERVER_TIMESTAMP, Increment
from afterimage_client.queue.entries import Entry
from afterimage_client.store.store import Store

_MET_ANOTHER: Final = frozenset({"failed-precondition", "aborted", "not-found"})
_MEETINGS: Final = 20


class Hits:
    """The hits of one user's outputs."""

    def __init__(self, store: Store, firestore: Firestore, user_id: str) -> None:
        self._store = store
        self._firestore = firestore
        self.kind = f"count_hit:{user_id}"

    def add(self, path: str) -> None:
        with self._store.database.transaction() as transaction:
            transaction.execute(
                "INSERT INTO output_hits (path, waiting) VALUES (?, 1)"
                " ON CONFLICT (path) DO UPDATE SET waiting = waiting + 1",
                (path,),
            )
            self._store.queue.enqueue_once(self.kind, path)

    def waiting(self, path: str) -> int:
        return self._row(path)[0]

    async def perform(self, entry: Entry) -> None:
        """Tells all hits of one output that wait, each as a write of its own."""
        meetings = 0
        while self.waiting(entry.key):
            try:
                if not await self._tell_one(entry.key):
                    return
            except FirestoreError as error:
                meetings += 1
                if error.code not in _MET_ANOTHER or meetings > _MEETINGS:
                    raise failure_of_entry(error) from error

    async def _tell_one(self, path: str) -> bool:
        """False where there is no such output any more: its hits are nobody's."""
        reference = self._firestore.document(path)
        snapshot = await reference.get()
        if snapshot.update_time is None:
            with self._store.database.transaction() as transaction:
                transaction.execute("DELETE FROM output_hits WHERE path = ?", (path,))
            return False
        version = snapshot.update_time.isoformat()
        _, sent = self._row(path)
        if sent and sent != version:
            self._was_told(path)
            return True
        self._note_sent(path, version)
        try:
            await reference.update(
                {"cache_hit_count": Increment(1), "last_accessed": SERVER_TIMESTAMP},
                last_update_time=datetime.fromisoformat(version),
            )
        except FirestoreError as error:
            if not error.is_outcome_unknown:
                self._note_sent(path, "")
            raise
        self._was_told(path)
        return True

    def _row(self, path: str) -> tuple[int, str]:
        row = self._store.database.row("SELECT waiting, sent FROM output_hits WHERE path = ?", (path,))
        return (int(row[0]), str(row[1])) if row else (0, "")

    def _note_sent(self, path: str, version: str) -> None:
        with self._store.database.transaction() as transaction:
            transaction.execute("UPDATE output_hits SET sent = ? WHERE path = ?", (version, path))

    def _was_told(self, path: str) -> None:
        with self._store.database.transaction() as transaction:
            transaction.execute("DELETE FROM output_hits WHERE path = ? AND waiting = 1", (path,))
            transaction.execute("UPDATE output_hits SET waiting = waiting - 1, sent = '' WHERE path = ?", (path,))
