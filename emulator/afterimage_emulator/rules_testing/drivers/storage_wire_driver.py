"""Puts cases before rules that a running Storage enforces: in Firebase's own dialect, as its SDKs speak it.

What a case finds stored is put there first, with the rules off. Contents are made up: of the size that the case says,
and an `md5Hash` only tells whether what is there and what comes are the same. Documents that the rules look up go to
the Firestore beside the Storage. A time or a generation is the server's own: a case that sets one is refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from afterimage_emulator.rules_language import FirestoreRequest, StorageRequest
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
from afterimage_emulator.rules_testing.drivers.wire_driver import WireDriver
from afterimage_emulator.rules_testing.runner import Verdict

_METADATA: Final = (
    "contentType", "contentDisposition", "contentEncoding", "contentLanguage", "cacheControl", "metadata"
)  # fmt: skip
_SAYABLE: Final = frozenset({"name", "bucket", "size", "md5Hash", *_METADATA})
SERVER_FIELDS: Final = ("timeCreated", "updated")
_BOUNDARY: Final = "the-boundary-of-a-case"


class StorageWireDriver:
    """Decides cases at a Storage that listens on `host:port`; it overwrites the objects that the cases name.

    `documents` is the Firestore that the server's rules look documents up in, for cases that store some.
    """

    def __init__(self, host: str, port: int, *, documents: WireDriver | None = None) -> None:
        self._host = host
        self._port = port
        self._documents = documents

    @property
    def address(self) -> str:
        return f"{self._host}:{self._port}"

    def load(self, source: str) -> None:
        """Puts rules in force, for every bucket; raises ValueError with the server's words where it refuses them."""
        body = json.dumps({"rules": {"files": [{"name": "storage.rules", "content": source}]}}).encode()
        status, answer = self._call("PUT", "/internal/setRules", body, {"Content-Type": "application/json"})
        if status != 200:
            raise ValueError(f"the server does not take the rules: {answer}")

    def decide(self, case: RuleCase) -> Verdict:
        request = case.request
        if isinstance(request, FirestoreRequest):
            raise NotOverTheWireError(f"{case.title}: this is a Storage; Firestore has a driver of its own")
        _check(case, request)
        self._store(case, request)
        status, answer = self._ask(request, credentials(request.auth) | EXPLAINED)
        if status == 403:
            return Verdict(is_allowed=False, message=message_of(answer), explanation=explanation_of(answer))
        # Rules are asked before the store: what is not there was allowed to be asked for.
        if status not in (200, 204) and not (status == 404 and request.resource is None):
            raise NotOverTheWireError(f"{case.title}: the server answered {status}: {message_of(answer)}")
        return Verdict(is_allowed=True)

    # -- the state

    def _store(self, case: RuleCase, request: StorageRequest) -> None:
        if self._documents is not None:
            self._documents.store(case.documents)
        elif case.documents:
            raise NotOverTheWireError(f"{case.title}: its documents need a Firestore beside the Storage")
        if request.method == "list":
            return
        if request.resource is None:
            status, answer = self._call("DELETE", _object(request), b"", ADMIN)
            stored = status in (200, 204, 404)
        else:
            status, answer = self._upload(request, request.resource, b"a", ADMIN)
            stored = status == 200
        if not stored:
            raise NotOverTheWireError(f"{case.title}: its file cannot be stored: {message_of(answer)}")

    # -- the request

    def _ask(self, request: StorageRequest, headers: Mapping[str, str]) -> tuple[int, Any]:
        if request.method in ("get", "delete"):
            return self._call("GET" if request.method == "get" else "DELETE", _object(request), b"", headers)
        if request.method == "list":
            query = urlencode({"prefix": f"{request.path}/" if request.path else "", "delimiter": "/"})
            return self._call("GET", f"/v0/b/{request.bucket}/o?{query}", b"", headers)
        stored, proposed = request.resource or {}, request.request_resource or {}
        if request.method == "update":
            body = json.dumps(_patch(stored, proposed)).encode()
            return self._call("PATCH", _object(request), body, {**headers, "Content-Type": "application/json"})
        is_same = not stored or stored.get("md5Hash") == proposed.get("md5Hash")
        return self._upload(request, proposed, b"a" if is_same else b"b", headers)

    def _upload(
        self, request: StorageRequest, fields: Mapping[str, Any], letter: bytes, headers: Mapping[str, str]
    ) -> tuple[int, Any]:
        metadata = {name: fields[name] for name in _METADATA if fields.get(name) is not None}
        described = json.dumps({"name": request.path, **metadata})
        head = f"--{_BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{described}\r\n--{_BOUNDARY}\r\n\r\n"
        body = head.encode() + letter * int(fields.get("size", 0)) + f"\r\n--{_BOUNDARY}--".encode()
        given = {
            **headers,
            "Content-Type": f"multipart/related; boundary={_BOUNDARY}",
            "X-Goog-Upload-Protocol": "multipart",
        }
        return self._call("POST", f"/v0/b/{request.bucket}/o?{urlencode({'name': request.path})}", body, given)

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, object]:
        status, content = send_as_client(self._host, self._port, method, path, body, headers)
        try:
            return status, json.loads(content) if content.strip() else {}
        except ValueError:
            return status, {"error": content.decode(errors="replace")}


def _object(request: StorageRequest) -> str:
    return f"/v0/b/{request.bucket}/o/{quote(request.path, safe='')}"


def _check(case: RuleCase, request: StorageRequest) -> None:
    """Refuses what would be another question over the wire."""
    stored, proposed = request.resource or {}, request.request_resource or {}
    unsayable = sorted((set(stored) | set(proposed)) - _SAYABLE)
    if unsayable:
        raise NotOverTheWireError(f"{case.title}: `{unsayable[0]}` is the server's to say")
    if request.method == "update":
        if not stored:
            raise NotOverTheWireError(f"{case.title}: the metadata of a file that is not there cannot be changed")
        if any(stored.get(name) != proposed.get(name) for name in ("size", "md5Hash")):
            raise NotOverTheWireError(f"{case.title}: `update` changes metadata; new bytes are a `create`")


def _patch(stored: Mapping[str, Any], proposed: Mapping[str, Any]) -> dict[str, Any]:
    """What differs, with null for what is gone."""
    patch: dict[str, Any] = {
        name: proposed.get(name) for name in _METADATA if name != "metadata" and proposed.get(name) != stored.get(name)
    }
    before, after = stored.get("metadata") or {}, proposed.get("metadata") or {}
    patch["metadata"] = {key: after.get(key) for key in {**before, **after} if before.get(key) != after.get(key)}
    return patch
