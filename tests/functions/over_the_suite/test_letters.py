"""Dead letters in Firestore: kept whole, listed while open, replayed by the job, and closed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.jobs.progress import Turn
from afterimage.jobs.replay import Replay
from afterimage.store.firestore_documents import FirestoreDocuments
from tests.functions.media.pictures import corners, encoded
from tests.functions.over_the_suite.conftest import Cloud


def letter(number: int, data: object, trigger: str = "media_finalized") -> DeadLetter:
    attributes = {"id": str(number), "type": "t", "source": "s", "time": "2026-11-01T00:00:00.123456789Z"}
    return DeadLetter.of(trigger=trigger, attributes=attributes, data=data, reason="r", at=datetime.now(UTC))


def test_letters_come_in_pages_until_they_are_closed(cloud: Cloud) -> None:
    """Every open one once, with its data as it was received; recording twice keeps one."""
    letters = DeadLetters(FirestoreDocuments(cloud.firestore))
    written = [letter(number, b"\x00\xff") for number in range(5)]
    for one in [*written, *written]:
        letters.record(one)
    found, after = list[DeadLetter](), ""
    while page := letters.open_letters(after=after, limit=2):
        found += [one for one in page if isinstance(one, DeadLetter)]
        after = page[-1].key
    assert [one.key for one in found] == sorted(one.key for one in written)
    assert {one.raw_data() for one in found} == {b"\x00\xff"}
    letters.close(written[0].key, "settled")
    assert len(letters.open_letters(after="", limit=10)) == 4


def test_a_document_that_is_no_letter_is_named_and_passed_over(cloud: Cloud) -> None:
    """The letters behind it are replayed, and it stays where it is."""
    letters = DeadLetters(FirestoreDocuments(cloud.firestore))
    cloud.firestore.document("_events/0").set({"status": "open", "trigger": "media_finalized"})
    gone = {"bucket": cloud.bucket, "name": "media/a/b.png", "generation": "1"}
    letters.record(letter(1, gone))
    page = Replay(pipeline=cloud.pipeline, letters=letters).turn(Turn(request={}, cursor="", counts={}))
    assert page.counts == {"letters": 1, "gone": 1, "unreadable": 1}
    assert page.failures == ("0: it has no `attributes`",)


def test_an_event_that_was_recorded_is_made_good_by_replay(cloud: Cloud) -> None:
    """The picture that nobody derived is derived, and the letter says how it ended."""
    name = "users/u/ai_generated/images/card_portrait.png"
    generation = cloud.upload(name, encoded(corners(), "PNG"))
    letters = DeadLetters(FirestoreDocuments(cloud.firestore))
    recorded = letter(1, json.loads(json.dumps({"bucket": cloud.bucket, "name": name, "generation": str(generation)})))
    letters.record(recorded)
    page = Replay(pipeline=cloud.pipeline, letters=letters).turn(Turn(request={}, cursor="", counts={}))
    assert (page.next_cursor, page.counts) == (None, {"letters": 1, "settled": 1})
    closed = cloud.firestore.document(f"_events/{recorded.key}").get().to_dict()
    assert closed is not None
    assert (closed["status"], closed["outcome"]) == ("closed", "settled")
