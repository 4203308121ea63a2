"""Owns how Identity Toolkit's refusals read: Firebase's code, what it means, and the way out (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afterimage_client.errors import AuthError

_AGAIN: Final = "sign in again"
_SAME: Final = "ask for the e-mail and the password again"

_REFUSALS: Final[Mapping[str, tuple[str, str, str]]] = {
    "EMAIL_EXISTS": ("email-already-in-use", "another account has this e-mail", "sign in to that account instead"),
    "EMAIL_NOT_FOUND": ("user-not-found", "no account has this e-mail", "sign up, or correct the e-mail"),
    "INVALID_PASSWORD": ("wrong-password", "the password is wrong", "ask again, or send a password reset"),
    "INVALID_LOGIN_CREDENTIALS": ("invalid-credential", "no account has this e-mail and password", _SAME),
    "INVALID_EMAIL": ("invalid-email", "the e-mail is not one, or not the one the link was sent to", "correct it"),
    "MISSING_EMAIL": ("missing-email", "the e-mail is missing", "give it"),
    "MISSING_PASSWORD": ("missing-password", "the password is missing", "give it"),
    "WEAK_PASSWORD": ("weak-password", "the password is too weak", "choose one of 6 characters or more"),
    "PASSWORD_DOES_NOT_MEET_REQUIREMENTS": (
        "password-does-not-meet-requirements",
        "the password breaks the project's policy",
        "choose another",
    ),
    "USER_DISABLED": ("user-disabled", "an administrator has disabled this account", "ask them to enable it"),
    "USER_NOT_FOUND": ("user-token-expired", "the account is gone", _AGAIN),
    "TOKEN_EXPIRED": ("user-token-expired", "the session has ended: the password changed, or it was revoked", _AGAIN),
    "INVALID_ID_TOKEN": ("invalid-user-token", "the session is not one of this project", _AGAIN),
    "INVALID_REFRESH_TOKEN": ("invalid-user-token", "the session is not one of this project", _AGAIN),
    "INVALID_GRANT_TYPE": ("internal-error", "the token service did not understand this client", "report it"),
    "CREDENTIAL_TOO_OLD_LOGIN_AGAIN": ("requires-recent-login", "this needs a recent sign-in", _AGAIN),
    "INVALID_CUSTOM_TOKEN": ("invalid-custom-token", "the custom token cannot be read", "mint another on the server"),
    "CREDENTIAL_MISMATCH": ("custom-token-mismatch", "the custom token is another project's", "mint it for this one"),
    "MISSING_CUSTOM_TOKEN": ("internal-error", "the custom token is missing", "give it"),
    "INVALID_OOB_CODE": ("invalid-action-code", "the link was used already, or is not one", "send another"),
    "EXPIRED_OOB_CODE": ("expired-action-code", "the link is too old", "send another"),
    "MISSING_OOB_CODE": ("invalid-action-code", "the link has no code", "open the link as it came"),
    "OPERATION_NOT_ALLOWED": (
        "operation-not-allowed",
        "this way to sign in is switched off",
        "switch it on in the Firebase console under Authentication, Sign-in method",
    ),
    "PASSWORD_LOGIN_DISABLED": ("operation-not-allowed", "sign-in by password is switched off", "use another way"),
    "ADMIN_ONLY_OPERATION": ("admin-restricted-operation", "only administrators make accounts here", "ask one"),
    "TOO_MANY_ATTEMPTS_TRY_LATER": ("too-many-requests", "too many attempts from this device", "wait, then try again"),
    "QUOTA_EXCEEDED": ("quota-exceeded", "the project's quota for this is used up", "try again tomorrow"),
    "API_KEY_INVALID": ("api-key-not-valid", "the API key is not one", "copy `apiKey` from the project's settings"),
    "NOT_IMPLEMENTED": ("not-implemented", "this emulator has no such operation", "use another emulator, or none"),
    "UNAUTHORIZED_DOMAIN": (
        "unauthorized-continue-uri",
        "the domain of the continue URL is not allowed",
        "add it in the Firebase console under Authentication, Settings",
    ),
    "INVALID_CONTINUE_URI": ("invalid-continue-uri", "the continue URL is no absolute URL", "write it with https://"),
    "FEDERATED_USER_ID_ALREADY_LINKED": ("credential-already-in-use", "another account has it", "sign in to that one"),
}

SESSION_IS_OVER: Final = frozenset({"user-disabled", "user-token-expired", "invalid-user-token", "user-not-found"})
"""With these codes no further try can renew a session."""


def sign_in_refusal(status: int, body: object) -> AuthError:
    """The error for an answer that is none; also for one that no Identity Toolkit wrote, such as a proxy's."""
    name, detail = _named(body)
    if name is None:
        return AuthError(
            "internal-error",
            f"the sign-in service answered with status `{status}`",
            way_out="try again later",
            is_transient=status >= 500 or status == 429,
        )
    if name.startswith("API key not valid") or "API key" in name:
        name = "API_KEY_INVALID"
    code, message, way_out = _REFUSALS.get(
        name, (name.lower().replace("_", "-").replace(" ", "-").rstrip("."), "the sign-in service refused", "")
    )
    if detail:
        message = f"{message} ({detail})"
    is_transient = status >= 500 and status != 501
    return AuthError(code, message, way_out=way_out, is_transient=is_transient or name == "TOO_MANY_ATTEMPTS_TRY_LATER")


def _named(body: object) -> tuple[str | None, str]:
    error = body.get("error") if isinstance(body, Mapping) else None
    message: Any = error.get("message") if isinstance(error, Mapping) else None
    if not isinstance(message, str) or not message:
        return None, ""
    name, _, detail = message.partition(" : ")
    return name.strip(), detail.strip()
