"""Answers that scripts of web pages read: preflights, errors in their words, and leave to read either."""

from __future__ import annotations

import logging
from collections.abc import Callable

from afterimage_emulator.front.cors import preflight, readable
from afterimage_emulator.front.error_body import error_response
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse

_log = logging.getLogger("afterimage_emulator")


async def answer_pages(
    request: HttpRequest, handler: HttpHandler, *, worded: Callable[[StatusError], HttpResponse] = error_response
) -> HttpResponse:
    """What `handler` answers; `worded` is the service's own form of an error."""
    if request.method == "OPTIONS":
        return preflight(request)
    try:
        response = await handler(request)
    except StatusError as error:
        response = worded(error)
    except Exception:  # a page that may not read the answer would see a network error, whatever failed here
        _log.exception("`%s %s` failed", request.method, request.raw_path)
        response = worded(StatusError(Code.INTERNAL, "internal error: the suite's log has the traceback"))
    return readable(request, response)
