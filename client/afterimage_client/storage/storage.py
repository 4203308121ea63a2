"""Owns objects as a program names them, and what it asks of them."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import quote

from afterimage_client.errors import StorageError
from afterimage_client.storage.downloads import Download, Reading, read_bytes
from afterimage_client.storage.metadata import Listing, NewMetadata, ObjectMetadata
from afterimage_client.storage.sources import FileSource, source_of
from afterimage_client.storage.storage_http import StorageHttp, StorageRequest, json_of
from afterimage_client.storage.transfers import OnProgress
from afterimage_client.storage.uploads import OnSession, Upload, UploadPlan, UploadSession

Uploaded = bytes | bytearray | memoryview | str | os.PathLike[str] | AsyncIterable[bytes]
_LONGEST_PATH_BYTES = 1024
_BUCKET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,221}")


class Storage:
    """A project's files, as the user who is signed in."""

    def __init__(self, http: StorageHttp, default_bucket: str) -> None:
        self._http = http
        self._default_bucket = default_bucket

    def object(self, path: str, *, bucket: str | None = None) -> StoredObject:
        """`object("users/ann/portrait.png")`, in the app's bucket where no other is named."""
        return StoredObject(self._http, self._bucket(bucket), path)

    def resume_upload(
        self,
        session: UploadSession,
        source: Uploaded,
        *,
        on_progress: OnProgress | None = None,
        piece_bytes: int | None = None,
    ) -> Upload:
        """Goes on with an upload of an earlier run. The source must give the same bytes."""
        plan = UploadPlan(bucket=session.bucket, path=session.path, metadata=NewMetadata(), piece_bytes=piece_bytes)
        return Upload(self._http, plan, source_of(source), session=session, on_progress=on_progress)

    async def list_page(
        self, folder: str = "", *, bucket: str | None = None, page_size: int = 1000, page_token: str | None = None
    ) -> Listing:
        """One page of what lies in a folder."""
        prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
        params = {"prefix": prefix, "delimiter": "/", "maxResults": str(page_size)}
        if page_token:
            params["pageToken"] = page_token
        url = self._http.bucket_url(self._bucket(bucket))
        answer = await self._http.send(StorageRequest(method="GET", url=url, path=prefix or "/", params=params))
        return Listing.from_json(json_of(answer))

    async def list(self, folder: str = "", *, bucket: str | None = None) -> AsyncIterator[str]:
        """The paths of all objects in a folder, not of those in folders below it."""
        token: str | None = None
        while True:
            page = await self.list_page(folder, bucket=bucket, page_token=token)
            for path in page.items:
                yield path
            if page.next_page_token is None:
                return
            if page.next_page_token == token:
                raise StorageError("unknown", f"storage gave a page of `{folder}` that leads to itself")
            token = page.next_page_token

    def _bucket(self, bucket: str | None) -> str:
        chosen = bucket or self._default_bucket
        if not isinstance(chosen, str) or not _BUCKET.fullmatch(chosen):
            raise StorageError(
                "invalid-argument",
                f"the bucket is `{chosen}`",
                way_out="give the options a `storage_bucket`, without `gs://`",
            )
        return chosen


class StoredObject:
    """The name of an object, there or not."""

    def __init__(self, http: StorageHttp, bucket: str, path: str) -> None:
        is_text = isinstance(path, str) and path not in ("", ".", "..") and not path.startswith("/")
        if not is_text or not 0 < len(path.encode(errors="surrogatepass")) <= _LONGEST_PATH_BYTES:
            raise StorageError(
                "invalid-argument",
                f"`{str(path)[:60]}` is no object's path",
                way_out="use 1 to 1024 bytes, without a first `/`",
            )
        self._http = http
        self.bucket = bucket
        self.path = path

    # -- bytes

    def upload(
        self,
        source: Uploaded,
        *,
        content_type: str | None = None,
        cache_control: str | None = None,
        custom: Mapping[str, str] | None = None,
        if_absent: bool = False,
        if_generation: str | None = None,
        piece_bytes: int | None = None,
        on_progress: OnProgress | None = None,
        on_session: OnSession | None = None,
    ) -> Upload:
        """`await photo.upload(path)`: bytes, the path of a file, or an asynchronous iterable of bytes.

        With `if_absent` an object that exists is not replaced (`already-exists`). `on_session` is told of the session
        when it begins: store it, and `Storage.resume_upload` goes on with it in another run.
        """
        found = source_of(source)
        if content_type is None:
            named = os.fspath(source) if isinstance(source, str | os.PathLike) and isinstance(found, FileSource) else ""
            content_type = mimetypes.guess_type(self.path)[0] or mimetypes.guess_type(named)[0]
        plan = UploadPlan(
            bucket=self.bucket,
            path=self.path,
            metadata=NewMetadata(content_type=content_type, cache_control=cache_control, custom=custom or {}),
            if_absent=if_absent,
            if_generation=if_generation,
            piece_bytes=piece_bytes,
        )
        return Upload(self._http, plan, found, on_progress=on_progress, on_session=on_session)

    def download(self, target: str | os.PathLike[str], *, on_progress: OnProgress | None = None) -> Download:
        """`await photo.download(path)`: the file appears when it is whole and its checksum fits.

        After a break, also in another run, the download goes on where it stopped. One program downloads to one
        target at a time.
        """
        return Download(self._http, self.bucket, self.path, Path(target), on_progress=on_progress)

    async def read(self, *, most_bytes: int | None = 100 * 1024 * 1024) -> bytes:
        """Reads the whole file into memory."""
        return await read_bytes(self._http, self.bucket, self.path, most_bytes=most_bytes)

    async def stream(self) -> AsyncIterator[bytes]:
        """Pieces as they come. Nothing is verified: a break raises."""
        reading = Reading(self._http, self.bucket, self.path)
        async for piece in reading.pieces(await reading.metadata(), 0):
            yield piece

    # -- about it

    async def metadata(self) -> ObjectMetadata:
        return await Reading(self._http, self.bucket, self.path).metadata()

    async def update_metadata(self, new: NewMetadata) -> ObjectMetadata:
        request = StorageRequest(method="PATCH", url=self._url(), path=self.path, json=new.to_json())
        return ObjectMetadata.from_json(json_of(await self._http.send(request)))

    async def download_url(self) -> str:
        """A link that gives the bytes to everyone who has it, until its token is revoked."""
        metadata = await self.metadata()
        if not metadata.download_tokens:
            raise StorageError(
                "no-download-url", f"`{self.path}` has no download token", way_out="make one in the Firebase console"
            )
        return f"{self._url()}?alt=media&token={quote(metadata.download_tokens[0], safe='')}"

    async def delete(self) -> None:
        await self._http.send(StorageRequest(method="DELETE", url=self._url(), path=self.path))

    def _url(self) -> str:
        return self._http.object_url(self.bucket, self.path)

    def __repr__(self) -> str:
        return f"StoredObject({self.bucket!r}, {self.path!r})"
