"""What Auth's HTTP answers share: the shape of errors, who asks, and JSON bodies."""

from __future__ import annotations

from collections.abc import Mapping

from afterimage_emulator.auth.errors import AuthError, malformed, unreadable
from afterimage_emulator.auth.requests.request_reading import with_camel_case
from afterimage_emulator.front.callers import caller_from_authorization
from afterimage_emulator.front.error_body import error_body_with, respond_with_error
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json
from afterimage_emulator.status import HTTP_STATUS, Code, StatusError
from afterimage_emulator.turns import elsewhere
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_SEE = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. "
    "See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_LOGIN_REQUIRED = f"Request is missing required authentication credential. {_SEE}"
_BAD_CREDENTIALS = f"Request had invalid authentication credentials. {_SEE}"
_IN_HEADER = {"domain": "global", "location": "Authorization", "locationType": "header"}


def error_answer(error: StatusError) -> HttpResponse:
    http_status = HTTP_STATUS[error.code]
    if isinstance(error, AuthError):
        entry = {"message": error.message, "reason": error.reason, **error.more}
        status = error.status
    elif error.code is Code.NOT_FOUND:
        entry, status = {"message": error.message, "reason": "notFound"}, error.code.name
    else:
        entry = {"message": error.message, "reason": error.code.name.lower(), "domain": "global"}
        status = error.code.name
    return respond_with_error(error_body_with(error, http_status, status=status, entries=[entry]), http_status)


def asks_as_admin(request: HttpRequest) -> bool:
    """Whether the request carries an admin's credential; any other credential is refused, as it is officially."""
    header = request.headers.get("authorization")
    if not header or not header.lower().startswith("bearer "):
        return False
    credential = header[len("bearer ") :].strip()
    if credential.lower() != "owner" and not caller_from_authorization(header).is_admin:
        more = {"message": "Invalid Credentials", **_IN_HEADER}
        raise AuthError(Code.UNAUTHENTICATED, _BAD_CREDENTIALS, reason="authError", status="UNAUTHENTICATED", more=more)
    return True


def require_admin(request: HttpRequest) -> None:
    if not asks_as_admin(request):
        more = {"message": "Login Required.", **_IN_HEADER}
        raise AuthError(Code.UNAUTHENTICATED, _LOGIN_REQUIRED, reason="required", status="UNAUTHENTICATED", more=more)


def require_api_key(request: HttpRequest) -> None:
    """Any key will do, none will not: so that its absence is noticed here and not in production."""
    if not request.query_value("key") and not request.headers.get("x-goog-api-key"):
        raise AuthError(
            Code.PERMISSION_DENIED,
            "The request is missing a valid API key.",
            reason="forbidden",
            status="PERMISSION_DENIED",
        )


async def json_body(request: HttpRequest) -> Mapping[str, object]:
    raw = await request.body.read()
    if not raw:
        return {}
    try:
        value = await elsewhere(len(raw), read_json, raw)
    except UnreadableJsonError as error:
        raise unreadable(str(error)) from None
    if isinstance(value, list):
        raise malformed(" must be object")
    if not isinstance(value, dict):
        raise unreadable("it is not a JSON object")
    found: dict[str, object] = with_camel_case(value)
    return found
