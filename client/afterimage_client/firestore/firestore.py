"""Owns the door to a Firestore database: documents, collections, groups, batches and transactions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from afterimage_client.firestore.batches import WriteBatch
from afterimage_client.firestore.calls import Calls
from afterimage_client.firestore.listening.watch_stream import WatchStream
from afterimage_client.firestore.names import check_path
from afterimage_client.firestore.queries import QueryPlan
from afterimage_client.firestore.references import CollectionReference, Connection, DocumentReference, Query
from afterimage_client.firestore.snapshots import DocumentSnapshot
from afterimage_client.firestore.transactions import ATTEMPTS, Transaction, run_transaction
from afterimage_client.firestore.values import from_timestamp
from afterimage_client.firestore.wire.channel import Channel

T = TypeVar("T")


class Firestore:
    """One database, as the user who is signed in."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._watch = WatchStream(channel)
        self._connection = Connection(Calls(channel), self._watch)

    def document(self, path: str) -> DocumentReference:
        """`document("players/ann/notes/first")`."""
        checked = check_path(path, is_document=True)
        return DocumentReference(self._connection, f"{self._connection.calls.documents}/{checked}")

    def collection(self, path: str) -> CollectionReference:
        checked = check_path(path, is_document=False)
        return CollectionReference(self._connection, f"{self._connection.calls.documents}/{checked}")

    def collection_group(self, collection_id: str) -> Query:
        """All collections with this id, wherever they lie."""
        checked = check_path(collection_id, is_document=False)
        plan = QueryPlan(
            parent=self._connection.calls.documents, collection_id=checked.rpartition("/")[2], all_descendants=True
        )
        return Query(self._connection, plan)

    async def get_all(self, references: Sequence[DocumentReference]) -> list[DocumentSnapshot]:
        """Many documents in few requests, in the order of the references."""
        answers = await self._connection.calls.get_documents([reference.name for reference in references])
        snapshots = []
        for reference in references:
            answer = answers[reference.name]
            message = answer.found if answer.WhichOneof("result") == "found" else None
            snapshots.append(self._connection.snapshot(reference.name, message, from_timestamp(answer.read_time)))
        return snapshots

    def batch(self) -> WriteBatch:
        return WriteBatch(self._connection)

    async def run_transaction(self, work: Callable[[Transaction], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
        """Runs `work(transaction)` until nothing that it read changed before its writes were applied.

        `work` may run several times: it does nothing but read, decide, and write through the transaction.
        """
        return await run_transaction(self._connection, work, attempts=attempts, backoff=self._channel.backoff)

    def reconnect(self) -> None:
        """Listeners try again at once: call it when the network is known to be back."""
        self._watch.reconnect()

    def user_changed(self) -> None:
        """Listeners ask again as whoever is signed in now. The app calls it."""
        self._watch.user_changed()

    async def close(self) -> None:
        await self._watch.close()
        await self._channel.close()
