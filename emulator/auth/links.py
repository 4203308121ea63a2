"""The links in Auth's answers: where they lead back to, and where they may send a browser on to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from emulator.auth.errors import refused
from emulator.wire.http_messages import HttpRequest

_HOST = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")
_URL = re.compile(r"[!-~]{1,2000}")
_FALLBACK_HOST = "127.0.0.1:9099"


def origin_of(request: HttpRequest) -> str:
    """Where this client reached Auth: links in answers must lead back there."""
    host = request.headers.get("host") or ""
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host if _HOST.fullmatch(host) else _FALLBACK_HOST}"


def checked_continue_url(url: str) -> str:
    """An absolute http(s) URL without blanks or controls: it goes into a `Location` header."""
    try:
        parts = urlsplit(url)
        is_absolute = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_absolute = False
    if not is_absolute or _URL.fullmatch(url) is None:
        raise refused("INVALID_CONTINUE_URI : ((expected an absolute URI with valid scheme and host))")
    return url
