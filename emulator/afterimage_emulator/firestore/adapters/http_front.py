"""The HTTP side of the port: control routes and REST behind one door, which answers preflights and words errors."""

from __future__ import annotations

import logging

from afterimage_emulator.firestore.adapters.rest import PREFIX, error_body
from afterimage_emulator.front.cors import preflight, readable
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response, text_response

_log = logging.getLogger("afterimage_emulator.firestore")


class HttpFront:
    """`control` takes what is not under /v1."""

    def __init__(self, *, rest: HttpHandler, control: HttpHandler) -> None:
        self._rest = rest
        self._control = control

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method == "OPTIONS":
            return preflight(request)
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
        return readable(request, response)

    def is_admin_route(self, request: HttpRequest) -> bool:
        """Control routes ask nobody who they are."""
        return request.raw_path != "/" and not request.raw_path.startswith(PREFIX)
