"""Writes a request that rules judged down as a case file: the caller, what the rules read, and the verdict.

What comes out is read again by `cases`: the case is decided as the request was.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

import yaml

from afterimage_emulator.rules_language import (
    Both,
    Either,
    FieldFilter,
    FirestoreRequest,
    LatLng,
    ListedQuery,
    Path,
    StorageRequest,
    Timestamp,
)
from afterimage_emulator.rules_language.authorizer import Decision

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAID_BY_THE_NAME: Final = frozenset({"sub", "user_id"})


class UnwritableCaseError(Exception):
    """The request has something that case files have no words for; the message names it."""


def written_case(request: FirestoreRequest | StorageRequest, decision: Decision) -> str:
    """A whole case file in YAML."""
    is_storage = isinstance(request, StorageRequest)
    content: dict[str, Any] = {"rules": decision.source.file_name}
    if isinstance(request, StorageRequest):
        content |= {"service": "firebase.storage", "bucket": request.bucket}
    elif request.database != "(default)":
        content["database"] = request.database
    content["at"] = _value(request.time)["$timestamp"]
    user = "nobody" if request.auth is None else str(request.auth["uid"])
    if request.auth is not None:
        claims = request.auth.get("token") or {}
        content["users"] = {user: {key: _value(each) for key, each in claims.items() if key not in _SAID_BY_THE_NAME}}
    before, after = _documents(request, decision)
    if before:
        content["documents"] = before
    if is_storage and request.resource is not None:
        content["files"] = {request.path: _fields(request.resource)}
    content["cases"] = [
        {
            "name": f"{request.method} {request.path}",
            "as": user,
            request.method: request.path,
            **_written(request),
            **({"commit": after} if after else {}),
            "expect": "allowed" if decision.allowed else "denied",
        }
    ]
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    return text


def _documents(request: FirestoreRequest | StorageRequest, decision: Decision) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the rules read, before the request and after its commit; the request's own document among the former."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    own = request.path if isinstance(request, FirestoreRequest) else None
    for (_, path, is_after), data in decision.documents_read.items():
        if is_after and path != own:
            after[path] = None if data is None else _fields(data)
        elif not is_after and data is not None:
            before[path] = _fields(data)
    if isinstance(request, FirestoreRequest) and request.resource is not None:
        before[request.path] = _fields(request.resource)
    return before, after


def _written(request: FirestoreRequest | StorageRequest) -> dict[str, Any]:
    if isinstance(request, FirestoreRequest) and request.query is not None:
        return _query(request.query)
    if request.request_resource is None:
        return {}
    return {"with": _fields(request.request_resource)}


def _query(query: ListedQuery) -> dict[str, Any]:
    content: dict[str, Any] = {}
    filters = query.where.filters if isinstance(query.where, Both) else [] if query.where is None else [query.where]
    plain = [_filter(each) for each in filters if not isinstance(each, Either)]
    choices = [each for each in filters if isinstance(each, Either)]
    if len(choices) > 1:
        raise UnwritableCaseError("a filter with several ORs")
    if plain:
        content["where"] = plain
    if choices:
        content["any"] = [_filter(each) for each in choices[0].filters]
    if query.order_by:
        content["order_by"] = dict(query.order_by)
    if query.limit is not None:
        content["limit"] = query.limit
    if query.offset:
        content["offset"] = query.offset
    if query.all_descendants:
        content["all_descendants"] = True
    return content


def _filter(given: Any) -> list[Any]:
    if not isinstance(given, FieldFilter):
        raise UnwritableCaseError("a filter with ANDs and ORs within each other")
    return [".".join(map(_name, given.field)), given.op, _value(given.value)]


def _name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _fields(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(each) for key, each in data.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        if any(isinstance(key, str) and key.startswith("$") for key in value):
            raise UnwritableCaseError("a map with a key that begins with `$`")
        return _fields(value)
    if isinstance(value, list | tuple):
        return [_value(each) for each in value]
    if isinstance(value, Timestamp):
        return {"$timestamp": str(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, LatLng):
        return {"$latlng": [value.latitude, value.longitude]}
    if isinstance(value, Path):
        return {"$path": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UnwritableCaseError(f"a value of the kind `{type(value).__name__}`")
