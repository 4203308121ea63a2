"""Lifetimes: what is dealt with goes after its days, by the policies that are deployed; what is open never does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.cloud import firestore

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.jobs import ledger_handlers
from afterimage.jobs.progress import Jobs, Page
from afterimage.ledger import events
from afterimage.ledger.book_documents import TOUCH_SHARD, TOUCHED
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.tombstones import ERASED_AT, EXPIRES_AT, KEPT_FOR
from afterimage.paths import ROLL_UP_MARK
from afterimage.settings import KEEP_FINISHED_FOR
from afterimage.store import clients
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration, FirestoreTarget
from afterimage_emulator.suite import Suite

INDEXES = Path(__file__).resolve().parents[3] / "firestore.indexes.json"


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[firestore.Client, BackgroundSuite]]:
    """Firestore with the project's own policies, and a client that the functions use too."""
    project = f"demo-lifetimes-{os.getpid()}"
    configuration = Configuration(root=tmp_path, project_id=project, firestore=(FirestoreTarget(indexes=INDEXES),))
    with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True)) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        client = firestore.Client(project=project)
        monkeypatch.setattr(clients, "documents", lambda: FirestoreDocuments(client))
        keeper = Bookkeeper(store=FirestoreDocuments(client))
        monkeypatch.setattr(events, "bookkeeper", lambda: keeper)
        yield client, running


def passed(suite: BackgroundSuite, time: timedelta) -> None:
    suite.advance_clock(time.total_seconds())
    suite.settled()


def letter(number: int) -> DeadLetter:
    attributes = {"id": str(number), "type": "t", "source": "s", "time": "2026-11-01T00:00:00Z"}
    return DeadLetter.of(trigger="t", attributes=attributes, data={}, reason="r", at=datetime.now(UTC))


def test_a_closed_letter_goes_after_its_days_and_an_open_one_stays(
    documents: tuple[firestore.Client, BackgroundSuite],
) -> None:
    """A letter that was closed and failed again is open: it waits for the mend however long that takes."""
    client, suite = documents
    letters = DeadLetters(FirestoreDocuments(client))
    never_closed, closed, reopened = (letter(number) for number in range(3))
    for one in (never_closed, closed, reopened):
        letters.record(one)
    for one in (closed, reopened):
        letters.close(one.key, "settled")
    letters.record(reopened)
    passed(suite, KEEP_FINISHED_FOR - timedelta(hours=1))
    assert {found.id for found in client.collection("_events").get()} == {
        never_closed.key,
        closed.key,
        reopened.key,
    }
    passed(suite, timedelta(hours=2))
    assert {found.id for found in client.collection("_events").get()} == {never_closed.key, reopened.key}
    passed(suite, 12 * KEEP_FINISHED_FOR)
    assert {found.key for found in letters.open_letters(after="", limit=9)} == {never_closed.key, reopened.key}


def test_the_mark_of_an_erased_user_goes_and_books_stay(documents: tuple[firestore.Client, BackgroundSuite]) -> None:
    """The tombstone outlives every event it is for, and no longer; an account that came back keeps its books."""
    client, suite = documents
    until = datetime.now(UTC) + KEPT_FOR
    client.document("usage/erased").set({ERASED_AT: datetime.now(UTC), EXPIRES_AT: until})
    client.document("usage/came-back").set({ERASED_AT: datetime.now(UTC), EXPIRES_AT: None, "totals": {}})
    client.document("usage/books").set({"totals": {}})
    passed(suite, KEPT_FOR - timedelta(hours=1))
    assert client.document("usage/erased").get().exists
    passed(suite, timedelta(hours=2))
    assert {found.id for found in client.collection("usage").get()} == {"came-back", "books"}


def test_a_finished_job_goes_after_its_days_and_what_still_counts_stays(
    documents: tuple[firestore.Client, BackgroundSuite],
) -> None:
    """A running job, and the mark of how far the roll-up has come, are never deleted."""
    client, suite = documents
    client.document("usage/u").set({TOUCHED: datetime.now(UTC), TOUCH_SHARD: 0})
    ledger_handlers.rounds().first()
    assert client.document(ROLL_UP_MARK).get().exists, "the roll-up left no mark"
    jobs = Jobs(kind="media.sweep", documents=FirestoreDocuments(client), publish=lambda _topic, _body: None)
    assert jobs.receive({"job": "running"}, "m", lambda _turn: Page(next_cursor="more")) == "running"
    assert jobs.receive({"job": "finished"}, "m", lambda _turn: Page(next_cursor=None)) == "done"
    passed(suite, KEEP_FINISHED_FOR - timedelta(hours=1))
    assert client.document("_jobs/finished").get().exists
    passed(suite, timedelta(hours=2))
    assert {found.id for found in client.collection("_jobs").get()} == {"running", "ledger.roll-up"}
