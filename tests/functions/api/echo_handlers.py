"""Owns handlers that tests call: one says what it was given, others fail in every way that a handler can."""

from __future__ import annotations

from typing import Any

from google.api_core.exceptions import ServiceUnavailable
from msgspec import Struct

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.routes import Access, Asked, Caller, NoQuery, Route
from afterimage.api.services import Services


class EchoQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    limit: int = 20
    pinned: bool = False


class EchoBody(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    text: str


class Echo(Struct, frozen=True, kw_only=True):
    uid: str
    path: dict[str, str]
    query: EchoQuery | NoQuery
    text: str
    operation_id: str


def echo(_services: Services, caller: Caller, asked: Asked[EchoQuery, EchoBody]) -> Echo:
    return Echo(
        uid=caller.uid, path=dict(asked.path), query=asked.query, text=asked.body.text, operation_id=asked.operation_id
    )


def length(_services: Services, _caller: Caller, asked: Asked[NoQuery, bytes]) -> dict[str, int]:
    return {"length": len(asked.body)}


def failing(_services: Services, _caller: Caller, asked: Asked[Any, None]) -> None:
    match asked.path["how"]:
        case "refused":
            raise ApiError(ErrorCode.STORAGE_QUOTA_EXCEEDED, "no room", "delete something")
        case "busy":
            raise ServiceUnavailable("the database is down")
        case _:
            raise KeyError("a secret of ours")


ECHO_ROUTES = (
    Route(
        method="POST",
        path="/echo/{id}",
        handler=f"{__name__}:echo",
        summary="says what it was given",
        answers=Echo,
        query=EchoQuery,
        body=EchoBody,
        takes_idempotency_key=True,
    ),
    Route(
        method="PUT",
        path="/length",
        handler=f"{__name__}:length",
        summary="counts bytes",
        answers=dict[str, int],
        body=bytes,
        body_limit_bytes=1000,
    ),
    Route(
        method="PUT",
        path="/admins/length",
        handler=f"{__name__}:length",
        summary="counts bytes for admins",
        answers=dict[str, int],
        body=bytes,
        access=Access.ADMIN,
    ),
    Route(method="GET", path="/failing/{how}", handler=f"{__name__}:failing", summary="fails", answers=None),
)
