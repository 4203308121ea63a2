"""The links in Auth's answers: where they may send a browser on to."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from afterimage_emulator.auth.errors import refused

_URL = re.compile(r"[!-~]{1,2000}")


def is_absolute_url(url: str) -> bool:
    """An http(s) URL without blanks or controls."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and _URL.fullmatch(url) is not None
    except ValueError:
        return False


def checked_continue_url(url: str) -> str:
    """It goes into a `Location` header."""
    if not is_absolute_url(url):
        raise refused("INVALID_CONTINUE_URI : ((expected an absolute URI with valid scheme and host))")
    return url
