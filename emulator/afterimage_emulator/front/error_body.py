"""The JSON in which Google's APIs word an error: one shape, of which each service fills what its official one fills."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from afterimage_emulator.front.explanation import details_json
from afterimage_emulator.status import HTTP_STATUS, StatusError
from afterimage_emulator.wire.http_messages import HttpResponse


def error_response(error: StatusError) -> HttpResponse:
    """The answer of services that have no more to say than the status."""
    return respond_with_error(error_body(error), HTTP_STATUS[error.code])


def error_body(error: StatusError) -> dict[str, object]:
    return error_body_with(error, HTTP_STATUS[error.code], status=error.code.name)


def error_body_with(
    error: StatusError, http_status: int, *, status: str | None = None, entries: Sequence[Mapping[str, object]] = ()
) -> dict[str, object]:
    """`entries` are the `errors` that older APIs list; `status` is the code's name, which some of them leave out."""
    body: dict[str, Any] = {"code": http_status, "message": error.message}
    if entries:
        body["errors"] = list(entries)
    if status is not None:
        body["status"] = status
    if error.details:
        body["details"] = details_json(error.details)
    return {"error": body}


def respond_with_error(body: object, http_status: int) -> HttpResponse:
    # Half of a surrogate pair that a client sent is quoted in the message; as `\udc80` it can be sent back.
    encoded = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace")
    return HttpResponse(http_status, [("content-type", "application/json; charset=UTF-8")], encoded)
