"""The links in Auth's answers: where they may send a browser on to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from afterimage_emulator.auth.errors import refused

_URL = re.compile(r"[!-~]{1,2000}")


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
