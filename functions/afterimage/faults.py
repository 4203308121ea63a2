"""The two kinds of fault: one that passes by itself, so that the same again may succeed, and one that does not."""

from __future__ import annotations

from typing import Final


class PermanentError(Exception):
    """A fault that delivering again cannot mend: the event goes to `_events` under this reason."""


class TransientError(Exception):
    """A fault that is expected to pass: the platform is asked to deliver again."""


_TRANSIENT: Final = frozenset({
    "Aborted", "BadGateway", "Cancelled", "ConnectionError", "ConnectTimeout", "DeadlineExceeded", "GatewayTimeout",
    "InternalServerError", "ReadTimeout", "ResourceExhausted", "RetryError", "ServiceUnavailable", "Timeout",
    "TimeoutError", "TooManyRequests", "TransientError", "TransportError", "Unknown",
})  # fmt: skip
"""Class names rather than classes: naming them costs no import, and each library has its own family of the same."""


def is_transient(error: BaseException) -> bool:
    """Whether the same delivery may succeed later: network, quota, contention, a service that is down."""
    return any(cls.__name__ in _TRANSIENT for cls in type(error).__mro__) or isinstance(error, ConnectionError)
