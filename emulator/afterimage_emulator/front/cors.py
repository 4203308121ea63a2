"""What scripts of web pages may read of an answer. The guard has let the page pass already; see `origin_guard`."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_MAX_AGE_SECONDS: Final = 3600
VARY: Final = ("vary", "Origin")


def readable(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Lets the page that asked read the answer, and no other one; requests that no page sent are answered bare."""
    origin = request.headers.get("origin")
    if origin is not None:
        response.headers += (
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            VARY,
        )
    return response


def preflight(request: HttpRequest) -> HttpResponse:
    """Allows what is asked for."""
    response = HttpResponse(
        204, [("access-control-allow-methods", _METHODS), ("access-control-max-age", str(_MAX_AGE_SECONDS))]
    )
    asked = request.headers.get("access-control-request-headers")
    if asked is not None:
        response.with_header("access-control-allow-headers", asked)
    if request.headers.get("access-control-request-private-network") is not None:
        response.with_header("access-control-allow-private-network", "true")
    return readable(request, response)
