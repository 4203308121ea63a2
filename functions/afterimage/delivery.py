"""How events reach handlers: decoded so that nothing can raise before the handler runs, and never lost in silence.

The platform delivers at least once, unordered and possibly late. firebase-functions 0.6 decodes an event before the
handler sees it and can raise there (times with nine digits or none, references into other projects), and it has no
`retry` option for storage and document triggers. So the SDK declares each trigger here, and this module receives.

Every delivery ends in one of four ways: the handler returned; a transient fault was raised again, so that the platform
delivers once more; a permanent one was written to `_events` with the whole event, where `replay` finds it; or, if even
that cannot be written, the event is logged whole and the delivery fails.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from afterimage.dead_letters import DeadLetter, DeadLetters

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent

logger = logging.getLogger("afterimage.delivery")


class PermanentError(Exception):
    """A fault that delivering again cannot mend: the event goes to `_events` under this reason."""


class TransientError(Exception):
    """A fault that is expected to pass: the platform is asked to deliver again."""


class Clock(Protocol):
    def __call__(self) -> datetime: ...


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Takes raw events in and sees each one through to one of its four ends."""

    dead_letters: Callable[[], DeadLetters]
    age_limit: Callable[[], timedelta]
    platform_retries: Callable[[], bool]
    now: Clock = lambda: datetime.now(UTC)

    def receive(self, trigger: str, raw: CloudEvent, decode: Decoder, handle: Callable[[Any], object]) -> None:
        """Decodes and handles one event; raises only to ask for another delivery."""
        attributes = {str(key): str(value) for key, value in raw.get_attributes().items()}
        data = raw.get_data()
        try:
            event = decode(attributes, data)
        except Exception as error:
            self._bury(trigger, attributes, data, f"cannot decode: {_described(error)}")
            return
        age = self.now() - event.envelope.time
        if age > self.age_limit():
            self._bury(trigger, attributes, data, f"too old: {age.total_seconds() / 3600:.1f} hours")
            return
        try:
            handle(event)
        except Exception as error:
            if is_transient(error) and self.platform_retries():
                raise
            kind = "transient, and the platform does not retry" if is_transient(error) else "permanent"
            logger.exception("%s failed on `%s`", trigger, attributes.get("subject", attributes.get("id", "")))
            self._bury(trigger, attributes, data, f"{kind}: {_described(error)}")

    def _bury(self, trigger: str, attributes: Mapping[str, str], data: object, reason: str) -> None:
        letter = DeadLetter.of(trigger=trigger, attributes=attributes, data=data, reason=reason, at=self.now())
        try:
            self.dead_letters().record(letter)
        except Exception:
            # The log is the last resort; the raise makes the platform count the delivery as failed.
            logger.error("event lost unless replayed from this line: %s", json.dumps(letter.as_fields(), default=str))
            raise
        logger.error("%s recorded an event for replay: %s", trigger, reason)


type_of_transient: Final = frozenset({
    "Aborted", "BadGateway", "Cancelled", "ConnectionError", "ConnectTimeout", "DeadlineExceeded", "GatewayTimeout",
    "InternalServerError", "ReadTimeout", "ResourceExhausted", "RetryError", "ServiceUnavailable", "Timeout",
    "TimeoutError", "TooManyRequests", "TransientError", "TransportError", "Unknown",
})  # fmt: skip
"""Class names rather than classes: naming them costs no import, and each library has its own family of the same."""


def is_transient(error: BaseException) -> bool:
    """Whether the same delivery may succeed later: network, quota, contention, a service that is down."""
    return any(cls.__name__ in type_of_transient for cls in type(error).__mro__) or isinstance(error, ConnectionError)


class Decoder(Protocol):
    def __call__(self, attributes: Mapping[str, str], data: object, /) -> Any: ...


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:1000]


def handler_at(place: str) -> Callable[[Any], object]:
    """The function named by `package.module:function`, imported when first needed: a cold start loads only its own."""
    module, _, function = place.partition(":")
    found: Callable[[Any], object] = getattr(importlib.import_module(module), function)
    return found
