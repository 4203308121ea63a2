"""A running suite as an assistant's tools ask it: its hub, and its documents as their administrator reads them."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from afterimage_emulator.commands.hub_client import ask_hub, find_hub, refusal_text
from afterimage_emulator.configuration import ConfigurationError

_PATIENCE_SECONDS: Final = 30
_PLAIN: Final = ("stringValue", "booleanValue", "doubleValue", "nullValue")


class SuiteAnswerError(Exception):
    """The suite refused, or is not there; the message is for whoever asked."""


class FieldComparison(NamedTuple):
    """A field compared with a value; `op` as Firestore names it."""

    field: str
    op: str
    value: object


class RunningSuite:
    """Looked for anew at each question: a suite that was started again is found again."""

    def __init__(self, project: str, *, may_write: bool) -> None:
        self.project = project
        self._may_write = may_write

    def read(self, path: str, **query: object) -> Any:
        given = {name: value for name, value in query.items() if value not in (None, "")}
        return self._ask(path + (f"?{urllib.parse.urlencode(given)}" if given else ""))

    def change(self, path: str, body: Mapping[str, object] | None = None, *, method: str = "POST") -> object:
        """What alters the suite. The guard is here, whatever tools there are."""
        if not self._may_write:
            raise SuiteAnswerError("this server only reads; start it with `--write` to let it change the suite")
        return self._ask(path, method=method, body=body or {})

    def document(self, path: str, database: str) -> object:
        found = self._firestore(f"/{_quoted(path)}", database)
        if "name" not in found:
            raise SuiteAnswerError(f"`{path[:200]}` names no document; give `collection/id`, or list the collection")
        return _plain_document(found)

    def documents(self, collection: str, database: str, *, limit: int, page_token: str) -> object:
        query = {"pageSize": limit, **({"pageToken": page_token} if page_token else {})}
        if len(collection.strip("/").split("/")) % 2 == 0 or not collection.strip("/"):
            raise SuiteAnswerError(
                f"`{collection[:200]}` names no collection; give `collection`, or `collection/id/below`"
            )
        found = self._firestore(f"/{_quoted(collection)}?{urllib.parse.urlencode(query)}", database)
        told = {"documents": [_plain_document(each) for each in found.get("documents", [])]}
        return {**told, "next_page_token": found["nextPageToken"]} if "nextPageToken" in found else told

    def collections(self, document: str, database: str) -> object:
        place = f"/{_quoted(document)}" if document else ""
        return self._firestore(f"{place}:listCollectionIds", database, body={}).get("collectionIds", [])

    def matching(self, collection: str, conditions: Sequence[FieldComparison], database: str, *, limit: int) -> object:
        parent, _, name = collection.rpartition("/")
        filters = [
            {
                "fieldFilter": {
                    "field": {"fieldPath": each.field},
                    "op": each.op,
                    "value": _wire_value(each.value),
                }
            }
            for each in conditions
        ]
        query: dict[str, object] = {"from": [{"collectionId": name}], "limit": limit}
        if filters:
            query["where"] = {"compositeFilter": {"op": "AND", "filters": filters}}
        place = f"/{_quoted(parent)}" if parent else ""
        answer = self._firestore(f"{place}:runQuery", database, body={"structuredQuery": query})
        return [_plain_document(each["document"]) for each in answer if "document" in each]

    # -- inside

    def _ask(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        try:
            return ask_hub(find_hub(self.project), path, method=method, body=body)
        except (ConfigurationError, urllib.error.HTTPError) as error:
            raise SuiteAnswerError(refusal_text(error)) from None

    def _firestore(self, place: str, database: str, *, body: object = None) -> Any:
        service = self._ask("/emulators").get("firestore")
        if service is None:
            raise SuiteAnswerError("this suite runs no Firestore")
        name = f"/v1/projects/{self.project}/databases/{_quoted(database)}/documents{place}"
        request = urllib.request.Request(
            f"http://{service['host']}:{service['port']}{name}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": "Bearer owner", "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310 — as above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SuiteAnswerError(refusal_text(error)) from None
        except OSError as error:
            raise SuiteAnswerError(f"Firestore does not answer: {error}") from None


def _quoted(path: str) -> str:
    return urllib.parse.quote(path.strip("/"), safe="/()")


def _plain_document(document: Mapping[str, Any]) -> dict[str, object]:
    return {
        "path": document["name"].partition("/documents/")[2],
        "fields": {name: _plain(value) for name, value in document.get("fields", {}).items()},
        "update_time": document.get("updateTime"),
    }


def _plain(value: Mapping[str, Any]) -> object:
    """What JSON has is written as JSON; times, references and their like keep the name of their type."""
    (kind, content), *_ = value.items()
    if kind in _PLAIN:
        return None if kind == "nullValue" else content
    if kind == "integerValue":
        return int(content)
    if kind == "arrayValue":
        return [_plain(each) for each in content.get("values", [])]
    if kind == "mapValue":
        return {name: _plain(each) for name, each in content.get("fields", {}).items()}
    return dict(value)


def _wire_value(value: object) -> dict[str, object]:
    if value is None:
        return {"nullValue": None}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"integerValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_wire_value(each) for each in value]}}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).endswith("Value"):
        return value
    raise SuiteAnswerError(f"`{json.dumps(value)[:80]}` is no value to compare with; send JSON or one typed value")
