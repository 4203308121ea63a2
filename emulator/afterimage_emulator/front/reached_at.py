"""Where the client of a request reaches the suite: links in answers must lead back there."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.wire.http_messages import HttpRequest

_HOST: Final = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")


def reached_at(request: HttpRequest, *, otherwise: str) -> str:
    """Scheme and host, or `otherwise` where the request names none. Proxies may say that they are reached by https."""
    host = request.headers.get("host") or ""
    if _HOST.fullmatch(host) is None:
        return otherwise
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host}"
