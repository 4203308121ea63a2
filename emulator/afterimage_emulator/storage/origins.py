"""Where links in Storage's answers lead."""

from __future__ import annotations

from afterimage_emulator.front.reached_at import reached_at
from afterimage_emulator.wire.http_messages import HttpRequest

PRODUCTION = "https://storage.googleapis.com"


def origin_of(request: HttpRequest) -> str:
    """To where the client reached Storage; to production's address where the request does not tell."""
    return reached_at(request, otherwise=PRODUCTION)
