"""The error answers of Cloud Storage's own dialect: statuses, and the JSON, plain or XML forms they come in."""

from __future__ import annotations

from typing import Final

from afterimage_emulator.front.error_body import error_body_with, respond_with_error
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.storage.errors import Reason, StorageError
from afterimage_emulator.wire.http_messages import HttpResponse

STATUSES: Final = {
    Reason.INVALID: 400,
    Reason.REQUIRED: 400,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.CONFLICT: 409,
    Reason.GONE: 410,
    Reason.CONDITION_NOT_MET: 412,
    Reason.NOT_MODIFIED: 304,
    Reason.RANGE_NOT_SATISFIABLE: 416,
    Reason.UPLOAD_CANCELLED: 499,
    Reason.TOO_LARGE: 413,
    Reason.DISK_FULL: 507,
    Reason.NOT_IMPLEMENTED: 501,
    Reason.BACKEND_ERROR: 503,
}
_XML_CODES: Final = {
    Reason.NOT_FOUND: "NoSuchKey",
    Reason.CONDITION_NOT_MET: "PreconditionFailed",
    Reason.RANGE_NOT_SATISFIABLE: "InvalidRange",
    Reason.NOT_IMPLEMENTED: "NotImplemented",
    Reason.FORBIDDEN: "AccessDenied",
}


def status_of(error: StatusError) -> int:
    if isinstance(error, StorageError):
        return STATUSES[error.reason]
    # A body that stalls is the client's timeout, not the service's.
    return 408 if error.code is Code.DEADLINE_EXCEEDED else HTTP_STATUS[error.code]


def reason_of(error: StatusError) -> str:
    if isinstance(error, StorageError):
        return error.reason.value
    return {Code.NOT_FOUND: "notFound", Code.UNIMPLEMENTED: "notImplemented"}.get(error.code, "invalid")


def json_error(error: StatusError) -> HttpResponse:
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    reason = reason_of(error)
    entry = {"message": error.message, "domain": "global", "reason": reason}
    if reason == Reason.CONDITION_NOT_MET:
        entry |= {"locationType": "header", "location": "If-Match"}
    return respond_with_error(error_body_with(error, status, entries=[entry]), status)


def media_error(error: StatusError, *, size: int | None = None) -> HttpResponse:
    """Downloads are answered in plain text when they fail, as production does."""
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    answer = HttpResponse(status, [("content-type", "text/html; charset=UTF-8")], error.message.encode())
    if status == 416 and size is not None:
        answer.with_header("content-range", f"bytes */{size}")
    return answer


def _escaped(text: str) -> str:
    """The standard library's own `escape` would bring a whole HTTP client into memory with it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def xml_error(error: StatusError) -> HttpResponse:
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    code = _XML_CODES.get(error.reason, "InvalidArgument") if isinstance(error, StorageError) else "InvalidArgument"
    body = (
        "<?xml version='1.0' encoding='UTF-8'?>"
        f"<Error><Code>{code}</Code><Message>{_escaped(error.message)}</Message></Error>"
    )
    return HttpResponse(status, [("content-type", "application/xml; charset=UTF-8")], body.encode())
