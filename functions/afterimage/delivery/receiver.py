"""How events reach handlers: decoded so that nothing can raise before the handler runs, and never lost in silence.

The platform delivers at least once, unordered and possibly late. firebase-functions 0.6 decodes an event before the
handler sees it and can raise there (times with nine digits or none, references into other projects), and it has no
`retry` option for storage and document triggers. So the SDK only declares each trigger, and this module receives.

Every delivery ends in one of four ways: the handler returned; a fault that may pass was raised again, so that the
platform delivers once more; a permanent one was written to `_events` with the whole event, where `replay` finds it; or,
if even that cannot be written, the event is logged whole and the delivery fails.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.faults import FaultKind, kind_of

if TYPE_CHECKING:
    from cloudevents.http import CloudEvent

logger = logging.getLogger("afterimage.delivery")

UNKNOWN_AGE_LIMIT: Final = timedelta(hours=1)
"""How long an event is delivered again after faults that nobody has thought of."""


class Clock(Protocol):
    def __call__(self) -> datetime: ...


class Decoder(Protocol):
    def __call__(self, attributes: Mapping[str, str], data: object, /) -> Any: ...


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
            kind = kind_of(error)
            may_pass = kind is FaultKind.TRANSIENT or (kind is FaultKind.UNKNOWN and age <= UNKNOWN_AGE_LIMIT)
            if may_pass and self.platform_retries():
                raise
            why = f"{kind}, and the platform does not retry" if may_pass else str(kind)
            logger.exception("%s failed on `%s`", trigger, attributes.get("subject", attributes.get("id", "")))
            self._bury(trigger, attributes, data, f"{why}: {_described(error)}")

    def _bury(self, trigger: str, attributes: Mapping[str, str], data: object, reason: str) -> None:
        letter = DeadLetter.of(trigger=trigger, attributes=attributes, data=data, reason=reason, at=self.now())
        try:
            self.dead_letters().record(letter)
        except Exception:
            # The log is the last resort; the raise makes the platform count the delivery as failed.
            logger.error("event lost unless replayed from this line: %s", json.dumps(letter.as_fields(), default=str))
            raise
        logger.error("%s recorded an event for replay: %s", trigger, reason)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:1000]
