"""Where the client of a request reaches the suite: links in answers must lead back there."""

from __future__ import annotations

import re

from emulator.wire.http_messages import HttpRequest

PRODUCTION = "https://storage.googleapis.com"
_HOST = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")


def origin_of(request: HttpRequest) -> str:
    """Proxies in front of the suite may say that they are reached by https."""
    host = request.headers.get("host") or ""
    if _HOST.fullmatch(host) is None:
        return PRODUCTION
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host}"
