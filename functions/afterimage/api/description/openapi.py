"""The table of routes as OpenAPI 3.1, which JSON Schema 2020-12 is the schema language of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from afterimage.api.admission.callers import APP_CHECK_HEADER
from afterimage.api.dispatch import IDENTIFIER, RouteTable
from afterimage.api.errors import STATUS_OF, ErrorBody
from afterimage.api.routes import Access, AppCheck, NoQuery, Route

VERSION: Final = "1.0.0"
_REFERENCE: Final = "#/components/schemas/{name}"


def openapi_of(table: RouteTable) -> dict[str, Any]:
    kinds = [kind for route in table.routes for kind in (route.answers, route.body) if _is_described(kind)]
    schemas, components = msgspec.json.schema_components([*kinds, ErrorBody], ref_template=_REFERENCE)
    schema_of = dict(zip(map(id, [*kinds, ErrorBody]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in table.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Afterimage", "version": VERSION, "description": "What happens after the write, by HTTP."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "Firebase ID token"},
                "app": {"type": "apiKey", "in": "header", "name": APP_CHECK_HEADER},
            },
        },
    }


def _is_described(kind: Any) -> bool:
    return kind not in (None, bytes)


def _operation(route: Route, schema_of: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{route.path}".translate(_AS_NAME).strip("_"),
        "summary": route.summary,
        "tags": [route.room],
        "parameters": [*_parameters(route)],
        "responses": {str(route.status): _success(route, schema_of)} | _refusals(route, schema_of),
        "security": _security(route),
    }
    if route.body is bytes:
        operation["requestBody"] = {"required": True, "content": {"*/*": {}}}
    elif route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[id(route.body)]}},
        }
    return operation


def _success(route: Route, schema_of: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    if not _is_described(route.answers):
        return {"description": route.summary}
    return {"description": route.summary, "content": {"application/json": {"schema": schema_of[id(route.answers)]}}}


def _refusals(route: Route, schema_of: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in route.all_refusals:
        by_status.setdefault(STATUS_OF[code], []).append(code.value)
    content = {"application/json": {"schema": schema_of[id(ErrorBody)]}}
    return {
        str(status): {"description": " or ".join(f"`{code}`" for code in codes), "content": content}
        for status, codes in sorted(by_status.items())
    }


def _parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in route.parameters:
        identifier = {"type": "string", "pattern": f"^{IDENTIFIER}$"}
        yield {"name": name, "in": "path", "required": True, "schema": identifier}
    if route.query is not NoQuery:
        schema = msgspec.json.schema(route.query)
        described = schema["$defs"][route.query.__name__]
        for name, kind in described["properties"].items():
            required = name in described.get("required", ())
            yield {"name": name, "in": "query", "required": required, "schema": kind}
    if route.takes_idempotency_key:
        key = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
        yield {"name": "Idempotency-Key", "in": "header", "required": False, "schema": key}


def _security(route: Route) -> list[dict[str, list[str]]]:
    needed: dict[str, list[str]] = {}
    if route.access is not Access.ANYBODY:
        needed["user"] = []
    if route.app_check is AppCheck.EXEMPT:
        return [needed] if needed else []
    # App Check is a setting of the deployment: with it and without it.
    return [needed | {"app": []}, needed]


_AS_NAME: Final = str.maketrans({"/": "_", "{": "", "}": "", "-": "_", ".": "_"})
