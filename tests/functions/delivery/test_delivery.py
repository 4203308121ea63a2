"""Delivery: each event ends handled, retried, recorded or logged, and decoding cannot raise past that."""

from __future__ import annotations

import base64
import errno
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from google.api_core import exceptions

from afterimage.delivery import events
from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.delivery.receiver import Receiver
from afterimage.faults import PermanentError
from afterimage.store.memory_documents import MemoryDocuments

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Letters(DeadLetters):
    """Dead letters in memory; the store of them can be down."""

    def __init__(self, *, broken: bool = False) -> None:
        self.documents = MemoryDocuments()
        self.is_broken = broken
        if broken:
            self.documents.before = failing(exceptions.ServiceUnavailable("down"))
        super().__init__(self.documents)

    @property
    def letters(self) -> list[DeadLetter]:
        return [letter for letter in self.open_letters(after="", limit=100) if isinstance(letter, DeadLetter)]


def receiver(letters: Letters, *, retries: bool = True) -> Receiver:
    return Receiver(
        dead_letters=lambda: letters,
        age_limit=lambda: timedelta(hours=20),
        platform_retries=lambda: retries,
        now=lambda: NOW,
    )


def storage_event(*, time: str = "2026-11-20T11:59:00Z", **changes: Any) -> CloudEvent:
    attributes = {
        "id": "1",
        "type": "google.cloud.storage.object.v1.finalized",
        "source": "//storage.googleapis.com/projects/_/buckets/b",
        "subject": "objects/x",
        "time": time,
    }
    data = {"bucket": "b", "name": "x", "generation": "17", "size": "3", "metadata": {"k": "v"}} | changes
    return CloudEvent(attributes, data)


def failing(error: Exception) -> Any:
    def handle(_event: object) -> None:
        raise error

    return handle


@pytest.mark.parametrize(
    "time", ["2026-11-20T11:59:00Z", "2026-11-20T11:59:00.123456789Z", "2026-11-20T12:59:00+01:00"]
)
def test_times_of_any_precision_are_read(time: str) -> None:
    """The SDK's decoder raises for nine digits or none; this one does not."""
    seen: list[events.ObjectEvent] = []
    letters = Letters()
    receiver(letters).receive("t", storage_event(time=time), events.decode_object_event, seen.append)
    assert not letters.letters
    assert (seen[0].bucket, seen[0].name, seen[0].generation) == ("b", "x", 17)
    assert seen[0].envelope.time.tzinfo is UTC


def test_an_event_that_cannot_be_decoded_is_recorded_whole() -> None:
    """Nothing reaches the handler, nothing raises, and the letter gives the event back."""
    letters = Letters()
    receiver(letters).receive("t", storage_event(generation=None), events.decode_object_event, failing(KeyError()))
    assert letters.letters[0].reason.startswith("cannot decode")
    restored = letters.letters[0].raw_data()
    assert isinstance(restored, dict)
    assert restored["name"] == "x"


def test_an_old_event_is_recorded_and_not_handled() -> None:
    """After the limit the platform would stop retrying in silence; the record comes before that."""
    letters = Letters()
    event = storage_event(time="2026-11-19T12:00:00Z")
    receiver(letters).receive("t", event, events.decode_object_event, failing(AssertionError()))
    assert letters.letters[0].reason == "too old: 24.0 hours"


def test_a_transient_fault_asks_for_another_delivery() -> None:
    """It is raised again and not recorded, because it will come back."""
    letters = Letters()
    with pytest.raises(exceptions.ServiceUnavailable):
        receiver(letters).receive(
            "t", storage_event(), events.decode_object_event, failing(exceptions.ServiceUnavailable("x"))
        )
    assert not letters.letters


def test_where_the_platform_does_not_retry_a_transient_fault_is_recorded() -> None:
    """Otherwise it would be the silent loss that nobody notices."""
    letters = Letters()
    receiver(letters, retries=False).receive(
        "t", storage_event(), events.decode_object_event, failing(exceptions.ServiceUnavailable("x"))
    )
    assert "does not retry" in letters.letters[0].reason


def test_a_permanent_fault_is_recorded_once_however_often_it_is_delivered() -> None:
    """The same event through the same trigger is the same letter."""
    letters = Letters()
    for _ in range(3):
        receiver(letters).receive("t", storage_event(), events.decode_object_event, failing(PermanentError("no")))
    assert {letter.key for letter in letters.letters} == {letters.letters[0].key}
    assert letters.letters[0].reason == "permanent: PermanentError: no"


def test_an_unknown_fault_of_a_library_is_tried_again_for_an_hour() -> None:
    """It may be the weather of a process; what fails for longer is recorded before a day of retries is spent."""
    letters = Letters()
    full = failing(OSError(errno.ENOSPC, "no space left"))
    with pytest.raises(OSError, match="no space left"):
        receiver(letters).receive("t", storage_event(time="2026-11-20T11:00:01Z"), events.decode_object_event, full)
    assert not letters.letters
    receiver(letters).receive("t", storage_event(time="2026-11-20T10:59:59Z"), events.decode_object_event, full)
    assert letters.letters[0].reason == "unknown: OSError: [Errno 28] no space left"


def test_if_it_cannot_be_recorded_it_is_logged_whole_and_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The last resort: the whole event on one line, and a failed delivery."""
    with caplog.at_level(logging.ERROR), pytest.raises(exceptions.ServiceUnavailable):
        receiver(Letters(broken=True)).receive(
            "t", storage_event(), events.decode_object_event, failing(PermanentError("no"))
        )
    line = next(record.getMessage() for record in caplog.records if "lost unless" in record.getMessage())
    assert '\\"generation\\": \\"17\\"' in line


def test_messages_are_decoded_and_garbage_is_recorded() -> None:
    """A Pub/Sub body is base64 JSON; anything else ends in `_events`, not in a crash loop."""
    seen: list[events.MessageEvent] = []
    letters = Letters()
    attributes = {"id": "1", "type": "t", "source": "s", "time": "2026-11-20T11:59:00Z"}
    for body in (b'{"prefix":"media/"}', b"", b"\xff\xfe", b"[1]"):
        message = {"message": {"data": base64.b64encode(body).decode(), "messageId": "1"}, "subscription": "s"}
        receiver(letters).receive("t", CloudEvent(attributes, message), events.decode_message_event, seen.append)
    assert [dict(event.body) for event in seen] == [{"prefix": "media/"}, {}]
    assert len(letters.letters) == 2


def test_a_letter_survives_its_document() -> None:
    """What is written to `_events` can be read back and handed to a handler again."""
    letter = DeadLetter.of(trigger="t", attributes={"id": "1"}, data=b"\x00\xff", reason="r", at=NOW)
    again = DeadLetter.from_fields(letter.key, json.loads(json.dumps(letter.as_fields(), default=str)))
    assert again.raw_data() == b"\x00\xff"
    assert again.key == letter.key
