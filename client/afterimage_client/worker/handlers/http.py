"""Owns the plain HTTP form of a worker: one WSGI application, for any server.

`POST /generate` takes `{"input": {…}}` and answers as RunPod's handler does; `GET /health` answers without a proof.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from afterimage_client.errors import WorkerError
from afterimage_client.worker.generation import Generation, reason_of
from afterimage_client.worker.requests import MOST_REQUEST_BYTES
from afterimage_client.worker.worker import Make, Worker

_log = logging.getLogger("afterimage_client.worker")
PATH: Final = "/generate"
MOST_BODY_BYTES: Final = 4 * MOST_REQUEST_BYTES
_STATUSES: Final[Mapping[str, HTTPStatus]] = {
    "invalid-request": HTTPStatus.BAD_REQUEST,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "permission-denied": HTTPStatus.FORBIDDEN,
    "not-found": HTTPStatus.NOT_FOUND,
    "method-not-allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "already-exists": HTTPStatus.CONFLICT,
    "in-progress": HTTPStatus.CONFLICT,
    "lost": HTTPStatus.CONFLICT,
    "too-large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
}
StartResponse = Callable[..., Any]


def http_application(worker: Worker, make: Make) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    """The application; whatever server runs it may call it from many threads at once."""

    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        status, body = _answered(worker, make, environ)
        data = json.dumps(body).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(data)))]
        if body.get("code") == "in-progress":
            headers.append(("Retry-After", "10"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [data]

    return application


def _answered(worker: Worker, make: Make, environ: Mapping[str, Any]) -> tuple[HTTPStatus, dict[str, Any]]:
    try:
        return HTTPStatus.OK, _answer(worker, make, environ)
    except WorkerError as error:
        return _STATUSES.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR), {"error": str(error), "code": error.code}
    except Exception as error:  # the generator's own, whatever it is: the server must go on
        _log.exception("a generation failed")
        return HTTPStatus.INTERNAL_SERVER_ERROR, {"error": reason_of(error), "code": "failed"}


def _answer(worker: Worker, make: Make, environ: Mapping[str, Any]) -> dict[str, Any]:
    method, path = str(environ["REQUEST_METHOD"]), str(environ.get("PATH_INFO", ""))
    if path == "/health" and method in {"GET", "HEAD"}:
        return {"status": "ok", "cloud_storage_enabled": worker.stores}
    if path != PATH:
        raise WorkerError("not-found", f"there is nothing at `{path[:80]}`", way_out=f"POST to {PATH}")
    if method != "POST":
        raise WorkerError("method-not-allowed", f"`{method[:20]}` is not answered here", way_out=f"POST to {PATH}")
    body = _body(environ)
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not isinstance(given.get("input"), dict):
        raise WorkerError("invalid-request", "the body is no JSON object with `input`", way_out='send {"input": {…}}')
    headers = {
        name[5:].replace("_", "-").lower(): str(value) for name, value in environ.items() if name.startswith("HTTP_")
    }

    def begin() -> Generation:
        return worker.http_generation(
            given["input"], method=method, path=_path_as_sent(environ), headers=headers, body=body
        )

    return worker.run(begin, make)


def _path_as_sent(environ: Mapping[str, Any]) -> str:
    """WSGI hands the path on unquoted; servers that know it as it was sent say so."""
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if isinstance(raw, str) and raw.startswith("/"):
        return raw
    path = quote(str(environ.get("SCRIPT_NAME", "")) + str(environ.get("PATH_INFO", "")), encoding="latin-1")
    query = environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _body(environ: Mapping[str, Any]) -> bytes:
    length = str(environ.get("CONTENT_LENGTH") or "")
    if not length.isascii() or not length.isdigit():
        raise WorkerError("invalid-request", "the request says no `Content-Length`", way_out="send one")
    if int(length[:12]) > MOST_BODY_BYTES or len(length) > 12:
        raise WorkerError("too-large", f"the body has more than {MOST_BODY_BYTES} bytes", way_out="send less")
    body: bytes = environ["wsgi.input"].read(int(length))
    if len(body) != int(length):
        raise WorkerError("invalid-request", "the body ended early", way_out="send it again")
    return body
