"""A request from its arrival to its answer: caller, limits, parsing, handler, and one shape for everything refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from afterimage.api.admission.callers import APP_CHECK_HEADER, caller_of
from afterimage.api.admission.cross_origin import cross_origin_headers, preflight_headers
from afterimage.api.admission.idempotency import operation_of, operation_without_key
from afterimage.api.admission.rate_limits import AddressLimits, RateLimits
from afterimage.api.dispatch import Matched, RouteTable
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.parsing import encoded, parsed_body, parsed_query
from afterimage.api.request_log import log_request, request_id_of
from afterimage.api.routes import Access, Asked, Caller, Cost, Reply, Route
from afterimage.api.services import Services
from afterimage.delivery.handler_names import handler_at
from afterimage.faults import is_transient
from afterimage.store.documents import ConflictError, ErasedError, NoRoomError

if TYPE_CHECKING:
    from flask import Request, Response

FIXED_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
}
Handler = Callable[[Services, Caller, Asked[Any, Any]], object]


@dataclass
class _Progress:
    """What is known of a request so far, for its answer and its line in the log."""

    request_id: str
    began: float
    route: Route | None = None
    uid: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    """Serves the routes of a table; a Flask request in, a Flask response out, and never an exception."""

    def __init__(self, table: RouteTable, services: Services, *, clock: Callable[[], float] = time.time) -> None:
        self.table = table
        self._services = services
        self._settings = services.settings()
        self._users = RateLimits(services.documents, clock=clock)
        self._strangers = AddressLimits(clock=clock)

    def __call__(self, request: Request) -> Response:
        trace = request.headers.get("X-Cloud-Trace-Context", "")
        so_far = _Progress(
            request_id=request_id_of(request.headers.get("X-Request-Id", ""), trace), began=time.perf_counter()
        )
        reason: BaseException | None = None
        try:
            answer = self._answer(request, so_far)
        except Exception as error:
            # Every kind: whatever a handler, a library or Flask itself raises, the caller gets the one shape.
            refusal, reason = _refusal_of(error)
            so_far.headers |= refusal.headers
            answer = Reply(body=refusal.body, status=refusal.status)
        response = self._written(request, answer, so_far)
        self._log(request, response.status_code, trace, so_far, reason)
        return response

    def _answer(self, request: Request, so_far: _Progress) -> Reply:
        if request.method == "OPTIONS":
            return self._preflight(request)
        try:
            matched = self.table.match(request.method, request.path)
        except ApiError:
            self._strangers.admit(_address(request))
            raise
        route = so_far.route = matched.route
        caller = self._admitted(request, route, so_far)
        asked = self._asked(request, matched, caller, so_far)
        handler: Handler = handler_at(route.handler)
        answer = handler(self._services, caller, asked)
        return answer if isinstance(answer, Reply) else Reply(body=answer)

    def _preflight(self, request: Request) -> Reply:
        methods = self.table.methods_at(request.path)
        headers = preflight_headers(request.headers.get("Origin", ""), self._settings.allowed_origins, methods)
        return Reply(body=None, status=204, headers=headers)

    def _admitted(self, request: Request, route: Route, so_far: _Progress) -> Caller:
        """The caller, proven and within the limit. Callers that prove nothing are counted by their address."""
        try:
            if route.access is Access.ANYBODY:
                self._strangers.admit(_address(request))
            caller = caller_of(
                route,
                request.headers.get("Authorization", ""),
                request.headers.get(APP_CHECK_HEADER, ""),
                self._services.tokens,
                checks_apps=self._settings.checks_apps,
            )
        except ApiError as error:
            if route.access is not Access.ANYBODY and error.code is not ErrorCode.UNAVAILABLE:
                self._strangers.admit(_address(request))
            raise
        so_far.uid = caller.uid
        if caller.uid and route.cost is not Cost.FREE:
            so_far.headers |= self._users.admit(caller.uid).headers
        return caller

    def _asked(self, request: Request, matched: Matched, caller: Caller, so_far: _Progress) -> Asked[Any, Any]:
        route = matched.route
        query = parsed_query(request.args.to_dict(flat=False), route.query)
        data, body = b"", None
        if route.body is not None:
            request.max_content_length = route.body_limit_bytes
            data = request.get_data(cache=False)
            body = parsed_body(data, request.headers.get("Content-Type", ""), route.body)
        operation = operation_without_key()
        key = request.headers.get("Idempotency-Key")
        if key is not None and route.takes_idempotency_key:
            operation = operation_of(
                self._services.documents(),
                uid=caller.uid,
                route=f"{route.method} {route.path}",
                key=key,
                request=b"\n".join([request.full_path.encode(), data]),
                now=self._services.now(),
            )
        return Asked(
            path=matched.path,
            query=query,
            body=body,
            content_type=request.headers.get("Content-Type", ""),
            operation_id=operation,
            request_id=so_far.request_id,
        )

    def _written(self, request: Request, answer: Reply, so_far: _Progress) -> Response:
        from flask import Response

        status = answer.status or (so_far.route.status if so_far.route else 200)
        data = answer.body if isinstance(answer.body, bytes) else b"" if answer.body is None else encoded(answer.body)
        response = Response(data, status=status, content_type=answer.content_type)
        origin = cross_origin_headers(request.headers.get("Origin", ""), self._settings.allowed_origins)
        for name, value in (FIXED_HEADERS | origin | so_far.headers | dict(answer.headers)).items():
            response.headers[name] = value
        response.headers["X-Request-Id"] = so_far.request_id
        return response

    def _log(self, request: Request, status: int, trace: str, so_far: _Progress, reason: BaseException | None) -> None:
        route = so_far.route.path if so_far.route else "no route"
        fields: dict[str, Any] = {
            "request_id": so_far.request_id,
            "method": request.method[:16],
            "route": route,
            "status": status,
            "milliseconds": round((time.perf_counter() - so_far.began) * 1000, 1),
            "uid": so_far.uid,
        }
        if reason is not None:
            fields["reason"] = f"{type(reason).__name__}: {reason}"[:2000]
        if status >= 500 and reason is not None:
            import traceback

            fields["stack"] = "".join(traceback.format_exception(reason))[-8000:]
        severity = "ERROR" if status == 500 else "WARNING" if status >= 500 else "INFO"
        project_id = self._settings.project_id
        message = f"{request.method[:16]} {route} {status}"
        log_request(severity=severity, message=message, project_id=project_id, trace=trace, **fields)


def _address(request: Request) -> str:
    """Where the request came from: the last address in the list, which the platform's own front wrote."""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return (forwarded or request.remote_addr or "")[:64]


def _refusal_of(error: Exception) -> tuple[ApiError, BaseException | None]:
    """An exception as an answer, and what the log should hear of it."""
    if isinstance(error, ApiError):
        return error, error.__cause__
    status = getattr(error, "code", None)
    if type(error).__module__.startswith("werkzeug.") and isinstance(status, int):
        code = _OF_STATUS.get(status, ErrorCode.INVALID_REQUEST if status < 500 else ErrorCode.INTERNAL)
        sentence = str(getattr(error, "description", None) or "the request cannot be read")
        return ApiError(code, f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}"), error
    if isinstance(error, NoRoomError):
        return ApiError(ErrorCode.STORAGE_QUOTA_EXCEEDED, str(error), "clean up, or ask whoever runs this"), error
    if isinstance(error, ErasedError):
        erased = "the account was erased while this was under way"
        return ApiError(ErrorCode.CONFLICT, erased, "nothing of it was kept"), error
    if is_transient(error) or isinstance(error, ConflictError):
        refusal = ApiError(ErrorCode.UNAVAILABLE, "this cannot be done now", "try again", headers={"Retry-After": "1"})
        return refusal, error
    return ApiError(ErrorCode.INTERNAL, "something went wrong here", "the request id finds it in our logs"), error


_OF_STATUS: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.REQUEST_TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    503: ErrorCode.UNAVAILABLE,
}
"""What Flask refuses, by the status that it would have answered; everything else below 500 is an invalid request."""
