"""Puts objects together: the bytes of up to 32 sources in a row become one new generation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.customer_keys import check_customer_key
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Composition, Selection
from afterimage_emulator.storage.objects.store import ObjectStore

SOURCES_LIMIT: Final = 32
_READ_BYTES: Final = 1024 * 1024


class Composer:
    """Sources are looked at in one moment; what happens to them while their bytes are copied changes nothing."""

    def __init__(self, *, store: ObjectStore, files: BlobFiles) -> None:
        self._store = store
        self._files = files

    async def compose(self, request: Composition) -> ObjectRecord:
        if not request.sources:
            raise StorageError(Reason.REQUIRED, "You must provide at least one source component.")
        if len(request.sources) > SOURCES_LIMIT:
            raise invalid(
                f"The number of source components provided ({len(request.sources)}) exceeds the maximum "
                f"({SOURCES_LIMIT})."
            )
        sources = [self._store.read(wanted) for wanted in request.sources]
        target = request.target
        for source in sources:
            check_customer_key(source, target.metadata.customer_key_sha256)
        if request.keep_contexts:
            contexts = {key: one for source in sources for key, one in source.metadata.contexts.items()}
            target = replace(target, metadata=replace(target.metadata, contexts=contexts))
        self._store.check_upload(target)
        if request.delete_sources:
            for source in sources:
                self._store.check_not_kept(source)
        blob = await self.joined([source.blob for source in sources])
        components = sum(source.component_count or 1 for source in sources)
        record = self._store.insert(replace(target, component_count=components), blob)
        if request.delete_sources:
            self._delete(sources)
        return record

    async def joined(self, blobs: Sequence[Blob]) -> Blob:
        """A new file with the bytes of all; it has no MD5, as production has none for such objects."""
        for blob in blobs:
            self._files.share(blob)
        writer = self._files.new_writer()
        try:
            for blob in blobs:
                with blob.path.open("rb") as file:
                    while chunk := await self._files.disk.run(file.read, _READ_BYTES):
                        await writer.write(chunk)
            whole = await writer.finish()
        except BaseException:
            writer.abort()
            raise
        finally:
            for blob in blobs:
                self._files.release(blob)
        whole.md5 = ""
        return whole

    def _delete(self, sources: Sequence[ObjectRecord]) -> None:
        """Exactly the generations that were read; one that is gone meanwhile, or kept since, is left as it is."""
        for source in {one.generation: one for one in sources}.values():
            with suppress(StorageError):
                self._store.delete(Selection(bucket=source.bucket, name=source.name, generation=source.generation))
