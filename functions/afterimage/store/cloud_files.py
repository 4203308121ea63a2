"""Files in Cloud Storage, through the official client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from google.api_core import exceptions

from afterimage.store.documents import ConflictError, Expect
from afterimage.store.files import FileAbout, FilePage, GoneError, StoredFile

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

_TIMEOUT_SECONDS: Final = 60


class CloudFiles:
    """Files of any bucket that the client's account may use."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, bucket: str, name: str) -> StoredFile | None:
        blob = self._client.bucket(bucket).get_blob(name, timeout=_TIMEOUT_SECONDS)
        return None if blob is None else _stored(blob)

    def read(self, file: StoredFile, start: int = 0, end: int | None = None) -> bytes:
        try:
            content: bytes = self._blob(file.bucket, file.name).download_as_bytes(
                client=self._client,
                start=start or None,
                end=None if end is None else end - 1,
                raw_download=True,
                if_generation_match=file.generation,
                timeout=_TIMEOUT_SECONDS,
            )
        except (exceptions.NotFound, exceptions.PreconditionFailed) as error:
            raise GoneError(str(error)) from error
        return content

    def write(self, bucket: str, name: str, data: bytes, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        blob = self._described(bucket, name, about)
        try:
            blob.upload_from_string(
                data, about.content_type, if_generation_match=_generation_of(expected), timeout=_TIMEOUT_SECONDS
            )
        except exceptions.PreconditionFailed as error:
            raise ConflictError(str(error)) from error
        return _stored(blob)

    def copy(self, file: StoredFile, name: str, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        source, target = self._blob(file.bucket, file.name), self._described(file.bucket, name, about)
        target.content_type = about.content_type
        token: str | None = None
        try:
            while True:
                token, _, _ = target.rewrite(
                    source,
                    token=token,
                    if_generation_match=_generation_of(expected),
                    if_source_generation_match=file.generation,
                    timeout=_TIMEOUT_SECONDS,
                )
                if token is None:
                    return _stored(target)
        except exceptions.NotFound as error:
            raise GoneError(str(error)) from error
        except exceptions.PreconditionFailed as error:
            # One answer for both conditions: only a look at the source tells which one failed.
            live = self.find(file.bucket, file.name)
            if live is None or live.generation != file.generation:
                raise GoneError(str(error)) from error
            raise ConflictError(str(error)) from error

    def stamp(self, file: StoredFile, metadata: Mapping[str, str]) -> None:
        blob = self._blob(file.bucket, file.name)
        blob.metadata = {**file.metadata, **metadata}
        try:
            blob.patch(
                if_generation_match=file.generation,
                if_metageneration_match=file.metageneration,
                timeout=_TIMEOUT_SECONDS,
            )
        except exceptions.NotFound as error:
            raise GoneError(str(error)) from error
        except exceptions.PreconditionFailed as error:
            raise ConflictError(str(error)) from error

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> FilePage:
        found = self._client.list_blobs(
            bucket,
            prefix=prefix,
            page_token=token or None,
            page_size=limit,
            max_results=limit,
            timeout=_TIMEOUT_SECONDS,
        )
        files = tuple(_stored(blob) for blob in next(found.pages, ()))
        return FilePage(files=files, next_token=found.next_page_token or "")

    def walk(self, bucket: str, prefix: str, after: str = "") -> Iterator[StoredFile]:
        found = self._client.list_blobs(bucket, prefix=prefix, start_offset=after or None, timeout=_TIMEOUT_SECONDS)
        for blob in found:
            if blob.name != after:
                yield _stored(blob)

    def delete(self, bucket: str, name: str, *, generation: int | None = None) -> None:
        try:
            self._blob(bucket, name).delete(if_generation_match=generation, timeout=_TIMEOUT_SECONDS)
        except exceptions.NotFound:
            return
        except exceptions.PreconditionFailed:
            # Another generation lives there, which is not the one that was meant.
            return

    def _blob(self, bucket: str, name: str) -> Blob:
        return self._client.bucket(bucket).blob(name)

    def _described(self, bucket: str, name: str, about: FileAbout) -> Blob:
        blob = self._blob(bucket, name)
        blob.cache_control = about.cache_control or None
        if about.content_encoding:
            blob.content_encoding = about.content_encoding
        if about.metadata:
            blob.metadata = dict(about.metadata)
        return blob


def _generation_of(expected: Expect | int) -> int | None:
    match expected:
        case Expect.ANYTHING:
            return None
        case Expect.ABSENT:
            return 0
        case int():
            return expected
        case _:
            raise ValueError("a file can be expected absent, or in one generation, or in any state")


def _stored(blob: Blob) -> StoredFile:
    return StoredFile(
        bucket=blob.bucket.name,
        name=blob.name,
        generation=int(blob.generation),
        metageneration=int(blob.metageneration),
        size=int(blob.size or 0),
        content_type=blob.content_type or "",
        content_encoding=blob.content_encoding or "",
        md5=blob.md5_hash or "",
        created=blob.time_created,
        metadata=dict(blob.metadata or {}),
    )
