"""Answers as pages and SDKs read them: errors in Google's one shape, readable whatever happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from afterimage_emulator.front.error_body import error_body, error_body_with, error_response
from afterimage_emulator.front.pages import answer_pages
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import Headers, HttpHandler, HttpRequest, HttpResponse, text_response

ORIGIN = "http://localhost:3000"


class NoBody:
    """A request body without a byte."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks: tuple[bytes, ...] = ()
        for chunk in chunks:
            yield chunk

    async def read(self, limit_bytes: int = 0) -> bytes:
        return b""


async def _fine(request: HttpRequest) -> HttpResponse:
    return text_response("fine")


async def _refuses(request: HttpRequest) -> HttpResponse:
    raise StatusError(Code.PERMISSION_DENIED, "not you")


async def _breaks(request: HttpRequest) -> HttpResponse:
    raise KeyError("a fault of the suite")


@pytest.mark.parametrize(
    ("method", "handler", "status"),
    [("GET", _fine, 200), ("GET", _refuses, 403), ("GET", _breaks, 500), ("OPTIONS", _breaks, 204)],
)
def test_a_page_may_read_every_answer(method: str, handler: HttpHandler, status: int) -> None:
    """Without these headers a browser shows a refusal or a fault as a network error, which tells nothing."""
    request = HttpRequest(method, "/", "", Headers([("origin", ORIGIN)]), NoBody())
    answer = asyncio.run(answer_pages(request, handler))
    headers = Headers(answer.headers)
    assert answer.status == status
    assert headers.get("access-control-allow-origin") == ORIGIN
    assert headers.get("access-control-allow-credentials") == "true"


def test_errors_say_code_message_and_status() -> None:
    """The members that every client library of Google's reads; others come only where a service fills them."""
    error = StatusError(Code.NOT_FOUND, "no `x`")
    assert error_body(error) == {"error": {"code": 404, "message": "no `x`", "status": "NOT_FOUND"}}
    entry = {"message": "no `x`", "reason": "notFound", "domain": "global"}
    assert error_body_with(error, 404, entries=[entry]) == {
        "error": {"code": 404, "message": "no `x`", "errors": [entry]}
    }


def test_a_message_may_quote_whatever_a_client_sent() -> None:
    """Half of a surrogate pair has no UTF-8: it comes back as JSON spells it, and the answer stays an answer."""
    answer = error_response(StatusError(Code.INVALID_ARGUMENT, "what is `\ud83d` and é?"))
    assert isinstance(answer.body, bytes)
    assert b"\\ud83d` and \xc3\xa9" in answer.body
    assert json.loads(answer.body)["error"]["message"] == "what is `\ud83d` and é?"
