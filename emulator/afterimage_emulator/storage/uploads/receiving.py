"""Puts a request's body on disk and hands the finished blob on; whatever goes wrong leaves no file."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable

from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload
from afterimage_emulator.storage.objects.store import ObjectStore

Insert = Callable[[Upload, Blob], ObjectRecord]


class Receiver:
    """Simple and multipart uploads of both dialects."""

    def __init__(self, *, store: ObjectStore, files: BlobFiles) -> None:
        self._store = store
        self._files = files

    async def receive(self, upload: Upload, chunks: AsyncIterable[bytes], insert: Insert | None = None) -> ObjectRecord:
        """`insert` lets an adapter look at the finished blob before it becomes an object."""
        self._store.check_upload(upload)
        writer = self._files.new_writer()
        try:
            async for chunk in chunks:
                await writer.write(chunk)
                upload.check_size(writer.received_bytes, is_whole=False)
            blob = await writer.finish()
        except BaseException:
            writer.abort()
            raise
        return (insert or self._store.insert)(upload, blob)
