"""Uploads in parts: each part a file of its own until the last request joins them, in the order that it names."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from afterimage_emulator.clock import NANOS_PER_SECOND, Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.storage.copying.composing import Composer
from afterimage_emulator.storage.errors import Reason, SpecificError
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload, check_sums
from afterimage_emulator.storage.objects.store import ObjectStore

PARTS_LIMIT: Final = 10_000
LEAST_PART_BYTES: Final = 5 * 1024 * 1024
_REMEMBERED_SECONDS: Final = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadedPart:
    """One part as it was last sent."""

    number: int
    blob: Blob
    etag: str
    uploaded_ns: int


@dataclass(kw_only=True, slots=True, eq=False)
class UploadInParts:
    """One upload: under way, or for an hour after its end with the object that it made."""

    id: str
    request: Upload
    started_ns: int
    parts: dict[int, UploadedPart] = field(default_factory=dict)
    result: ObjectRecord | None = None
    ended_ns: int | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def key(self) -> str:
        """Under which it is kept, but for its parts."""
        return f"parts/{self.id}"

    def key_of_part(self, number: int) -> str:
        return f"part/{self.id}/{number}"


class UploadsInParts:
    """The uploads that were begun and neither completed nor given up. They wait for ever, as in production."""

    def __init__(
        self, *, store: ObjectStore, files: BlobFiles, composer: Composer, clock: Clock, touch: Touch = touch_nothing
    ) -> None:
        self._touch = touch
        self._store = store
        self._files = files
        self._composer = composer
        self._clock = clock
        self._uploads: dict[str, UploadInParts] = {}

    def start(self, request: Upload) -> UploadInParts:
        self._store.check_upload(request)
        upload = UploadInParts(id=secrets.token_urlsafe(48), request=request, started_ns=self._clock.now_ns())
        return self.adopt(upload)

    def adopt(self, upload: UploadInParts) -> UploadInParts:
        """As it is; also one that an earlier run of the suite had begun."""
        self._uploads[upload.id] = upload
        self._touch(upload.key)
        return upload

    def begun(self, upload_id: str) -> UploadInParts | None:
        return self._uploads.get(upload_id)

    def find(self, upload_id: str | None, bucket: str, name: str, *, with_ended: bool = False) -> UploadInParts:
        self._forget_ended()
        upload = self._uploads.get(upload_id or "")
        if (
            upload is None
            or (upload.request.bucket, upload.request.name) != (bucket, name)
            or (upload.ended_ns is not None and not with_ended)
        ):
            raise SpecificError(
                Reason.NOT_FOUND,
                "NoSuchUpload",
                f"the upload `{(upload_id or '')[:100]}` of {bucket}/{name} was never begun, or it was ended",
            )
        return upload

    def of_bucket(self, bucket: str, prefix: str = "") -> list[UploadInParts]:
        """Those under way, in order of names and then of their beginning."""
        found = [
            upload
            for upload in self._uploads.values()
            if upload.ended_ns is None and upload.request.bucket == bucket and upload.request.name.startswith(prefix)
        ]
        return sorted(found, key=lambda upload: (upload.request.name, upload.started_ns, upload.id))

    async def add(
        self,
        upload: UploadInParts,
        number: int,
        chunks: AsyncIterable[bytes],
        *,
        md5: str | None = None,
        crc32c: str | None = None,
    ) -> UploadedPart:
        """A part that comes again takes the place of the earlier one."""
        writer = self._files.new_writer()
        try:
            async for chunk in chunks:
                await writer.write(chunk)
            blob = await writer.finish()
        except BaseException:
            writer.abort()
            raise
        try:
            check_sums(blob, md5=md5, crc32c=crc32c)
            self.find(upload.id, upload.request.bucket, upload.request.name)
        except SpecificError:
            self._files.release(blob)
            raise
        part = UploadedPart(number=number, blob=blob, etag=etag_of_part(blob), uploaded_ns=self._clock.now_ns())
        old = upload.parts.get(number)
        upload.parts[number] = part
        self._touch(upload.key_of_part(number))
        if old is not None:
            self._files.release(old.blob)
        return part

    async def complete(self, upload: UploadInParts, wanted: Sequence[tuple[int, str]]) -> ObjectRecord:
        """`wanted` are numbers and etags. Asked again, it answers with the object that it made."""
        async with upload.turn:
            if upload.result is not None:
                return upload.result
            self.find(upload.id, upload.request.bucket, upload.request.name)
            parts = _chosen_parts(upload, wanted)
            self._store.check_upload(upload.request)
            blob = await self._composer.joined([part.blob for part in parts])
            request = replace(upload.request, component_count=len(parts))
            upload.result = self._store.insert(request, blob)
            self._end(upload)
            return upload.result

    async def abort(self, upload: UploadInParts) -> None:
        async with upload.turn:
            self.find(upload.id, upload.request.bucket, upload.request.name)
            self.give_up(upload)

    def reset(self) -> None:
        """Forgets all; the files go with their folder."""
        self._uploads.clear()

    def blobs(self) -> Iterator[Blob]:
        """What waits to be joined."""
        for upload in self._uploads.values():
            for part in upload.parts.values():
                yield part.blob

    def give_up(self, upload: UploadInParts) -> None:
        """A completion that is at work already ends as it would."""
        self._end(upload)
        del self._uploads[upload.id]

    # -- inside

    def _end(self, upload: UploadInParts) -> None:
        upload.ended_ns = self._clock.now_ns()
        self._touch(upload.key)
        for number, part in upload.parts.items():
            self._touch(upload.key_of_part(number))
            self._files.release(part.blob)
        upload.parts.clear()

    def _forget_ended(self) -> None:
        oldest = self._clock.now_ns() - _REMEMBERED_SECONDS * NANOS_PER_SECOND
        for upload in [one for one in self._uploads.values() if one.ended_ns is not None and one.ended_ns < oldest]:
            del self._uploads[upload.id]
            self._touch(upload.key)


def etag_of_part(blob: Blob) -> str:
    """The MD5 in hexadecimal, as S3 tools know it."""
    return base64.b64decode(blob.md5).hex()


def _chosen_parts(upload: UploadInParts, wanted: Sequence[tuple[int, str]]) -> list[UploadedPart]:
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        raise SpecificError(
            Reason.INVALID, "InvalidPartOrder", "The list of parts was not in ascending order: each number comes once"
        )
    parts: list[UploadedPart] = []
    for number, etag in wanted:
        part = upload.parts.get(number)
        if part is None or part.etag != etag.strip().strip('"').lower():
            raise SpecificError(
                Reason.INVALID, "InvalidPart", f"part {number} was not uploaded, or its ETag is not `{etag[:100]}`"
            )
        parts.append(part)
    if not parts:
        raise SpecificError(Reason.INVALID, "InvalidPart", "the list of parts is empty; name at least one")
    for part in parts[:-1]:
        if part.blob.size < LEAST_PART_BYTES:
            raise SpecificError(
                Reason.INVALID,
                "EntityTooSmall",
                f"part {part.number} has {part.blob.size} bytes; all but the last have at least {LEAST_PART_BYTES}",
            )
    return parts
