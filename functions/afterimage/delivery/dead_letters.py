"""Events that could not be handled: each one whole in a document of `_events`, until it is replayed.

A letter that was closed says when it may go (`expires_at`); a TTL policy deletes it then. An open one never goes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.paths import DEAD_LETTERS, dead_letter_path
from afterimage.settings import KEEP_FINISHED_FOR
from afterimage.store.documents import Change, DocumentStore, Expect, Query, Replace, Where

DATA_LIMIT_BYTES: Final = 900_000
"""What fits into one document beside the rest; larger data is cut, which the letter says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """One event that was not handled, and why."""

    key: str
    trigger: str
    attributes: Mapping[str, str]
    data: str
    data_is_base64: bool
    data_is_cut: bool
    reason: str
    recorded_at: datetime

    @classmethod
    def of(cls, *, trigger: str, attributes: Mapping[str, str], data: object, reason: str, at: datetime) -> DeadLetter:
        is_binary = isinstance(data, bytes | bytearray)
        text = base64.b64encode(data).decode() if isinstance(data, bytes | bytearray) else json.dumps(data, default=str)
        # The same event through the same trigger is the same letter, however often it comes.
        identity = "\n".join([trigger, attributes.get("source", ""), attributes.get("id", ""), text])
        return cls(
            key=hashlib.sha256(identity.encode()).hexdigest()[:32],
            trigger=trigger,
            attributes=dict(attributes),
            data=text[:DATA_LIMIT_BYTES],
            data_is_base64=is_binary,
            data_is_cut=len(text) > DATA_LIMIT_BYTES,
            reason=reason,
            recorded_at=at,
        )

    def raw_data(self) -> object:
        """The data as it was received."""
        return base64.b64decode(self.data) if self.data_is_base64 else json.loads(self.data)

    def as_fields(self) -> dict[str, Any]:
        return {
            "trigger": self.trigger,
            "attributes": dict(self.attributes),
            "data": self.data,
            "data_is_base64": self.data_is_base64,
            "data_is_cut": self.data_is_cut,
            "reason": self.reason,
            "recorded_at": self.recorded_at,
            "status": "open",
        }

    @classmethod
    def from_fields(cls, key: str, fields: Mapping[str, Any]) -> DeadLetter:
        return cls(
            key=key,
            trigger=fields["trigger"],
            attributes=fields["attributes"],
            data=fields["data"],
            data_is_base64=fields["data_is_base64"],
            data_is_cut=fields["data_is_cut"],
            reason=fields["reason"],
            recorded_at=fields["recorded_at"],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadableLetter:
    """A document among the letters that is none: reported by whoever reads, and left where it is."""

    key: str
    reason: str


class DeadLetters:
    """Letters in the `_events` collection, which clients cannot read without the admin claim."""

    def __init__(
        self,
        documents: DocumentStore,
        *,
        keep_for: timedelta = KEEP_FINISHED_FOR,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._documents = documents
        self._keep_for = keep_for
        self._now = now

    def record(self, letter: DeadLetter) -> None:
        # The whole document is replaced: a closed letter whose event fails once more is open again, and stays.
        path = dead_letter_path(letter.key)
        self._documents.commit([Replace(path=path, fields=letter.as_fields(), expected=Expect.ANYTHING)])

    def open_letters(self, *, after: str, limit: int) -> Sequence[DeadLetter | UnreadableLetter]:
        """Letters nobody has replayed yet, in the order of their keys, starting behind `after`."""
        is_open = Where(field="status", comparison="==", value="open")
        query = Query(collection=DEAD_LETTERS, where=(is_open,), after_id=after, limit=limit)
        return [_letter_in(found.id, found.fields) for found in self._documents.find(query)]

    def close(self, key: str, outcome: str) -> None:
        """Marks a letter as dealt with; it stays readable."""
        closing = {"status": "closed", "outcome": outcome, "expires_at": self._now() + self._keep_for}
        self._documents.commit([Change(path=dead_letter_path(key), put=closing, expected=Expect.PRESENT)])


def _letter_in(key: str, fields: Mapping[str, Any]) -> DeadLetter | UnreadableLetter:
    try:
        return DeadLetter.from_fields(key, fields)
    except KeyError as error:
        return UnreadableLetter(key=key, reason=f"it has no `{error.args[0]}`")
