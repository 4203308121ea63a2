"""Owns outputs as an app uses them: saved here at once and in the cloud later, read from here or else from there."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from afterimage_client.errors import FirebaseError, FirestoreError
from afterimage_client.failures import failure_of_entry
from afterimage_client.firestore.writes import MOST_WRITES
from afterimage_client.media.library import MediaLibrary
from afterimage_client.queue.entries import Entry, QueueStats
from afterimage_client.queue.worker import QueueWorker, SyncReport
from afterimage_client.repository.cloud_storage_service import FilePlace, audio_stem_place, image_place, video_place
from afterimage_client.repository.firestore_service import FirestoreAIService
from afterimage_client.repository.hits import Hits
from afterimage_client.repository.output_cache import CachedAIOutput, OutputCache, save_kind
from afterimage_client.repository.outputs import (
    ContentType,
    Dialogue,
    FileOutput,
    Output,
    document_path,
    is_about,
    output_from_fields,
)
from afterimage_client.store.store import Store

_DAY: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTTL:
    """For how many seconds a local copy of each kind is good without asking the cloud."""

    dialogue: float = 7 * _DAY
    image: float = 30 * _DAY
    video: float = 30 * _DAY
    audio: float = 30 * _DAY

    def of(self, content_type: ContentType) -> float:
        return float(getattr(self, content_type.value))


class CloudAIRepository:
    """One user's outputs over a store. `start` saves in the background, `sync_all` saves what waits now and ends."""

    def __init__(
        self,
        store: Store,
        firestore: FirestoreAIService,
        *,
        media: MediaLibrary | None = None,
        ttl: CacheTTL | None = None,
        parallel: int = 4,
    ) -> None:
        self._store = store
        self._media = media
        self._firestore = firestore
        self._ttl = ttl or CacheTTL()
        self._kind = save_kind(firestore.user_id)
        self.cache = OutputCache(store, firestore.user_id)
        self._hits = Hits(store, firestore.firestore, firestore.user_id)
        performers = {self._kind: self._save_with_others, self._hits.kind: self._hits.perform}
        self._worker = QueueWorker(store.queue, performers, parallel=parallel)

    # -- running

    def start(self) -> None:
        self._worker.start()

    async def stop(self) -> None:
        await self._worker.stop()

    def try_now(self) -> None:
        """The network is back: nobody waits for the next attempt."""
        self._worker.try_now()

    async def sync_all(self) -> SyncReport:
        return await self._worker.sync_all()

    @property
    def stats(self) -> QueueStats:
        """The store's one queue: how much waits, of all kinds, and whether anything is on its way."""
        return self._store.queue.stats()

    # -- dialogues

    def save_dialogue(self, dialogue: Dialogue) -> None:
        """Seen here at once; the copy and what will save it in the cloud are one transaction."""
        self.save_output(dialogue)

    def save_dialogues(self, dialogues: Sequence[Dialogue]) -> None:
        """All of one transaction here; in the cloud up to 500 are written together."""
        with self._store.database.transaction():
            for dialogue in dialogues:
                self.save_output(dialogue)

    async def get_dialogue(self, card_id: str, interaction_id: str) -> str | None:
        """The text, from here while it is good, else from the cloud; None where neither has it."""
        wanted = Dialogue(card_id=card_id, interaction_id=interaction_id, text="", model="")
        found = await self.get_output(ContentType.DIALOGUE, wanted.parts)
        return found.text if isinstance(found, Dialogue) else None

    # -- files

    def save_image(
        self, *, card_id: str, image_type: str, image_bytes: bytes, model: str, extension: str = "webp", **told: Any
    ) -> str:
        """Keeps a picture and what is told of it; both go up when they can. Returns its path in Storage."""
        place = image_place(self._firestore.user_id, card_id, image_type, extension)
        return self._save_file(ContentType.IMAGE, place, image_bytes, {"model": model, **told})

    def save_video(self, *, scene_id: str, video_bytes: bytes, model: str, **told: Any) -> str:
        place = video_place(self._firestore.user_id, scene_id)
        return self._save_file(ContentType.VIDEO, place, video_bytes, {"model": model, **told})

    def save_audio_stem(self, *, stem_id: str, stem_type: str, audio_bytes: bytes, model: str, **told: Any) -> str:
        place = audio_stem_place(self._firestore.user_id, stem_id, stem_type)
        return self._save_file(ContentType.AUDIO, place, audio_bytes, {"model": model, **told})

    async def get_image(self, card_id: str, image_type: str) -> Path | None:
        """The picture's file, from here or the cloud; None where neither knows of it. The media must be started."""
        return await self._get_file(ContentType.IMAGE, {"card_id": card_id, "image_type": image_type})

    async def get_video(self, scene_id: str) -> Path | None:
        return await self._get_file(ContentType.VIDEO, {"scene_id": scene_id})

    async def get_audio_stem(self, stem_id: str, stem_type: str) -> Path | None:
        return await self._get_file(ContentType.AUDIO, {"stem_type": stem_type, "stem_id": stem_id})

    # -- any output

    def save_output(self, output: Output) -> None:
        path = self._firestore.path_of(output)
        fields = output.to_fields()
        with self._store.database.transaction():
            before = self.cache.get(output.content_type, output.id)
            if before is not None and not is_about(before.metadata, output.parts):
                raise FirestoreError(
                    "already-exists",
                    f"`{path}` is another output here: its parts make the same id as {output.parts}",
                    way_out="use ids without `_`",
                )
            self._keep(output.content_type, output.id, fields)
            payload = {"content_type": output.content_type.value, "fields": fields}
            self._store.queue.enqueue(self._kind, path, payload)

    async def get_output(self, content_type: ContentType, parts: Mapping[str, str]) -> Output | None:
        """An output by its parts. A copy whose time is over will do where the cloud cannot be reached."""
        output_id = "_".join(parts.values())
        cached = self.cache.get(content_type, output_id)
        if cached is not None and not is_about(cached.metadata, parts):
            return None  # the id is another output's, here as in the cloud
        if cached is not None and self._is_good(content_type, cached):
            return self._hit(content_type, cached.id, cached.metadata)
        try:
            found = await self._firestore.get_output(content_type, parts, count_hit=False)
        except FirebaseError as error:
            if cached is None or not error.is_transient:
                raise
            return self._hit(content_type, cached.id, cached.metadata)
        with self._store.database.transaction():
            newer = self.cache.get(content_type, output_id)
            if newer is not None and newer != cached:
                return self._hit(content_type, newer.id, newer.metadata)  # saved here while the cloud was asked
            if found is None:
                self.cache.remove(content_type, output_id)
                return None
            fields = found.to_fields()
            self._keep(content_type, output_id, fields)
            return self._hit(content_type, output_id, fields)

    def remove_expired(self) -> int:
        """Frees copies whose time is over; what the cloud has not got stays."""
        return self.cache.remove_expired()

    # -- inside

    def _save_file(self, content_type: ContentType, place: FilePlace, data: bytes, told: Mapping[str, Any]) -> str:
        library = self._library()
        output = FileOutput(**{**place.parts, **told, "content_type": content_type, "path": place.path})
        moment = datetime.fromtimestamp(self._store.clock.now(), UTC)
        prepared = library.cache.prepare(data)
        try:
            with self._store.database.transaction() as transaction:
                self.save_output(output)
                library.add_prepared(
                    transaction,
                    place.path,
                    place.path,
                    prepared,
                    mime_type=place.content_type,
                    custom=place.custom(moment),
                )
        finally:
            prepared.unlink(missing_ok=True)
        return place.path

    async def _get_file(self, content_type: ContentType, parts: Mapping[str, str]) -> Path | None:
        library = self._library()
        output = await self.get_output(content_type, parts)
        if not isinstance(output, FileOutput) or output.path is None:
            return None
        return await library.fetch(output.path, output.path)

    def _library(self) -> MediaLibrary:
        if self._media is None:
            raise ValueError("there is no place for files: make the repository with `media`")
        return self._media

    def _is_good(self, content_type: ContentType, cached: CachedAIOutput) -> bool:
        is_waiting = self.cache.is_waiting(content_type, cached.id)
        return is_waiting or not cached.is_expired(self._store.clock.now())

    def _hit(self, content_type: ContentType, output_id: str, fields: dict[str, Any]) -> Output:
        self._hits.add(document_path(self._firestore.user_id, content_type, output_id))
        return output_from_fields(content_type, fields)

    def _keep(self, content_type: ContentType, output_id: str, fields: dict[str, Any]) -> None:
        content = fields.get("text" if content_type is ContentType.DIALOGUE else "path", "")
        self.cache.put(
            content_type, output_id, content=content, metadata=fields, ttl_seconds=self._ttl.of(content_type)
        )

    async def _save_with_others(self, entry: Entry) -> None:
        """Saves an entry, and with it others that wait. Where that fails, the entry has its attempt alone."""
        queue = self._store.queue
        others = queue.take([self._kind], limit=MOST_WRITES - 1)
        try:
            if others:
                with contextlib.suppress(FirebaseError):
                    await self._firestore.save_outputs([_output_of(each) for each in (entry, *others)])
                    with self._store.database.transaction():
                        for each in (entry, *others):
                            queue.complete(each)
                    return
        finally:
            for each in others:
                queue.give_back(each)  # nothing where they are complete
        try:
            await self._firestore.save_outputs([_output_of(entry)])
        except FirebaseError as error:
            raise failure_of_entry(error) from error


def _output_of(entry: Entry) -> Dialogue | FileOutput:
    return output_from_fields(ContentType(entry.payload["content_type"]), entry.payload["fields"])
