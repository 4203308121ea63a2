"""Owns resumable uploads: a session on the server, pieces in order, and what is done when a piece or an answer is lost.

What a session is can be written down (`UploadSession.to_json`), so that another run of the program goes on with it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final, Self

import httpx2

from afterimage_client.backoff import Backoff
from afterimage_client.errors import StorageError
from afterimage_client.storage.metadata import NewMetadata, ObjectMetadata
from afterimage_client.storage.refusals import wrong_checksum
from afterimage_client.storage.sources import UploadSource
from afterimage_client.storage.storage_http import StorageHttp, StorageRequest, json_of
from afterimage_client.storage.transfers import OnProgress, Transfer

GRANULARITY_BYTES: Final = 256 * 1024
_LARGEST_PIECE_BYTES: Final = 8 * 1024 * 1024
_GENERATION: Final = re.compile(r"\d{1,19}")


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadSession:
    """An upload that the server keeps open, for a week. Whoever has the URL can add bytes: keep it as a secret."""

    url: str = field(repr=False)
    bucket: str
    path: str
    total_bytes: int | None
    md5: str | None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        try:
            session = cls(**json.loads(text))
            for name in ("url", "bucket", "path"):
                if not isinstance(getattr(session, name), str):
                    raise TypeError(name)
            if type(session.total_bytes) not in (int, type(None)) or not isinstance(session.md5, str | None):
                raise TypeError("total_bytes, md5")
        except (ValueError, TypeError, RecursionError) as error:
            raise StorageError(
                "invalid-argument", "the text is no upload session", way_out="start the upload anew"
            ) from error
        return session


OnSession = Callable[[UploadSession], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadPlan:
    """What to upload, and on which condition."""

    bucket: str
    path: str
    metadata: NewMetadata
    if_absent: bool = False
    if_generation: str | None = None
    piece_bytes: int | None = None
    """None begins with 256 KiB and doubles: early progress on slow lines, few requests on fast ones."""

    def __post_init__(self) -> None:
        if self.piece_bytes is not None and (self.piece_bytes <= 0 or self.piece_bytes % GRANULARITY_BYTES):
            raise StorageError(
                "invalid-argument", f"`piece_bytes` is `{self.piece_bytes}`", way_out="use a multiple of 262144"
            )
        if self.if_absent and self.if_generation is not None:
            raise StorageError("invalid-argument", "`if_absent` and `if_generation` exclude each other")
        if self.if_generation is not None and not _GENERATION.fullmatch(self.if_generation):
            raise StorageError("invalid-argument", f"`{self.if_generation}` is no generation")

    def conditions(self) -> dict[str, str]:
        if self.if_absent:
            return {"ifGenerationMatch": "0"}
        return {} if self.if_generation is None else {"ifGenerationMatch": self.if_generation}


@dataclass(frozen=True, slots=True)
class ServerState:
    """What the server says of a session."""

    status: str
    received_bytes: int

    @classmethod
    def of(cls, answer: httpx2.Response) -> Self:
        received = answer.headers.get("x-goog-upload-size-received", "")
        return cls(answer.headers.get("x-goog-upload-status", "").lower(), int(received) if received.isdecimal() else 0)


class Upload(Transfer[ObjectMetadata]):
    """One upload. `session` is there from the server's first answer on."""

    def __init__(
        self,
        http: StorageHttp,
        plan: UploadPlan,
        source: UploadSource,
        *,
        session: UploadSession | None = None,
        on_progress: OnProgress | None = None,
        on_session: OnSession | None = None,
    ) -> None:
        super().__init__(total_bytes=source.size, on_progress=on_progress)
        self._http = http
        self._plan = plan
        self._source = source
        self._on_session = on_session
        self._waits = Backoff(http.backoff)
        self._failures = 0
        self._piece_bytes = plan.piece_bytes or GRANULARITY_BYTES
        self.session = session

    async def _run(self) -> ObjectMetadata:
        offset = 0
        if self.session is not None:
            await self._check_source(self.session)
            state = await self._ask(self.session)
            if state is None:
                self.session = None
            elif state.status == "final":
                return await self._look_at_result()
            else:
                offset = state.received_bytes
        while True:
            await self._checkpoint()
            if self.session is None:
                self.session = await self._begin()
                offset = 0
                if self._on_session is not None:
                    self._on_session(self.session)
            self._tell(transferred_bytes=offset, total_bytes=self._source.size)
            done = await self._send_piece(self.session, offset)
            if isinstance(done, ObjectMetadata):
                self._tell(transferred_bytes=done.size, total_bytes=done.size)
                return done
            offset = done

    async def _send_piece(self, session: UploadSession, offset: int) -> ObjectMetadata | int:
        """The next piece. Returns the object once it is whole, else the offset to go on from."""
        piece = await self._source.read_at(offset, self._piece_bytes)
        end = offset + len(piece)
        is_last = self._source.size is not None and end >= self._source.size
        if not is_last and len(piece) < self._piece_bytes:
            raise StorageError(
                "server-file-wrong-size", f"the source of `{self._plan.path}` became shorter while it was uploaded"
            )
        request = StorageRequest(
            method="POST",
            url=session.url,
            path=self._plan.path,
            headers={
                "x-goog-upload-command": "upload, finalize" if is_last else "upload",
                "x-goog-upload-offset": str(offset),
            },
            content=piece,
        )
        try:
            answer = await self._http.send_once(request)
        except StorageError as error:
            return await self._recover(session, error)
        self._failures = 0
        self._waits.reset()
        if is_last:
            return await self._check_result(_object_in(answer))
        if self._plan.piece_bytes is None:
            self._piece_bytes = min(2 * self._piece_bytes, _LARGEST_PIECE_BYTES)
        return end

    async def _recover(self, session: UploadSession, error: StorageError) -> ObjectMetadata | int:
        """After a lost piece, or a lost answer: asks the server what it has."""
        if error.code == "object-not-found" and self._source.can_rewind and self._may_fail_again():
            self.session = None  # it has forgotten the session: begin another
            return 0
        if not error.is_transient or not self._may_fail_again():
            raise self._explained(error)
        await asyncio.sleep(self._waits.next_wait_seconds())
        state = await self._ask(session)
        if state is None:
            if not self._source.can_rewind:
                raise error
            self.session = None
            return 0
        return await self._look_at_result() if state.status == "final" else state.received_bytes

    def _may_fail_again(self) -> bool:
        self._failures += 1
        return self._failures < self._http.backoff.attempts

    def _explained(self, error: StorageError) -> StorageError:
        if error.code == "precondition-failed" and self._plan.if_absent:
            return StorageError(
                "already-exists", f"`{self._plan.path}` exists", way_out="upload without `if_absent` to replace it"
            )
        return error

    async def _begin(self) -> UploadSession:
        md5 = await self._source.md5()
        body = {**self._plan.metadata.to_json(), "name": self._plan.path}
        if md5 is not None:
            body["md5Hash"] = md5  # the server refuses other bytes before anybody sees them
        headers = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        if self._source.size is not None:
            headers["x-goog-upload-header-content-length"] = str(self._source.size)
        if self._plan.metadata.content_type:
            headers["x-goog-upload-header-content-type"] = self._plan.metadata.content_type
        request = StorageRequest(
            method="POST",
            url=self._http.bucket_url(self._plan.bucket),
            path=self._plan.path,
            params={"name": self._plan.path, **self._plan.conditions()},
            headers=headers,
            json=body,
        )
        try:
            answer = await self._http.send(request)
        except StorageError as error:
            raise self._explained(error) from error
        url = answer.headers.get("x-goog-upload-url")
        if not url:
            raise StorageError("unknown", f"storage opened no upload session for `{self._plan.path}`")
        return UploadSession(
            url=url, bucket=self._plan.bucket, path=self._plan.path, total_bytes=self._source.size, md5=md5
        )

    async def _check_source(self, session: UploadSession) -> None:
        """A session is about certain bytes: others must not be appended to half of them."""
        if not self._source.can_rewind:
            raise StorageError(
                "invalid-argument", "a stream cannot go on where another run stopped", way_out="upload from a file"
            )
        if session.md5 is not None and session.md5 != await self._source.md5():
            raise StorageError(
                "invalid-checksum",
                f"the source of `{session.path}` is not what the session began with",
                way_out="start the upload anew",
            )

    async def _ask(self, session: UploadSession) -> ServerState | None:
        """None where the session is no more."""
        request = StorageRequest(
            method="POST", url=session.url, path=session.path, headers={"x-goog-upload-command": "query"}
        )
        answer = await self._http.send(request, also_ok=(400, 404, 410))
        if answer.status_code >= 400:
            return None
        state = ServerState.of(answer)
        return None if state.status in ("cancelled", "") else state

    async def _look_at_result(self) -> ObjectMetadata:
        """The upload is whole, but the answer that described the object was lost."""
        url = self._http.object_url(self._plan.bucket, self._plan.path)
        answer = await self._http.send(StorageRequest(method="GET", url=url, path=self._plan.path))
        return await self._check_result(ObjectMetadata.from_json(json_of(answer)))

    async def _check_result(self, metadata: ObjectMetadata) -> ObjectMetadata:
        expected = (self.session.md5 if self.session else None) or await self._source.md5()
        if expected is not None and metadata.md5 is not None and metadata.md5 != expected:
            raise wrong_checksum(self._plan.path, expected, metadata.md5)
        return metadata

    async def _discard(self) -> None:
        if self.session is None:
            return
        request = StorageRequest(
            method="POST",
            url=self.session.url,
            path=self._plan.path,
            headers={"x-goog-upload-command": "cancel"},
        )
        await self._http.send(request, also_ok=(400, 404, 410))


def _object_in(answer: httpx2.Response) -> ObjectMetadata:
    return ObjectMetadata.from_json(json_of(answer))
