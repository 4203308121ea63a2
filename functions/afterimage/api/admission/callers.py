"""Callers: the ID token and the App Check token of a request, as its route asks for them."""

from __future__ import annotations

from afterimage.api.admission.tokens import CallerTokens
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.routes import Access, AppCheck, Caller, Route

APP_CHECK_HEADER = "X-Firebase-AppCheck"
MOST_TOKEN_CHARACTERS = 8_192
"""No token that Firebase makes is longer."""


def caller_of(route: Route, authorization: str, app_check: str, tokens: CallerTokens, *, checks_apps: bool) -> Caller:
    """The caller, proven; or the ApiError that says what is missing."""
    app_id = _app(route, app_check, tokens) if checks_apps and route.app_check is not AppCheck.EXEMPT else ""
    if route.access is Access.ANYBODY:
        return Caller(app_id=app_id)
    claims = tokens.user(_bearer(authorization))
    is_admin = claims.get("admin") is True
    if route.access is Access.ADMIN and not is_admin:
        raise ApiError(ErrorCode.FORBIDDEN, "only an admin may do this", "the account needs the claim `admin: true`")
    return Caller(uid=str(claims["uid"]), is_admin=is_admin, app_id=app_id)


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ApiError(
            ErrorCode.AUTHENTICATION_FAILED,
            "this needs a signed-in user",
            "send `Authorization: Bearer` and the user's ID token",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return _of_bearable_length(token.strip(), ErrorCode.AUTHENTICATION_FAILED)


def _app(route: Route, token: str, tokens: CallerTokens) -> str:
    if not token:
        raise ApiError(
            ErrorCode.APP_CHECK_FAILED, "this needs a genuine app", f"send its App Check token as `{APP_CHECK_HEADER}`"
        )
    consume = route.app_check is AppCheck.CONSUMED
    return tokens.app(_of_bearable_length(token, ErrorCode.APP_CHECK_FAILED), consume=consume)


def _of_bearable_length(token: str, code: ErrorCode) -> str:
    if len(token) > MOST_TOKEN_CHARACTERS:
        raise ApiError(
            code, f"a token of {len(token)} characters is none", f"tokens have at most {MOST_TOKEN_CHARACTERS}"
        )
    return token
