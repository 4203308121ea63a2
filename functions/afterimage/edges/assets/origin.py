"""What the origin answers: a published file for everybody to keep, a signed one for nobody to keep, and nothing else.

A file is served in public only while its publication is there, which is read at each request: no memory of this process
and no word of the client's can make anything public. Everything that is no file is answered with `no-store`, so that no
cache remembers an absence that ends, or an error that passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.edges.assets.addresses import AppAddress, PublicAddress, SignedAddress, address_of
from afterimage.edges.assets.conditions import (
    ByteRange,
    UnsatisfiableError,
    is_known,
    is_same,
    preferred_formats,
    range_asked,
)
from afterimage.edges.assets.jpeg import MOST_PIXELS, jpeg_of
from afterimage.edges.assets.signing import AssetSigner
from afterimage.edges.assets.warm_bytes import WarmBytes
from afterimage.edges.cdn.port import CdnAsset, CdnProvider, kept_in_public
from afterimage.paths import app_file_path, place_of, publication_path, record_path
from afterimage.publications.publication import (
    SAVED_BY_BROWSERS,
    SHOWN_BY_BROWSERS,
    Mark,
    PublicFile,
    may_be_public,
    public_files,
)
from afterimage.publications.purge_notes import EVERYTHING, cache_tag
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore, GoneError, StoredFile

PIECE_BYTES: Final = 4 * 1024 * 1024
LARGEST_WITH_LENGTH_BYTES: Final = 30 * 1024 * 1024
"""Cloud Run ends answers of more than 32 MiB that say their length; longer ones are streamed without."""
FOR_NOBODY: Final = "private, no-store"
APP_TAG: Final = "a-app"
APP_KEPT_FOR: Final = timedelta(days=365)
"""The app's own files have their content's digest in their address, and hold nobody's secrets."""
APP_TYPES: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
    "wasm": "application/wasm",
    "woff2": "font/woff2",
    **{ending: content_type for content_type, ending in SHOWN_BY_BROWSERS.items()},
}
_SHOWN_ALONE: Final = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
_IN_A_SANDBOX: Final = "default-src 'none'; sandbox"


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetRequest:
    """What is asked; names of headers in lower case."""

    method: str
    path: str
    target: str = ""
    """Path and query as they were sent, which is what caches tell addresses apart by; empty where that is not known."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AssetResponse:
    """What is answered; the body comes in pieces."""

    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes] = field(default_factory=lambda: iter(()))


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Serves assets from the stores."""

    documents: DocumentStore
    files: FileStore
    derived_bucket: str
    network: CdnProvider | None = None
    signer: AssetSigner | None = None
    keep_for: Mapping[str, timedelta] = field(default_factory=dict)
    """By family, `*` for all others; a day where nothing is said."""
    warm: WarmBytes = field(default_factory=WarmBytes)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def answer(self, request: AssetRequest) -> AssetResponse:
        """The answer; ApiError for everything that is no file."""
        if request.method not in {"GET", "HEAD"}:
            allowed = {"Allow": "GET, HEAD", "Cache-Control": FOR_NOBODY}
            raise ApiError(
                ErrorCode.METHOD_NOT_ALLOWED, f"`{request.method[:32]}` is not served here", "use GET or HEAD",
                headers=allowed,
            )  # fmt: skip
        match address_of(request.path):
            case SignedAddress() as address:
                return self._signed(request, address)
            case PublicAddress() | AppAddress() as address:
                sent_path, mark, _ = request.target.partition("?")
                if request.target and sent_path != request.path:
                    # Percents, slashes more, a fragment: each spelling would be another entry, as each query would.
                    raise _nothing_there()
                if request.query or mark:
                    # Each query, and `?&&` too, would be another entry of every cache and another request to this.
                    return _redirected(request.path)
                if isinstance(address, AppAddress):
                    return self._app(request, address)
                return self._public(request, address)
        raise _nothing_there()

    def _public(self, request: AssetRequest, address: PublicAddress) -> AssetResponse:
        publication = self.documents.read(publication_path(address.public))
        if publication is None:
            raise _nothing_there()
        files: Mapping[str, Any] = publication.fields["files"]
        tail = address.tail
        if address.is_negotiated:
            tail = self._taken_best(files, address.tail, request.headers.get("accept", ""))
            if self.network is not None and not self.network.varies:
                # This network would give one client's format to all others.
                return _redirected(tail)
        keep_for = self.keep_for.get(publication.fields["family"], self.keep_for.get("*", timedelta(days=1)))
        kept = self._kept(request.path, keep_for, [cache_tag(address.public), cache_tag(EVERYTHING)])
        varied = {"Vary": "Accept"} if address.is_negotiated else {}
        if tail in files:
            return self._file(request, PublicFile.from_fields(files[tail]), {**kept, **varied})
        return self._jpeg(request, files, tail, {**kept, **varied})

    def _taken_best(self, files: Mapping[str, Any], stem: str, accept: str) -> str:
        there = [ending for ending in ("avif", "webp") if f"{stem}.{ending}" in files]
        if not there:
            raise _nothing_there()
        for ending in preferred_formats(accept):
            if ending in there or (ending == "jpg" and _can_be_jpeg(files, stem)):
                return f"{stem}.{ending}"
        return f"{stem}.{there[-1]}"

    def _jpeg(
        self, request: AssetRequest, files: Mapping[str, Any], tail: str, headers: Mapping[str, str]
    ) -> AssetResponse:
        stem, _, ending = tail.rpartition(".")
        if ending != "jpg" or not _can_be_jpeg(files, stem):
            raise _nothing_there()
        source = PublicFile.from_fields(files[f"{stem}.webp"])
        key = f"jpeg {source.bucket}/{source.path}"
        data = self.warm.get(key)
        if data is None:
            pieces = _begun(self._pieces(source, ByteRange(start=0, end=source.size)))
            data = jpeg_of(b"".join(pieces))
            self.warm.put(key, data)
        made = PublicFile(
            bucket=source.bucket, path=source.path, content_type="image/jpeg", size=len(data),
            etag=f"{source.etag}-jpg", generation=None,
        )  # fmt: skip
        return self._file(request, made, headers, data=data)

    def _signed(self, request: AssetRequest, address: SignedAddress) -> AssetResponse:
        expires, signature = request.query.get("expires", ""), request.query.get("signature", "")
        if self.signer is None or not self.signer.is_valid(request.path, expires, signature, now=self.now()):
            raise ApiError(
                ErrorCode.FORBIDDEN, "the address is not signed, or has expired", "ask for a new one",
                headers={"Cache-Control": FOR_NOBODY},
            )  # fmt: skip
        place = place_of(address.name)
        path = None if place is None else record_path(place, address.bucket, address.name)
        record = None if path is None else self.documents.read(path)
        mark = Mark(generation=address.generation, with_original=True)
        if record is None or not may_be_public(record.fields, record.fields["owner"], mark):
            raise _nothing_there()
        file = public_files(record.fields, mark).get(address.tail)
        if file is None:
            raise _nothing_there()
        return self._file(request, file, {"Cache-Control": FOR_NOBODY})

    def _app(self, request: AssetRequest, address: AppAddress) -> AssetResponse:
        content_type = APP_TYPES.get(address.name.rpartition(".")[2])
        path = app_file_path(address.digest, address.name)
        found = None if content_type is None else self.files.find(self.derived_bucket, path)
        if found is None or content_type is None:
            raise _nothing_there()
        file = PublicFile(
            bucket=found.bucket, path=path, content_type=content_type, size=found.size, etag=address.digest,
            generation=found.generation,
        )  # fmt: skip
        kept = self._kept(request.path, APP_KEPT_FOR, [APP_TAG, cache_tag(EVERYTHING)])
        return self._file(request, file, kept, is_our_own=True)

    def _kept(self, path: str, keep_for: timedelta, tags: list[str]) -> Mapping[str, str]:
        if self.network is None:
            return {"Cache-Control": kept_in_public(keep_for)}
        return self.network.publish(CdnAsset(path=path, tags=tags, keep_for=keep_for)).headers

    def _file(
        self,
        request: AssetRequest,
        file: PublicFile,
        headers: Mapping[str, str],
        *,
        data: bytes | None = None,
        is_our_own: bool = False,
    ) -> AssetResponse:
        about = {**headers, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", **_about(file, is_our_own=is_our_own)}
        if is_known(request.headers.get("if-none-match", ""), file.etag):
            return AssetResponse(status=304, headers=about)
        try:
            part = range_asked(request.headers.get("range", ""), file.size)
        except UnsatisfiableError:
            told = {"Content-Range": f"bytes */{file.size}", "Cache-Control": FOR_NOBODY}
            return AssetResponse(status=416, headers=told)
        if part is not None and not is_same(request.headers.get("if-range", ""), file.etag):
            part = None
        sent = part or ByteRange(start=0, end=file.size)
        if part is not None:
            about["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{file.size}"
        length = sent.end - sent.start
        if length <= LARGEST_WITH_LENGTH_BYTES or request.method == "HEAD":
            about["Content-Length"] = str(length)
        status = 200 if part is None else 206
        if request.method == "HEAD":
            return AssetResponse(status=status, headers=about)
        body = iter([data[sent.start : sent.end]]) if data is not None else self._pieces(file, sent)
        return AssetResponse(status=status, headers=about, body=_begun(body))

    def _pieces(self, file: PublicFile, part: ByteRange) -> Iterator[bytes]:
        """The bytes as they were published: of that generation, or none."""
        key = f"{file.bucket}/{file.path}#{file.etag}"
        held = self.warm.get(key)
        if held is not None:
            yield held[part.start : part.end]
            return
        stored = self._stored(file)
        if part == ByteRange(start=0, end=file.size) and file.size <= self.warm.largest_bytes:
            data = self.files.read(stored)
            if len(data) != file.size:
                raise GoneError(f"`{file.path}` has {len(data)} bytes, not the {file.size} that were published")
            self.warm.put(key, data)
            yield data
            return
        for start in range(part.start, part.end, PIECE_BYTES):
            yield self.files.read(stored, start, min(part.end, start + PIECE_BYTES))

    def _stored(self, file: PublicFile) -> StoredFile:
        if file.generation is None:
            found = self.files.find(file.bucket, file.path)
            if found is None:
                raise GoneError(f"`{file.path}` is gone")
            return found
        return StoredFile(
            bucket=file.bucket, name=file.path, generation=file.generation, size=file.size, created=self.now()
        )


def _about(file: PublicFile, *, is_our_own: bool) -> dict[str, str]:
    """What a browser is told to make of it: pictures, films and sounds are shown, anything else is saved."""
    about = {
        "Content-Type": file.content_type,
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Access-Control-Allow-Origin": "*",
    }
    if is_our_own:
        return about
    if file.content_type in SHOWN_BY_BROWSERS:
        return {**about, "Content-Security-Policy": _SHOWN_ALONE}
    ending = SAVED_BY_BROWSERS.get(file.content_type, "bin")
    return {
        **about,
        # What could be a program is told as no type at all, so that no page can use it as one either.
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="file.{ending}"',
        "Content-Security-Policy": _IN_A_SANDBOX,
    }


def _can_be_jpeg(files: Mapping[str, Any], stem: str) -> bool:
    file = files.get(f"{stem}.webp")
    return file is not None and 0 < file.get("pixels", 0) <= MOST_PIXELS


def _begun(body: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, the first of them read: what cannot be read is found out before anything is answered."""
    try:
        first = next(body, b"")
    except GoneError as error:
        raise _nothing_there() from error

    def whole() -> Iterator[bytes]:
        yield first
        yield from body

    return whole()


def _redirected(path: str) -> AssetResponse:
    """To a file beside this one: whatever stands before our paths, and on whatever host, is left as it is."""
    location = path.rpartition("/")[2]
    return AssetResponse(status=302, headers={"Location": location, "Cache-Control": FOR_NOBODY, "Vary": "Accept"})


def _nothing_there() -> ApiError:
    """One answer for what is private, what is gone and what never was: nobody learns which."""
    kept_by_nobody = {"Cache-Control": FOR_NOBODY}
    return ApiError(ErrorCode.NOT_FOUND, "there is nothing public at this address", headers=kept_by_nobody)
