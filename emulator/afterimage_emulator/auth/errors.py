"""The ways in which an Auth request is refused, with the texts that the SDKs map to their own error codes."""

from __future__ import annotations

from collections.abc import Mapping

from afterimage_emulator.status import Code, StatusError

_PLAIN: Mapping[str, str] = {"domain": "global"}


class AuthError(StatusError):
    """A refusal. `message` is the official text; `reason` and `more` are what the answer's `errors` list says."""

    def __init__(
        self, code: Code, message: str, *, reason: str, status: str | None, more: Mapping[str, str] = _PLAIN
    ) -> None:
        super().__init__(code, message)
        self.reason = reason
        self.status = status
        self.more = more


def refused(message: str) -> AuthError:
    """What the official service answers with status 400, such as `EMAIL_EXISTS`."""
    return AuthError(Code.INVALID_ARGUMENT, message, reason="invalid", status=None)


def malformed(message: str) -> AuthError:
    """A field of the wrong type, after its path: `/email must be string`."""
    text = f"Invalid JSON payload received. {message}"
    return AuthError(Code.INVALID_ARGUMENT, text, reason="invalid", status="INVALID_ARGUMENT")


def unreadable(message: str) -> AuthError:
    """The body is no JSON at all."""
    text = f"Invalid JSON payload received. {message}"
    return AuthError(Code.INVALID_ARGUMENT, text, reason="parseError", status="INVALID_ARGUMENT")


def not_in_auth(feature: str) -> AuthError:
    # SDKs take what stands before " : " for the error's name and show the rest to people.
    message = f"NOT_IMPLEMENTED : `{feature}` is not implemented here; docs/auth.md lists what is"
    return AuthError(Code.UNIMPLEMENTED, message, reason="unimplemented", status="NOT_IMPLEMENTED", more={})
