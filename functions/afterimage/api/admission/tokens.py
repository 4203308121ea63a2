"""What a caller's tokens prove: a user by the ID token, a genuine app by the App Check token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from afterimage.api.errors import ApiError, ErrorCode
from afterimage.faults import is_transient
from afterimage.paths import is_document_id
from afterimage.store import clients

UNREACHABLE = ("CertificateFetchError", "PyJWKClientConnectionError", "RefreshError", "TransportError")
"""Errors that say nothing about the token: whoever could vouch for it cannot be asked now."""


class CallerTokens(Protocol):
    """Whoever vouches for callers: Firebase, or one machine for its own."""

    def user(self, id_token: str) -> Mapping[str, Any]:
        """The claims of a user's token, `uid` among them; or ApiError for a token that proves nothing."""
        ...

    def app(self, app_check_token: str, *, consume: bool) -> str:
        """The id of the app; with `consume`, the token is good for no other call. ApiError for any other token."""
        ...


class FirebaseTokens:
    """Tokens of Firebase Authentication and App Check, in the project of one Firebase app."""

    def __init__(self, app_of_tokens: Callable[[], Any] = clients.firebase_app) -> None:
        self.app_of_tokens = app_of_tokens

    def user(self, id_token: str) -> Mapping[str, Any]:
        """The claims of a user's ID token, `uid` among them; or ApiError for a token that proves nothing."""
        from firebase_admin import auth

        app = self.app_of_tokens()
        try:
            claims: Mapping[str, Any] = auth.verify_id_token(id_token, app)
        except Exception as error:
            # Every kind: what a stranger sends as a token fails in as many ways as there are parsers behind this.
            raise _told_apart(error, ErrorCode.AUTHENTICATION_FAILED, "the ID token is not valid") from error
        if not is_document_id(str(claims.get("uid", ""))):
            raise ApiError(ErrorCode.AUTHENTICATION_FAILED, "the ID token names no user that documents could belong to")
        return claims

    def app(self, app_check_token: str, *, consume: bool) -> str:
        """The id of the app; with `consume`, the token is good for no other call. ApiError for any other token."""
        from firebase_admin import app_check

        try:
            claims = app_check.verify_token(app_check_token, self.app_of_tokens(), consume=consume)
        except Exception as error:
            raise _told_apart(error, ErrorCode.APP_CHECK_FAILED, "the App Check token is not valid") from error
        if consume and claims.get("already_consumed"):
            raise ApiError(
                ErrorCode.APP_CHECK_FAILED,
                "the App Check token was used before",
                "this route takes limited-use tokens, each once: fetch another",
            )
        return str(claims.get("app_id", ""))


def _told_apart(error: Exception, code: ErrorCode, sentence: str) -> ApiError:
    named = {cls.__name__ for cls in type(error).__mro__}
    if named & set(UNREACHABLE) or is_transient(error):
        return ApiError(
            ErrorCode.UNAVAILABLE, "the token cannot be verified now", "try again", headers={"Retry-After": "2"}
        )
    return ApiError(code, sentence, "sign in again, or refresh the token" if code.startswith("AUTH") else "")
