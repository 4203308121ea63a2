"""Puts cases before rules that a running Firestore enforces: over REST, with unsigned tokens, as any client would.

The state of each case is stored with the rules off, then the request is made as the case's user. What else the same
commit writes is judged there, too: where that is what was denied, the asked write, which comes first, was allowed.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from afterimage_emulator.rules_language import (
    Both,
    Either,
    FieldFilter,
    FirestoreRequest,
    LatLng,
    ListedQuery,
    Path,
    Timestamp,
)
from afterimage_emulator.rules_testing.cases import RuleCase
from afterimage_emulator.rules_testing.drivers.wire_connection import (
    ADMIN,
    EXPLAINED,
    NotOverTheWireError,
    credentials,
    explanation_of,
    message_of,
    send_as_client,
)
from afterimage_emulator.rules_testing.runner import Verdict

__all__ = ["NotOverTheWireError", "WireDriver"]

_OPERATORS: Final = {
    "==": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS_THAN", "<=": "LESS_THAN_OR_EQUAL", ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL", "in": "IN", "not-in": "NOT_IN", "array-contains": "ARRAY_CONTAINS",
    "array-contains-any": "ARRAY_CONTAINS_ANY",
}  # fmt: skip


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
            raise NotOverTheWireError(f"{case.title}: this is a Firestore; Storage has a driver of its own")
        also = {path: data for path, data in case.after.items() if path != request.path}
        if also and request.method in ("get", "list"):
            raise NotOverTheWireError(f"{case.title}: `commit` says what a write's commit writes; this one reads")
        self._store(case, request)
        status, answer = self._ask(request, also, credentials(request.auth) | EXPLAINED)
        if status == 403:
            explanation = explanation_of(answer)
            if also and self._denies_another(case, request, explanation):
                return Verdict(is_allowed=True)
            return Verdict(is_allowed=False, message=message_of(answer), explanation=explanation)
        if status != 200 and not (request.method == "get" and status == 404):
            raise NotOverTheWireError(f"{case.title}: the server answered {status}: {message_of(answer)}")
        return Verdict(is_allowed=True)

    def _denies_another(self, case: RuleCase, request: FirestoreRequest, explanation: str) -> bool:
        """Whether a commit failed by another of its writes: its explanation names the one that was denied."""
        if not explanation:
            raise NotOverTheWireError(f"{case.title}: the server does not say which write of its `commit` it denies")
        asked = f"denied: {request.method} /databases/{request.database}/documents/{request.path} by "
        return not explanation.startswith(asked)

    # -- the state

    def _database(self, database: str) -> str:
        return f"projects/{self._project}/databases/{database}"

    def _store(self, case: RuleCase, request: FirestoreRequest) -> None:
        documents = dict(case.documents)
        if request.resource is not None:
            documents[request.path] = request.resource
        try:
            self.store(documents, database=request.database)
        except NotOverTheWireError as error:
            raise NotOverTheWireError(f"{case.title}: {error}") from None

    def store(self, documents: Mapping[str, Mapping[str, Any]], *, database: str = "(default)") -> None:
        """Leaves exactly these documents in a database, with the rules off."""
        name = self._database(database)
        self._call("DELETE", f"/emulator/v1/{name}/documents", None, ADMIN)
        writes = [{"update": self._document(name, path, data)} for path, data in documents.items()]
        if writes:
            status, answer = self._call("POST", f"/v1/{name}/documents:commit", {"writes": writes}, ADMIN)
            if status != 200:
                raise NotOverTheWireError(f"the documents cannot be stored: {message_of(answer)}")

    def _document(self, database: str, path: str, data: Mapping[str, object]) -> dict[str, object]:
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

    def _ask(self, request: FirestoreRequest, also: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, Any]:
        documents = f"/v1/{self._database(request.database)}/documents"
        if request.method == "get":
            return self._call("GET", f"{documents}/{quote(request.path)}", None, headers)
        if request.method == "list":
            parent, _, collection = request.path.rpartition("/")
            address = f"{documents}/{quote(parent)}:runQuery" if parent else f"{documents}:runQuery"
            query = self._structured_query(collection, request.query or ListedQuery())
            return self._call("POST", address, {"structuredQuery": query}, headers)
        asked = self._write(request, request.path, request.request_resource)
        if request.method != "delete":
            asked["currentDocument"] = {"exists": request.method == "update"}
        writes = [asked, *(self._write(request, path, data) for path, data in also.items())]
        return self._call("POST", f"{documents}:commit", {"writes": writes}, headers)

    def _write(self, request: FirestoreRequest, path: str, data: Mapping[str, object] | None) -> dict[str, object]:
        """What leaves `data` behind, its server timestamps as transforms; None deletes."""
        database = self._database(request.database)
        if data is None:
            return {"delete": f"{database}/documents/{path}"}
        fixed, timed = _without_time(data, request.time)
        write: dict[str, Any] = {"update": self._document(database, path, fixed)}
        if timed:
            write["updateTransforms"] = [
                {"fieldPath": _quoted(names), "setToServerValue": "REQUEST_TIME"} for names in timed
            ]
        return write

    def _structured_query(self, collection: str, query: ListedQuery) -> dict[str, object]:
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

    def _call(self, method: str, path: str, body: object, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        status, content = send_as_client(self._host, self._port, method, path, sent, given)
        return status, json.loads(content) if content.strip() else {}


def _without_time(data: Mapping[str, object], now: Timestamp) -> tuple[dict[str, object], list[tuple[str, ...]]]:
    """The data but for fields that are the time of the request, and the paths of those fields."""
    fixed: dict[str, object] = {}
    timed: list[tuple[str, ...]] = []
    for name, value in data.items():
        if isinstance(value, Mapping):
            fixed[name], inside = _without_time(value, now)
            timed += [(name, *path) for path in inside]
        elif value == now:
            timed.append((name,))
        else:
            fixed[name] = value
    return fixed, timed


def _special(value: float) -> str:
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _quoted(field: Sequence[str]) -> str:
    """A field path with quotes where a name needs them."""
    return ".".join(
        name if name.isidentifier() else "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`" for name in field
    )
