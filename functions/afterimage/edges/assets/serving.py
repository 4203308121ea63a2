"""The function `assets`: a Flask request in, a streamed answer out, and one shape for everything that is refused."""

from __future__ import annotations

import os
import re
import traceback
from typing import TYPE_CHECKING, Any, Final

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.parsing import encoded
from afterimage.api.request_log import log_request, request_id_of
from afterimage.edges.assets.origin import FOR_NOBODY, AssetRequest, AssetResponse, Origin
from afterimage.edges.assets.signing import AssetSigner
from afterimage.edges.cdn.providers import provider_from
from afterimage.faults import is_transient
from afterimage.made_once import made_once
from afterimage.store import clients

if TYPE_CHECKING:
    from flask import Request, Response

_HOST: Final = re.compile(r"\Ahttps?://[^/?#]*")
"""What stands before a path where a proxy is asked: no part of what caches tell addresses apart by here."""
_READ: Final = ("accept", "if-none-match", "if-range", "range")
"""The only headers that change an answer."""


@made_once
def origin() -> Origin:
    settings = clients.settings()
    key = os.environ.get("ASSETS_SIGNING_KEY", "").strip()
    return Origin(
        documents=clients.documents(),
        files=clients.files(),
        derived_bucket=settings.derived_bucket,
        network=provider_from(with_secrets=False),
        signer=AssetSigner(key=key) if key else None,
        keep_for=settings.cdn_keep_for,
    )


def serve_asset(request: Request) -> Response:
    return answered(origin, request, clients.settings().project_id)


def answered(make: Any, request: Request, project_id: str) -> Response:
    """The origin's answer as Flask's; whatever goes wrong is told in the shape of the API, and kept by nobody."""
    trace = request.headers.get("X-Cloud-Trace-Context", "")
    request_id = request_id_of(request.headers.get("X-Request-Id", ""), trace)
    try:
        asked = AssetRequest(
            method=request.method,
            path=request.path,
            target=_HOST.sub("", request.environ.get("RAW_URI", "")),
            query=request.args.to_dict(),
            headers={name: request.headers[name] for name in _READ if name in request.headers},
        )
        answer: AssetResponse = make().answer(asked)
    except ApiError as refusal:
        return _refused(refusal, request_id)
    except Exception as error:
        # Every kind: a store that is down, a setting that is wrong, a fault of our own.
        stack = "".join(traceback.format_exception(error))[-8000:]
        log_request(
            severity="ERROR", message=f"asset {request.path[:200]}", project_id=project_id, trace=trace,
            request_id=request_id, reason=f"{type(error).__name__}: {error}"[:2000], stack=stack,
        )  # fmt: skip
        passes = is_transient(error)
        code = ErrorCode.UNAVAILABLE if passes else ErrorCode.INTERNAL
        headers = {"Retry-After": "1"} if passes else {}
        return _refused(ApiError(code, "the file cannot be served now", "try again", headers=headers), request_id)
    return _response(answer, request_id)


def _response(answer: AssetResponse, request_id: str) -> Response:
    from flask import Response

    response = Response(answer.body, status=answer.status)
    response.headers.clear()
    for name, value in answer.headers.items():
        response.headers[name] = value
    if answer.headers.get("Cache-Control") == FOR_NOBODY:
        # What others are given again names no request: it would be the first one's, in words that its sender chose.
        response.headers["X-Request-Id"] = request_id
    return response


def _refused(refusal: ApiError, request_id: str) -> Response:
    from flask import Response

    response = Response(encoded(refusal.body), status=refusal.status, content_type="application/json")
    for name, value in ({"Cache-Control": FOR_NOBODY, "X-Content-Type-Options": "nosniff"} | refusal.headers).items():
        response.headers[name] = value
    response.headers["X-Request-Id"] = request_id
    return response
