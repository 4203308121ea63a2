"""The token of a suite's start: what a page shows that may control the suite. Programs need none.

A program on this machine can read the console's page, and can call every service as its administrator; a page can do
neither, since no answer names an origin that may read it, and so the token tells the console from every other page.
"""

from __future__ import annotations

import hmac
from typing import Final

from afterimage_emulator.wire.http_messages import HttpRequest

PROOF_HEADER: Final = "x-console-token"


def shows_token(request: HttpRequest, token: str) -> bool:
    return hmac.compare_digest((request.headers.get(PROOF_HEADER) or "").encode(), token.encode())


def is_of_page(request: HttpRequest) -> bool:
    """Whether a page asks: browsers say where it is, or how it stands to the port. A typed address is no page's."""
    return "origin" in request.headers or (request.headers.get("sec-fetch-site") or "none") != "none"
