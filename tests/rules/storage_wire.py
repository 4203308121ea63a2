"""Puts cases before Storage rules that a running emulator enforces: over Firebase's own REST dialect."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from afterimage_emulator.rules_language import StorageRequest
from afterimage_emulator.rules_testing import RuleCase, Verdict

ADMIN = {"Authorization": "Bearer owner"}
_BOUNDARY = "the-boundary-of-a-case"


class StorageWireDriver:
    """Decides cases at `host:port`. What a case finds stored is put there first, with the rules off."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=30)
        self._stored: dict[tuple[str, str], Any] = {}

    def close(self) -> None:
        self._connection.close()

    def decide(self, case: RuleCase) -> Verdict:
        request = case.request
        assert isinstance(request, StorageRequest)
        if request.method != "list":
            self._arrange(request)
        status, body = self._ask(request)
        if status == 403:
            return Verdict(is_allowed=False, message=_message(body))
        if request.method in ("create", "update", "delete"):
            self._stored.pop((request.bucket, request.path), None)
        is_missing = status == 404 and request.resource is None  # rules are asked before the store
        assert status in (200, 204) or is_missing, f"{case.title}: the server answered {status}: {body[:300]!r}"
        return Verdict(is_allowed=True)

    def _arrange(self, request: StorageRequest) -> None:
        key = (request.bucket, request.path)
        if key in self._stored and self._stored[key] == request.resource:
            return
        if request.resource is None:
            status, body = self._call("DELETE", self._object(request), b"", ADMIN)
            assert status in (200, 204, 404), body
        else:
            status, body = self._upload(request, request.resource, ADMIN)
            assert status == 200, body
        self._stored[key] = request.resource

    def _ask(self, request: StorageRequest) -> tuple[int, bytes]:
        headers = {} if request.auth is None else {"Authorization": f"Bearer {_token(request.auth['token'])}"}
        match request.method:
            case "get":
                return self._call("GET", self._object(request), b"", headers)
            case "delete":
                return self._call("DELETE", self._object(request), b"", headers)
            case "list":
                prefix = f"{request.path}/" if request.path else ""
                query = urlencode({"prefix": prefix, "delimiter": "/"})
                return self._call("GET", f"/v0/b/{request.bucket}/o?{query}", b"", headers)
            case "update":
                fields = request.request_resource or {}
                known = {name: fields[name] for name in ("contentType", "metadata") if name in fields}
                body = json.dumps(known).encode()
                json_type = {"Content-Type": "application/json"}
                return self._call("PATCH", self._object(request), body, {**headers, **json_type})
        return self._upload(request, request.request_resource or {}, headers)

    def _upload(
        self, request: StorageRequest, fields: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        """Bytes of the size that the case says; those of another MD5 are others."""
        metadata = {name: fields[name] for name in ("contentType", "metadata") if name in fields}
        content = (b"b" if fields.get("md5Hash") == "other" else b"a") * int(fields.get("size", 0))
        head = (
            f"--{_BOUNDARY}\r\nContent-Type: application/json\r\n\r\n{json.dumps({'name': request.path, **metadata})}"
            f"\r\n--{_BOUNDARY}\r\n\r\n"
        )
        body = head.encode() + content + f"\r\n--{_BOUNDARY}--".encode()
        multipart = {
            "Content-Type": f"multipart/related; boundary={_BOUNDARY}",
            "X-Goog-Upload-Protocol": "multipart",
        }
        path = f"/v0/b/{request.bucket}/o?{urlencode({'name': request.path})}"
        return self._call("POST", path, body, {**headers, **multipart})

    def _object(self, request: StorageRequest) -> str:
        return f"/v0/b/{request.bucket}/o/{quote(request.path, safe='')}"

    def _call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._connection.request(method, path, body=body or None, headers=dict(headers))
        response = self._connection.getresponse()
        return response.status, response.read()


def _token(claims: Mapping[str, Any]) -> str:
    """A token as emulators take it: nobody signs it."""
    parts = [{"alg": "none", "typ": "JWT"}, {"iat": 0, "exp": 4_000_000_000, **claims}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return f"{'.'.join(encoded)}."


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")
