"""Answers about the API itself."""

from __future__ import annotations

from functools import cache
from typing import Any

from afterimage.api.description.openapi import VERSION, openapi_of
from afterimage.api.parsing import encoded
from afterimage.api.rooms.status_routes import ApiStatus, Health
from afterimage.api.routes import Asked, Caller, Reply
from afterimage.api.services import Services
from afterimage.faults import is_transient
from afterimage.paths import NOTHING

PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def health(_services: Services, _caller: Caller, _asked: Asked[Any, None]) -> Health:
    return Health()


def status(services: Services, _caller: Caller, _asked: Asked[Any, None]) -> ApiStatus:
    """One read of a document that is not there: the cheapest question that only a working database answers."""
    try:
        services.documents().read(NOTHING)
    except Exception as error:
        if not is_transient(error):
            raise
        return ApiStatus(status="degraded", version=VERSION)
    return ApiStatus(status="operational", version=VERSION)


def openapi(_services: Services, _caller: Caller, _asked: Asked[Any, None]) -> Reply:
    return Reply(body=_openapi())


def docs(_services: Services, _caller: Caller, _asked: Asked[Any, None]) -> Reply:
    return Reply(
        body=_docs(), content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": PAGE_POLICY}
    )


@cache
def _openapi() -> bytes:
    from afterimage.api.table import TABLE

    return encoded(openapi_of(TABLE))


@cache
def _docs() -> bytes:
    from afterimage.api.description.documentation import page_of
    from afterimage.api.table import TABLE

    return page_of(TABLE).encode()
