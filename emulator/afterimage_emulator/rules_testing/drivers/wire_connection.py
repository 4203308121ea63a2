"""What the wire drivers share: one request over HTTP, tokens that nobody signs, and the why of a denial."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any, Final

ADMIN: Final = {"Authorization": "Bearer owner"}
EXPLAINED: Final = {"X-Explain-Denials": "true"}
"""Our own suite answers with the explanation; others take no notice of this header."""


class NotOverTheWireError(Exception):
    """A case that only the in-process driver can decide; the message says what stands in the way."""


def send_as_client(
    host: str, port: int, method: str, path: str, body: bytes, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """The status and body of one request."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request(method, path, body=body or None, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def credentials(auth: Mapping[str, Any] | None) -> dict[str, str]:
    """The headers of whoever makes the request: a token as the local suite takes it, or none."""
    if auth is None:
        return {}
    parts = [{"alg": "none", "typ": "JWT"}, {"iat": 0, "exp": 4_000_000_000, **auth["token"]}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return {"Authorization": f"Bearer {'.'.join(encoded)}."}


def message_of(answer: object) -> str:
    """The text of an error response, of whichever shape."""
    error = _error(answer)
    return str(error.get("message", ""))


def explanation_of(answer: Any) -> str:
    """The why of a denial, where the server tells it."""
    details = _error(answer).get("details") or ()
    return next((str(detail["detail"]) for detail in details if "detail" in detail), "")


def _error(answer: object) -> Mapping[str, Any]:
    found = answer[0] if isinstance(answer, list) and answer else answer
    error = found.get("error", {}) if isinstance(found, dict) else {}
    return error if isinstance(error, dict) else {"message": str(error)}
