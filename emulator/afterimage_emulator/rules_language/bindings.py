"""Turns a request into what rules see: a path to match, and the values of `request` and `resource`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.context import resource_value
from afterimage_emulator.rules_language.evaluation.rule_values import Path
from afterimage_emulator.rules_language.list_queries import disjuncts, query_value, synthetic_data
from afterimage_emulator.rules_language.matching import ANY_PARENT, UNKNOWN_DOCUMENT
from afterimage_emulator.rules_language.requests import METHODS, FirestoreRequest, ListedQuery, StorageRequest

OBJECT_FIELDS: Final = (
    "name", "bucket", "generation", "metageneration", "size", "timeCreated", "updated", "md5Hash", "crc32c", "etag",
    "contentDisposition", "contentEncoding", "contentType",
)  # fmt: skip
_NO_QUERY: Final = ListedQuery()


class Case:
    """One thing that must be allowed: the request itself, or one disjunct of its query."""

    __slots__ = ("database", "needs_version_2", "path", "request", "resource")

    def __init__(
        self,
        path: tuple[object, ...],
        request: Mapping[str, object],
        resource: object,
        *,
        database: str = "(default)",
        needs_version_2: bool = False,
    ) -> None:
        self.path = path
        self.request = request
        self.resource = resource
        self.database = database
        self.needs_version_2 = needs_version_2


def cases_of(request: FirestoreRequest | StorageRequest) -> list[Case]:
    """What must be allowed for the request to be; a query with no disjunct at all proves nothing, so none."""
    if request.method not in METHODS:
        raise ValueError(f"unknown method `{request.method}`; use one of {', '.join(METHODS)}")
    if isinstance(request, StorageRequest):
        return [_storage_case(request)]
    if request.method == "list":
        return _query_cases(request)
    return [_document_case(request)]


def _document_case(request: FirestoreRequest) -> Case:
    segments = ("databases", request.database, "documents", *request.path.split("/"))
    path = Path(segments)
    seen: dict[str, object] = {
        "auth": request.auth,
        "method": request.method,
        "path": path,
        "time": request.time,
    }
    if request.method in ("create", "update"):
        seen["resource"] = resource_value(path, request.request_resource)
    elif request.method == "delete":
        seen["resource"] = None
    resource = None if request.resource is None else resource_value(path, request.resource)
    return Case(segments, seen, resource, database=request.database)


def _query_cases(request: FirestoreRequest) -> list[Case]:
    query = request.query or _NO_QUERY
    collection = request.path.strip("/").split("/")
    base = ("databases", request.database, "documents")
    parents = (ANY_PARENT,) if query.all_descendants else ()
    path = (*base, *collection[:-1], *parents, collection[-1], UNKNOWN_DOCUMENT)
    seen: dict[str, object] = {
        "auth": request.auth,
        "method": "list",
        "path": Path((*base, *collection)),
        "time": request.time,
        "query": query_value(query),
    }
    return [
        Case(
            path,
            seen,
            resource_value(Path(path), synthetic_data(conjunct)),
            database=request.database,
            needs_version_2=query.all_descendants,
        )
        for conjunct in disjuncts(query.where)
    ]


def _storage_case(request: StorageRequest) -> Case:
    name = request.path.rstrip("/")
    path = ("b", request.bucket, "o", *(name.split("/") if name else ()))
    is_write = request.method in ("create", "update")
    seen = {
        "auth": request.auth,
        "method": request.method,
        "path": Path(path),
        "time": request.time,
        "resource": _object_value(request.request_resource) if is_write else None,
    }
    return Case(path, seen, _object_value(request.resource), needs_version_2=request.method == "list")


def _object_value(fields: Mapping[str, object] | None) -> dict[str, object] | None:
    """An object's metadata: every field that rules know is there, null where the object has none."""
    if fields is None:
        return None
    value: dict[str, Any] = dict.fromkeys(OBJECT_FIELDS)
    value.update(fields)
    value["metadata"] = fields.get("metadata") or {}
    return value
