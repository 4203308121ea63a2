"""`/batch/storage/v1`: several JSON calls in one request, each answered as if it had come alone."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.gcs.batch_parts import BatchedCall, read_batch, write_batch
from afterimage_emulator.storage.gcs.errors import json_error
from afterimage_emulator.wire.http_messages import Headers, HttpHandler, HttpRequest, HttpResponse

_LIMIT_BYTES: Final = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HeldBody:
    """A request's body that is all there already."""

    content: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self.content:
            yield self.content

    async def read(self, limit_bytes: int = _LIMIT_BYTES) -> bytes:
        if len(self.content) > limit_bytes:
            raise StatusError(Code.RESOURCE_EXHAUSTED, f"the request body is larger than {limit_bytes} bytes")
        return self.content


class Batches:
    """`answer` is the JSON API itself. The calls of a batch are made one after the other."""

    def __init__(self, answer: HttpHandler) -> None:
        self._answer = answer

    async def run(self, request: HttpRequest) -> HttpResponse:
        try:
            body = await request.body.read(_LIMIT_BYTES)
        except StatusError as error:
            if error.code is Code.RESOURCE_EXHAUSTED:
                raise StorageError(Reason.TOO_LARGE, f"a batch has at most {_LIMIT_BYTES} bytes") from error
            raise
        calls = read_batch(request.headers.get("content-type"), body)
        answers = [(call, await self._one(request, call)) for call in calls]
        boundary = f"batch_{secrets.token_urlsafe(18)}"
        content_type = f'multipart/mixed; boundary="{boundary}"'
        return HttpResponse(200, [("content-type", content_type)], write_batch(answers, boundary))

    async def _one(self, outer: HttpRequest, call: BatchedCall) -> HttpResponse:
        inner = HttpRequest(call.method, call.path, call.query, _headers(outer, call), HeldBody(call.body))
        if not call.path.startswith(("/storage/v1/", "/b/")) or inner.query_value("alt") == "media":
            return json_error(
                invalid(f"`{call.method} {call.path[:200]}` cannot be part of a batch: uploads and downloads go alone")
            )
        return await self._answer(inner)


def _headers(outer: HttpRequest, call: BatchedCall) -> Headers:
    """Links in the answers lead to where the client reached the suite, whatever address the part names."""
    host = outer.headers.get("host")
    of_call = [(name, value) for name, value in call.headers if name != "host"]
    return Headers([*of_call, *([("host", host)] if host is not None else [])])
