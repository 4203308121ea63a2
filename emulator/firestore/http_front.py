"""The HTTP side of the port: control routes and REST behind one door, which answers preflights and words errors."""

from __future__ import annotations

import logging
from typing import Final

from emulator.firestore.rest_api import PREFIX, error_body
from emulator.status import HTTP_STATUS, Code, StatusError
from emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response, text_response

_METHODS: Final = "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"
_log = logging.getLogger("emulator.firestore")


class HttpFront:
    """`control` takes what is not under /v1."""

    def __init__(self, *, rest: HttpHandler, control: HttpHandler) -> None:
        self._rest = rest
        self._control = control

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = request.headers.get("origin")
        if request.method == "OPTIONS":
            return _preflight(request, origin)
        try:
            if request.raw_path == "/" and request.method in ("GET", "HEAD"):
                response = text_response("Ok\n")
            elif request.raw_path.startswith(PREFIX):
                response = await self._rest(request)
            else:
                response = await self._control(request)
        except StatusError as error:
            response = json_response(error_body(error), HTTP_STATUS[error.code])
        except Exception:
            _log.exception("`%s %s` failed", request.method, request.raw_path)
            internal = StatusError(Code.INTERNAL, "internal error: the suite's log has the traceback")
            response = json_response(error_body(internal), 500)
        return _allow(response, origin)


def _preflight(request: HttpRequest, origin: str | None) -> HttpResponse:
    asked = request.headers.get("access-control-request-headers") or "authorization, content-type"
    response = HttpResponse(200)
    response.headers += [
        ("access-control-allow-methods", _METHODS),
        ("access-control-allow-headers", asked),
        ("access-control-max-age", "3600"),
    ]
    return _allow(response, origin)


def _allow(response: HttpResponse, origin: str | None) -> HttpResponse:
    if origin is not None:
        response.headers += [
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("vary", "origin"),
        ]
    return response
