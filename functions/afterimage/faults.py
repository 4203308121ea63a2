"""The kinds of fault: one that passes by itself, one that does not, and one that nobody has thought of.

What our own code raises is a mistake, and the same event meets the same mistake again. What a library or the system
raises may be the weather of this process: a client made in the middle of a shutdown, a disk that is full, a thread that
could not be started. So a fault that nobody has thought of is judged by where it was raised.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import PurePath
from typing import Final


class PermanentError(Exception):
    """A fault that delivering again cannot mend: the event goes to `_events` under this reason."""


class TransientError(Exception):
    """A fault that is expected to pass: the platform is asked to deliver again."""


class FaultKind(StrEnum):
    """What delivering again can do."""

    TRANSIENT = "transient"
    """It passes: network, quota, contention, a service that is down."""
    UNKNOWN = "unknown"
    """A library or the system raised it, and it may pass; it is tried again for a while, not for a day."""
    PERMANENT = "permanent"


_TRANSIENT: Final = frozenset({
    "Aborted", "BadGateway", "Cancelled", "ConnectionError", "ConnectTimeout", "DeadlineExceeded", "GatewayTimeout",
    "InternalServerError", "ReadTimeout", "ResourceExhausted", "RetryError", "ServiceUnavailable", "Timeout",
    "TimeoutError", "TooManyRequests", "TransientError", "TransportError", "Unknown",
})  # fmt: skip
"""Class names rather than classes: naming them costs no import, and each library has its own family of the same."""
_TRANSIENT_CODES: Final = frozenset({
    "ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN",
})  # fmt: skip
_PERMANENT_CODES: Final = frozenset({
    "ALREADY_EXISTS", "CONFLICT", "DATA_LOSS", "FAILED_PRECONDITION", "INVALID_ARGUMENT", "NOT_FOUND", "OUT_OF_RANGE",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED",
})  # fmt: skip
_PASSING_STATUSES: Final = frozenset({408, 425, 429, 499, *range(500, 600)} - {501, 505})


def is_transient(error: BaseException) -> bool:
    """Whether the fault is known to pass. Jobs go by this: a document that trips a library keeps no other waiting."""
    return kind_of(error) is FaultKind.TRANSIENT


def kind_of(error: BaseException) -> FaultKind:
    """By what the libraries say themselves; where they say nothing, by whose class it is and whose code raised it."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if "PermanentError" in names:
        return FaultKind.PERMANENT
    if names & _TRANSIENT or isinstance(error, ConnectionError):
        return FaultKind.TRANSIENT
    told = _told_by_code(error)
    if told is not None:
        return told
    if isinstance(error, OSError | MemoryError) or _is_of_a_library(_defined_in(error)):
        return FaultKind.UNKNOWN
    return FaultKind.UNKNOWN if _is_of_a_library(_raised_in(error)) else FaultKind.PERMANENT


def _told_by_code(error: BaseException) -> FaultKind | None:
    """The code of the call that failed, as Google's, Firebase's, gRPC's and HTTP's libraries carry it."""
    code: object = getattr(error, "code", None)
    if callable(code):
        code = code()
    name = code if isinstance(code, str) else getattr(code, "name", None)
    if name in _TRANSIENT_CODES:
        return FaultKind.TRANSIENT
    if name in _PERMANENT_CODES:
        return FaultKind.PERMANENT
    status = code if isinstance(code, int) else getattr(getattr(error, "response", None), "status_code", None)
    if not isinstance(status, int) or status < 400:
        return None
    return FaultKind.TRANSIENT if status in _PASSING_STATUSES else FaultKind.PERMANENT


def _raised_in(error: BaseException) -> str:
    """The file whose line raised it; empty for one that was never raised."""
    step = error.__traceback__
    name = ""
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        step = step.tb_next
    return name


def _defined_in(error: BaseException) -> str:
    module = sys.modules.get(type(error).__module__.partition(".")[0])
    return str(getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), ""))


def _is_of_a_library(file: str) -> bool:
    """Installed beside us: neither our code, nor the app's, nor Python's own, which does what we ask it to."""
    return not _PACKAGES.isdisjoint(PurePath(file).parts)


_PACKAGES: Final = frozenset({"site-packages", "dist-packages"})
