"""Puts cases before rules that a running Firestore enforces: over REST, with unsigned tokens, as any client would.

The state of each case is stored with the rules off, then the request is made as the case's user. What cannot be said
over the wire without changing the question, such as further writes of the same commit, is refused by name.
"""

from __future__ import annotations

import base64
import http.client
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from emulator.rules_language import Both, Either, FieldFilter, FirestoreRequest, LatLng, Path, Query, Timestamp
from emulator.rules_testing.cases import RuleCase
from emulator.rules_testing.runner import Verdict

_OPERATORS: Final = {
    "==": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS_THAN", "<=": "LESS_THAN_OR_EQUAL", ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL", "in": "IN", "not-in": "NOT_IN", "array-contains": "ARRAY_CONTAINS",
    "array-contains-any": "ARRAY_CONTAINS_ANY",
}  # fmt: skip
_ADMIN: Final = {"Authorization": "Bearer owner"}


class NotOverTheWireError(Exception):
    """A case that only the in-process driver can decide; the message says what stands in the way."""


class WireDriver:
    """Decides cases at a Firestore that listens on `host:port`; it clears the project's documents each time."""

    def __init__(self, host: str, port: int, *, project: str = "demo-rules") -> None:
        self._host = host
        self._port = port
        self._project = project

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    def load(self, source: str) -> None:
        """Puts rules in force; raises ValueError with the server's words where it refuses them."""
        body = {"rules": {"files": [{"name": "firestore.rules", "content": source}]}}
        status, answer = self._call("PUT", f"/emulator/v1/projects/{self._project}:securityRules", body)
        errors = [issue for issue in answer.get("issues", ()) if issue.get("severity") == "ERROR"]
        if status != 200 or errors:
            raise ValueError(f"the server does not take the rules: {answer}")

    def decide(self, case: RuleCase) -> Verdict:
        request = case.request
        if not isinstance(request, FirestoreRequest):
            raise NotOverTheWireError(f"{case.title}: only Firestore is spoken over the wire")
        if set(case.after) - {request.path}:
            raise NotOverTheWireError(f"{case.title}: `commit` writes more than the case asks about")
        self._store(case, request)
        headers = {} if request.auth is None else {"Authorization": f"Bearer {_token(request.auth['token'])}"}
        status, answer = self._ask(request, headers)
        if status == 403:
            message = _message(answer)
            return Verdict(is_allowed=False, message=message)
        if status != 200 and not (request.method == "get" and status == 404):
            raise NotOverTheWireError(f"{case.title}: the server answered {status}: {_message(answer)}")
        return Verdict(is_allowed=True)

    # -- the state

    def _database(self, request: FirestoreRequest) -> str:
        return f"projects/{self._project}/databases/{request.database}"

    def _store(self, case: RuleCase, request: FirestoreRequest) -> None:
        database = self._database(request)
        self._call("DELETE", f"/emulator/v1/{database}/documents", None, _ADMIN)
        documents = dict(case.documents)
        if request.resource is not None:
            documents[request.path] = request.resource
        writes = [{"update": self._document(database, path, data)} for path, data in documents.items()]
        if writes:
            status, answer = self._call("POST", f"/v1/{database}/documents:commit", {"writes": writes}, _ADMIN)
            if status != 200:
                raise NotOverTheWireError(f"{case.title}: its documents cannot be stored: {_message(answer)}")

    def _document(self, database: str, path: str, data: Mapping[str, Any]) -> dict[str, Any]:
        name = f"{database}/documents/{path}"
        return {"name": name, "fields": {key: self._value(value) for key, value in data.items()}}

    def _value(self, value: Any) -> dict[str, Any]:
        """A rule value in Firestore's JSON."""
        match value:
            case None:
                return {"nullValue": None}
            case bool():
                return {"booleanValue": value}
            case int():
                return {"integerValue": str(value)}
            case float():
                return {"doubleValue": value if math.isfinite(value) else _special(value)}
            case str():
                return {"stringValue": value}
            case bytes():
                return {"bytesValue": base64.b64encode(value).decode()}
            case Timestamp():
                return {"timestampValue": str(value)}
            case LatLng(latitude, longitude):
                return {"geoPointValue": {"latitude": latitude, "longitude": longitude}}
            case Path(segments):
                return {"referenceValue": f"projects/{self._project}/{'/'.join(segments)}"}
            case list():
                return {"arrayValue": {"values": [self._value(item) for item in value]}}
        return {"mapValue": {"fields": {key: self._value(item) for key, item in value.items()}}}

    # -- the request

    def _ask(self, request: FirestoreRequest, headers: Mapping[str, str]) -> tuple[int, Any]:
        documents = f"/v1/{self._database(request)}/documents"
        if request.method == "get":
            return self._call("GET", f"{documents}/{quote(request.path)}", None, headers)
        if request.method == "list":
            parent, _, collection = request.path.rpartition("/")
            address = f"{documents}/{quote(parent)}:runQuery" if parent else f"{documents}:runQuery"
            query = self._structured_query(collection, request.query or Query())
            return self._call("POST", address, {"structuredQuery": query}, headers)
        return self._call("POST", f"{documents}:commit", {"writes": [self._write(request)]}, headers)

    def _write(self, request: FirestoreRequest) -> dict[str, Any]:
        database = self._database(request)
        if request.method == "delete":
            return {"delete": f"{database}/documents/{request.path}"}
        data = request.request_resource or {}
        fixed = {name: value for name, value in data.items() if value != request.time}
        write: dict[str, Any] = {
            "update": self._document(database, request.path, fixed),
            "currentDocument": {"exists": request.method == "update"},
        }
        if len(fixed) < len(data):
            names = [name for name in data if name not in fixed]
            write["updateTransforms"] = [
                {"fieldPath": _quoted((name,)), "setToServerValue": "REQUEST_TIME"} for name in names
            ]
        return write

    def _structured_query(self, collection: str, query: Query) -> dict[str, Any]:
        written: dict[str, Any] = {
            "from": [{"collectionId": collection, "allDescendants": query.all_descendants}],
            "offset": query.offset,
        }
        if query.where is not None:
            written["where"] = self._filter(query.where)
        if query.order_by:
            directions = {"ASC": "ASCENDING", "DESC": "DESCENDING"}
            written["orderBy"] = [
                {"field": {"fieldPath": name}, "direction": directions[direction]}
                for name, direction in query.order_by.items()
            ]
        if query.limit is not None:
            written["limit"] = query.limit
        return written

    def _filter(self, where: FieldFilter | Both | Either) -> dict[str, Any]:
        if isinstance(where, FieldFilter):
            value = self._value(where.value)
            return {
                "fieldFilter": {
                    "field": {"fieldPath": _quoted(where.field)},
                    "op": _OPERATORS[where.op],
                    "value": value,
                }
            }
        parts: Sequence[dict[str, Any]] = [self._filter(part) for part in where.filters]
        return {"compositeFilter": {"op": "OR" if isinstance(where, Either) else "AND", "filters": parts}}

    def _call(self, method: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=30)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, body=sent, headers={"Content-Type": "application/json", **(headers or {})})
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content.strip() else {}
        finally:
            connection.close()


def _token(claims: Mapping[str, Any]) -> str:
    """A token as the local suite takes it: nobody signs it."""
    parts = [{"alg": "none", "typ": "JWT"}, {"iat": 0, "exp": 3600, **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return f"{'.'.join(encoded)}."


def _message(answer: Any) -> str:
    found = answer[0] if isinstance(answer, list) and answer else answer
    error = found.get("error", {}) if isinstance(found, dict) else {}
    return str(error.get("message", "")) if isinstance(error, dict) else str(error)


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _quoted(field: Sequence[str]) -> str:
    """A field path with quotes where a name needs them."""
    return ".".join(
        name if name.isidentifier() else "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`" for name in field
    )
