"""Owns the files of outputs in Cloud Storage: their paths, types and metadata as the contract has them."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from afterimage_client.database.clock import Clock
from afterimage_client.errors import StorageError
from afterimage_client.repository.firestore_service import FirestoreAIService
from afterimage_client.repository.outputs import checked_image_type, checked_part
from afterimage_client.storage.storage import Storage, Uploaded
from afterimage_client.storage.transfers import OnProgress

_IMAGES: Final[Mapping[str, str]] = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "heic": "image/heic",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
}


class FilePlace:
    """Where an output's file goes, as what, and what is told with it."""

    def __init__(self, path: str, content_type: str, parts: Mapping[str, str]) -> None:
        self.path = path
        self.content_type = content_type
        self.parts = dict(parts)

    def custom(self, generated_at: datetime) -> dict[str, str]:
        return {**self.parts, "generated_at": generated_at.astimezone(UTC).isoformat(timespec="milliseconds")}


def image_place(user_id: str, card_id: str, image_type: str, extension: str = "webp") -> FilePlace:
    parts = {"card_id": checked_part(card_id, "card_id"), "image_type": checked_image_type(image_type)}
    if extension not in _IMAGES:
        raise ValueError(f"`extension` is `{extension}`: use one of `{'`, `'.join(_IMAGES)}`")
    path = f"users/{user_id}/ai_generated/images/{card_id}_{image_type}.{extension}"
    return FilePlace(path, _IMAGES[extension], parts)


def video_place(user_id: str, scene_id: str) -> FilePlace:
    path = f"users/{user_id}/ai_generated/videos/{checked_part(scene_id, 'scene_id')}.mp4"
    return FilePlace(path, "video/mp4", {"scene_id": scene_id})


def audio_stem_place(user_id: str, stem_id: str, stem_type: str) -> FilePlace:
    parts = {"stem_id": checked_part(stem_id, "stem_id"), "stem_type": checked_part(stem_type, "stem_type")}
    return FilePlace(f"users/{user_id}/ai_generated/audio/stems/{stem_type}_{stem_id}.opus", "audio/opus", parts)


class CloudStorageAIService:
    """One user's files. `books` is asked how much is stored: the server keeps that figure, and it is one read."""

    def __init__(
        self, storage: Storage, *, user_id: str, books: FirestoreAIService | None = None, clock: Clock | None = None
    ) -> None:
        self._storage = storage
        self._books = books
        self._clock = clock or Clock()
        self.user_id = checked_part(user_id, "user_id")

    # -- up

    async def upload_image(
        self,
        *,
        card_id: str,
        image_type: str,
        image_bytes: Uploaded,
        extension: str = "webp",
        generated_at: datetime | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        """Stores a picture and returns its path."""
        place = image_place(self.user_id, card_id, image_type, extension)
        return await self._put(place, image_bytes, generated_at, on_progress)

    async def upload_video(
        self,
        *,
        scene_id: str,
        video_bytes: Uploaded,
        generated_at: datetime | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        return await self._put(video_place(self.user_id, scene_id), video_bytes, generated_at, on_progress)

    async def upload_audio_stem(
        self,
        *,
        stem_id: str,
        stem_type: str,
        audio_bytes: Uploaded,
        generated_at: datetime | None = None,
        on_progress: OnProgress | None = None,
    ) -> str:
        place = audio_stem_place(self.user_id, stem_id, stem_type)
        return await self._put(place, audio_bytes, generated_at, on_progress)

    async def upload_if_not_exists(
        self, path: str, data: Uploaded, *, content_type: str | None = None, custom: Mapping[str, str] | None = None
    ) -> bool:
        """Stores a file where there is none; False where there is one. The server decides, in one request."""
        declared = content_type or ("audio/opus" if path.endswith(".opus") else mimetypes.guess_type(path)[0])
        try:
            await self._storage.object(path).upload(data, content_type=declared, custom=custom, if_absent=True)
        except StorageError as error:
            if error.code != "already-exists":
                raise
            return False
        return True

    # -- down

    async def download_image(self, path: str) -> bytes:
        """The bytes of any output's file, verified."""
        return await self._storage.object(path).read()

    async def download_url(self, path: str) -> str:
        return await self._storage.object(path).download_url()

    async def delete(self, path: str) -> None:
        await self._storage.object(path).delete()

    async def get_storage_usage(self) -> int:
        """Bytes stored, by the server's own count, whatever folders they lie in."""
        if self._books is None:
            raise ValueError("nobody was named who knows: make the service with `books`")
        return await self._books.get_storage_usage()

    async def _put(
        self, place: FilePlace, data: Uploaded, generated_at: datetime | None, on_progress: OnProgress | None
    ) -> str:
        moment = generated_at or datetime.fromtimestamp(self._clock.now(), UTC)
        await self._storage.object(place.path).upload(
            data, content_type=place.content_type, custom=place.custom(moment), on_progress=on_progress
        )
        return place.path
