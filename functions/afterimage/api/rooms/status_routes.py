"""Routes that say whether the API is there and what it offers; open to anybody."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from afterimage.api.routes import Access, AppCheck, Cost, Route


class Health(Struct, frozen=True, kw_only=True):
    """The process answers; nothing else was asked."""

    status: Literal["ok"] = "ok"


class ApiStatus(Struct, frozen=True, kw_only=True):
    """What a stranger may know of this deployment."""

    status: Literal["operational", "degraded"]
    version: str


STATUS_ROUTES: Final = tuple(
    Route(
        method="GET",
        path=path,
        handler=f"afterimage.api.rooms.status_handlers:{handler}",
        summary=summary,
        answers=answers,
        access=Access.ANYBODY,
        app_check=AppCheck.EXEMPT,
        cost=Cost.FREE,
    )
    for path, handler, summary, answers in (
        ("/health", "health", "whether the process answers", Health),
        ("/api/phase5/status", "status", "whether documents can be reached", ApiStatus),
        ("/openapi.json", "openapi", "this API for machines, as OpenAPI 3.1", None),
        ("/docs", "docs", "this API for people", None),
    )
)
