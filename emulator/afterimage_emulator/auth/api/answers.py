"""What Auth's HTTP answers share: the shape of errors, who is an admin, and JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping

from afterimage_emulator.auth.errors import AuthError, malformed
from afterimage_emulator.front.callers import caller_from_authorization
from afterimage_emulator.front.error_body import error_body_with, respond_with_error
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_LOGIN_REQUIRED = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_BAD_CREDENTIALS = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
    " authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)


def error_answer(error: StatusError) -> HttpResponse:
    reason = error.reason if isinstance(error, AuthError) else error.code.name.lower()
    status: str | None = None
    if reason != "invalid":  # refusals of the official service carry no status
        status = "NOT_IMPLEMENTED" if error.code is Code.UNIMPLEMENTED else error.code.name
    entry = {"message": error.message, "reason": reason, "domain": "global"}
    http_status = HTTP_STATUS[error.code]
    return respond_with_error(error_body_with(error, http_status, status=status, entries=[entry]), http_status)


def asks_as_admin(request: HttpRequest) -> bool:
    """Whether the request carries an admin's credential; any other credential is refused, as it is officially."""
    header = request.headers.get("authorization")
    if not header or not header.lower().startswith("bearer "):
        return False
    credential = header[len("bearer ") :].strip()
    if credential.lower() != "owner" and not caller_from_authorization(header).is_admin:
        raise AuthError(Code.UNAUTHENTICATED, _BAD_CREDENTIALS, reason="authError")
    return True


def require_admin(request: HttpRequest) -> None:
    if not asks_as_admin(request):
        raise AuthError(Code.UNAUTHENTICATED, _LOGIN_REQUIRED, reason="required")


def require_api_key(request: HttpRequest) -> None:
    """Any key will do, none will not: so that its absence is noticed here and not in production."""
    if not request.query_value("key") and not request.headers.get("x-goog-api-key"):
        raise AuthError(Code.PERMISSION_DENIED, "The request is missing a valid API key.", reason="forbidden")


async def json_body(request: HttpRequest) -> Mapping[str, object]:
    raw = await request.body.read()
    if not raw:
        return {}
    try:
        return read_json_object(raw)
    except UnreadableJsonError as error:
        raise malformed(str(error)) from None
