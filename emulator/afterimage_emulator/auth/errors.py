"""The ways in which an Auth request is refused, with the texts that the SDKs map to their own error codes."""

from __future__ import annotations

from afterimage_emulator.status import Code, StatusError


class AuthError(StatusError):
    """A refusal. `message` is the official text; `reason` is what the answer's `errors` list says."""

    def __init__(self, code: Code, message: str, *, reason: str = "invalid") -> None:
        super().__init__(code, message)
        self.reason = reason


def refused(message: str) -> AuthError:
    """What the official service answers with status 400, such as `EMAIL_EXISTS`."""
    return AuthError(Code.INVALID_ARGUMENT, message)


def malformed(message: str) -> AuthError:
    """The request itself is broken: not JSON, or a field of the wrong type."""
    return AuthError(Code.INVALID_ARGUMENT, f"Invalid JSON payload received. {message}", reason="parseError")


def not_in_auth(feature: str) -> AuthError:
    # SDKs take what stands before " : " for the error's name and show the rest to people.
    message = f"NOT_IMPLEMENTED : `{feature}` is not implemented here; docs/auth.md lists what is"
    return AuthError(Code.UNIMPLEMENTED, message, reason="unimplemented")
