"""Owns outputs in Firestore as their user writes and reads them: saves that keep hits, hits, batches, the books."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from afterimage_client.errors import FirebaseError, FirestoreError
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.references import DocumentReference
from afterimage_client.firestore.snapshots import DocumentSnapshot
from afterimage_client.firestore.transactions import Transaction
from afterimage_client.firestore.transforms import SERVER_TIMESTAMP, Increment
from afterimage_client.firestore.writes import MOST_WRITES
from afterimage_client.repository.outputs import (
    ContentType,
    Dialogue,
    FileOutput,
    Output,
    changed_fields,
    checked_part,
    document_path,
    is_about,
    new_fields,
    output_from_fields,
)

_log: Final = logging.getLogger("afterimage_client.repository")


class FirestoreAIService:
    """One user's outputs. A read that finds an output counts as a hit: nothing had to be generated."""

    def __init__(self, firestore: Firestore, *, user_id: str) -> None:
        self._firestore = firestore
        self.user_id = checked_part(user_id, "user_id")

    # -- saving

    async def save_dialogue(
        self,
        *,
        card_id: str,
        interaction_id: str,
        text: str,
        personality_traits: Mapping[str, float],
        model: str,
        latency_ms: int,
        cost_usd: float,
    ) -> None:
        dialogue = Dialogue(
            card_id=card_id,
            interaction_id=interaction_id,
            text=text,
            personality_traits=personality_traits,
            model=model,
            latency_ms=latency_ms,
            cost_usd=cost_usd,
        )
        await self.save_outputs([dialogue])

    async def save_output(self, output: Output) -> None:
        await self.save_outputs([output])

    async def batch_save_dialogues(self, dialogues: Sequence[Dialogue]) -> None:
        """Any number: 500 are written together, each 500 as one."""
        await self.save_outputs(dialogues)

    async def save_outputs(self, outputs: Sequence[Output]) -> None:
        """Saves outputs, the last one of an id. An output that is there keeps its hits and when it was made."""
        newest = {self.path_of(output): output for output in outputs}
        paths = list(newest)
        for at in range(0, len(paths), MOST_WRITES):
            chunk = {path: newest[path] for path in paths[at : at + MOST_WRITES]}
            await self._firestore.run_transaction(partial(self._save, chunk))

    async def _save(self, chunk: Mapping[str, Output], transaction: Transaction) -> None:
        references = [self._firestore.document(path) for path in chunk]
        stored = await transaction.get_all(references)
        for reference, snapshot, output in zip(references, stored, chunk.values(), strict=True):
            _write(transaction, reference, snapshot, output)

    # -- reading

    async def get_dialogue(self, card_id: str, interaction_id: str, *, count_hit: bool = True) -> Dialogue | None:
        wanted = Dialogue(card_id=card_id, interaction_id=interaction_id, text="", model="")
        found = await self.get_output(ContentType.DIALOGUE, wanted.parts, count_hit=count_hit)
        return found if isinstance(found, Dialogue) else None

    async def get_output(
        self, content_type: ContentType, parts: Mapping[str, str], *, count_hit: bool = True
    ) -> Output | None:
        """What the cloud has of an output, the hit of this read included. A hit that fails does not fail the read."""
        path = document_path(self.user_id, content_type, "_".join(parts.values()))
        reference = self._firestore.document(path)
        fields = (await reference.get()).to_dict()
        if fields is None or not is_about(fields, parts):
            return None
        if count_hit:
            try:
                await self.record_hit(path)
            except FirebaseError as error:
                _log.info("a hit of `%s` was not counted: %s", path, error)
            else:
                fields["cache_hit_count"] = fields.get("cache_hit_count", 0) + 1
        return output_from_fields(content_type, {**fields, **parts})

    async def record_hit(self, path: str) -> None:
        """Exactly what the rules admit of a reader: one more, at the server's time, and nothing else."""
        await self._firestore.document(path).update(
            {"cache_hit_count": Increment(1), "last_accessed": SERVER_TIMESTAMP}
        )

    async def get_cost_analytics(self) -> dict[str, Any]:
        """The user's books as the server keeps them: one document, whatever the number of outputs."""
        books = (await self._firestore.document(f"usage/{self.user_id}").get()).to_dict() or {}
        names = ("total_generations", "total_cost_usd", "cache_rate", "avg_cost_per_generation")
        return {name: books.get(name, 0) for name in names}

    async def get_storage_usage(self) -> int:
        """How many bytes the server counts for this user, in all folders and of all kinds."""
        stored = (await self._firestore.document(f"usage/{self.user_id}").get()).get("storage.bytes", {})
        return sum(int(count) for count in stored.values())

    def path_of(self, output: Dialogue | FileOutput) -> str:
        return document_path(self.user_id, output.content_type, output.id)

    @property
    def firestore(self) -> Firestore:
        return self._firestore


def _write(transaction: Transaction, reference: DocumentReference, snapshot: DocumentSnapshot, output: Output) -> None:
    stored, sent = snapshot.to_dict(), output.to_fields()
    if stored is None:
        transaction.create(reference, new_fields(sent))
        return
    if not is_about(stored, output.parts):
        raise FirestoreError(
            "already-exists",
            f"`{reference.path}` is another output: its parts make the same id as {dict(output.parts)}",
            way_out="use ids without `_`",
        )
    if changed := changed_fields(sent, stored):
        transaction.update(reference, changed)
