"""The error answers of Cloud Storage's own dialect: statuses, and the JSON, plain or XML forms they come in."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.front.error_body import error_body_with, respond_with_error
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.storage.errors import Reason, SpecificError, StorageError
from afterimage_emulator.storage.messages.media_response import NO_SNIFFING, SANDBOX
from afterimage_emulator.wire.http_messages import HttpResponse

STATUSES: Final = {
    Reason.LOGIN_REQUIRED: 401,
    Reason.FORBIDDEN: 403,
    Reason.NOT_FOUND: 404,
    Reason.CONFLICT: 409,
    Reason.GONE: 410,
    Reason.CONDITION_NOT_MET: 412,
    Reason.NOT_MODIFIED: 304,
    Reason.RANGE_NOT_SATISFIABLE: 416,
    Reason.UPLOAD_CANCELLED: 499,
    Reason.TOO_LARGE: 413,
    Reason.RETENTION_NOT_MET: 403,
    Reason.DISK_FULL: 507,
    Reason.NOT_IMPLEMENTED: 501,
    Reason.BACKEND_ERROR: 503,
    Reason.RATE_LIMITED: 429,
}
_XML_CODES: Final = {
    Reason.NOT_FOUND: "NoSuchKey",
    Reason.CONDITION_NOT_MET: "PreconditionFailed",
    Reason.RANGE_NOT_SATISFIABLE: "InvalidRange",
    Reason.NOT_IMPLEMENTED: "NotImplemented",
    Reason.FORBIDDEN: "AccessDenied",
    Reason.LOGIN_REQUIRED: "AuthenticationRequired",
    Reason.CONFLICT: "Conflict",
    Reason.TOO_LARGE: "EntityTooLarge",
    Reason.RETENTION_NOT_MET: "RetentionPolicyNotMet",
    Reason.DISK_FULL: "InsufficientStorage",
    Reason.BACKEND_ERROR: "ServiceUnavailable",
    Reason.RATE_LIMITED: "SlowDown",
}
_XML_MESSAGES: Final = {
    400: "Invalid argument.",
    401: "Authentication required.",
    403: "Access denied.",
    412: "At least one of the pre-conditions you specified did not hold.",
    416: "The requested range cannot be satisfied.",
}
"""What production says beside the code; the words that help stand in Details."""
_XML_SPECIFIC_MESSAGES: Final = {
    "NoSuchKey": "The specified key does not exist.",
    "NoSuchBucket": "The specified bucket does not exist.",
    "NoSuchUpload": "The requested upload was not found.",
    "BadDigest": "The Content-MD5 or checksum you specified did not match what was received.",
    "BucketAlreadyOwnedByYou": "Your previous request to create the named bucket succeeded and you already own it.",
    "BucketNotEmpty": "The bucket you tried to delete is not empty.",
    "InvalidPart": "One or more of the specified parts could not be found.",
    "InvalidPartOrder": "The list of parts was not in ascending order.",
    "EntityTooSmall": "Your proposed upload is smaller than the minimum object size specified in your Policy Document.",
    "MalformedXML": "The XML you provided was not well-formed or did not validate.",
}
_NOT_IN_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def status_of(error: StatusError) -> int:
    if isinstance(error, StorageError):
        return STATUSES.get(error.reason, 400)
    # A body that stalls is the client's timeout, not the service's.
    return 408 if error.code is Code.DEADLINE_EXCEEDED else HTTP_STATUS[error.code]


def json_reason(error: StatusError) -> str:
    if isinstance(error, StorageError):
        return error.reason.value
    return {Code.NOT_FOUND: "notFound", Code.UNIMPLEMENTED: "notImplemented"}.get(error.code, "invalid")


def json_error(error: StatusError) -> HttpResponse:
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    reason = json_reason(error)
    entry = {"message": error.message, "domain": "global", "reason": reason}
    if reason == Reason.CONDITION_NOT_MET:
        entry |= {"locationType": "header", "location": "If-Match"}
    return respond_with_error(error_body_with(error, status, entries=[entry]), status)


def media_error(error: StatusError, *, size: int | None = None) -> HttpResponse:
    """Downloads are answered in plain text when they fail, as production does."""
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    answer = HttpResponse(
        status,
        [("content-type", "text/html; charset=UTF-8"), NO_SNIFFING, SANDBOX],  # the message repeats what was asked for
        error.message.encode(errors="replace"),
    )
    if status == 416 and size is not None:
        answer.with_header("content-range", f"bytes */{size}")
    return answer


def escaped(text: str) -> str:
    """For XML. The standard library's own `escape` would bring a whole HTTP client into memory with it."""
    text = _NOT_IN_XML.sub("\ufffd", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def xml_error(error: StatusError) -> HttpResponse:
    """Every answer has Code, Message and Details: clients read all three."""
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    code = _XML_CODES.get(error.reason, "InvalidArgument") if isinstance(error, StorageError) else "InvalidArgument"
    if isinstance(error, SpecificError):
        code = error.specific_code
    parts = {
        "Code": code,
        "Message": _XML_SPECIFIC_MESSAGES.get(code) or _XML_MESSAGES.get(status) or error.message,
        "Details": error.message,
    }
    if isinstance(error, SpecificError):
        parts |= {
            name: text
            for name, text in (
                ("ParameterName", error.parameter),
                ("StringToSign", error.string_to_sign),
                ("CanonicalRequest", error.canonical_request),
            )
            if text is not None
        }
    inside = "".join(f"<{name}>{escaped(text)}</{name}>" for name, text in parts.items())
    return xml_response(f"<Error>{inside}</Error>", status)


def xml_response(body: str, status: int = 200) -> HttpResponse:
    document = "<?xml version='1.0' encoding='UTF-8'?>" + body
    return HttpResponse(status, [("content-type", "application/xml; charset=UTF-8")], document.encode(errors="replace"))
