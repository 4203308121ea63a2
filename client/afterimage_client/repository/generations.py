"""Owns a user's history of generations: what workers made, newest first, followed as it changes, deleted whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from afterimage_client.errors import StorageError
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.firestore.listening.listeners import DocumentListener, QueryListener
from afterimage_client.firestore.references import DocumentReference, Query
from afterimage_client.firestore.snapshots import DocumentSnapshot
from afterimage_client.repository.outputs import checked_part
from afterimage_client.storage.storage import Storage

PAGE: Final = 20
MOST_AT_ONCE: Final = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class PastGeneration:
    """One entry, as its document says; figures that are not there are None."""

    file_uid: str
    status: str
    created_at: datetime | None
    completed_at: datetime | None
    links: tuple[str, ...]
    """To the pictures or the video. Empty while it is made, where it failed, and where the answer held the data."""
    reason: str | None
    request: Mapping[str, Any]
    result: Mapping[str, Any]
    paths: tuple[str, ...] = ()
    """Where its files lie in the bucket."""
    snapshot: DocumentSnapshot = field(repr=False)

    @classmethod
    def from_snapshot(cls, snapshot: DocumentSnapshot) -> Self:
        fields = snapshot.to_dict() or {}
        result = _mapping(fields.get("generation_data"))
        video = result.get("video_url")
        links = result.get("images") or ([video] if video else [])
        files = [_mapping(file).get("path") for file in fields.get("files") or ()]
        return cls(
            file_uid=snapshot.id,
            status=str(fields.get("status", "")),
            created_at=_time(fields.get("created_at")),
            completed_at=_time(fields.get("completed_at")),
            links=tuple(link for link in links if isinstance(link, str)),
            reason=fields.get("reason"),
            request=_mapping(fields.get("request_data")),
            result=result,
            paths=tuple(path for path in files if isinstance(path, str)),
            snapshot=snapshot,
        )


class GenerationHistory:
    """The generations of the user who is signed in."""

    def __init__(self, firestore: Firestore, storage: Storage, *, user_id: str) -> None:
        self._collection = firestore.collection(f"generations/{checked_part(user_id, 'user_id')}/files")
        self._storage = storage

    async def page(self, *, limit: int = PAGE, after: PastGeneration | None = None) -> Sequence[PastGeneration]:
        """Newest first; `after` is the last entry of the page before, which may be gone by now."""
        query = self._newest(limit)
        if after is not None:
            query = query.start_after(after.snapshot)
        return [PastGeneration.from_snapshot(snapshot) for snapshot in await query.get()]

    def listen(self, *, limit: int = PAGE) -> QueryListener:
        """The newest entries whenever one of them changes; make each a `PastGeneration.from_snapshot`."""
        return self._newest(limit).listen()

    def follow(self, file_uid: str) -> DocumentListener:
        """One generation, also before its worker has opened it."""
        return self._document(file_uid).listen()

    async def get(self, file_uid: str) -> PastGeneration | None:
        snapshot = await self._document(file_uid).get()
        return PastGeneration.from_snapshot(snapshot) if snapshot.exists else None

    async def delete(self, file_uid: str) -> None:
        """The entry, then its files; where this is cut off, the nightly expiry takes the files."""
        found = await self.get(file_uid)
        await self._document(file_uid).delete()
        for path in found.paths if found else ():
            try:
                await self._storage.object(path).delete()
            except StorageError as error:
                if error.code != "object-not-found":
                    raise

    def _newest(self, limit: int) -> Query:
        if not 1 <= limit <= MOST_AT_ONCE:
            raise ValueError(f"`limit` is `{limit}`; ask for 1 to {MOST_AT_ONCE} at once")
        return self._collection.order_by("created_at", "descending").limit(limit)

    def _document(self, file_uid: str) -> DocumentReference:
        return self._collection.document(checked_part(file_uid, "file_uid"))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _time(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None
