"""TTL policies: a document goes at the time in its field, whatever was there before, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.index_limits import IndexSettings
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import timestamp_field
from afterimage_emulator.firestore.service import FirestoreService
from afterimage_emulator.firestore.transactions.locks import LockHolder
from afterimage_emulator.protos import messages
from tests.emulator.firestore.whole_stores import is_whole_at_the_end

_firestore: Any = messages("google.firestore.v1")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DELETED = "google.cloud.firestore.document.v1.deleted.withAuthContext"
SETTINGS = IndexSettings.parse(
    {"fieldOverrides": [{"collectionGroup": "letters", "fieldPath": "life.until", "ttl": True, "indexes": []}]}
)


class Letters:
    """One database with a policy on `letters`, under a clock that only the test moves."""

    def __init__(self, database_id: str = "(default)") -> None:
        self.clock = Clock(frozen_at=NOW)
        self.events = EventBus(clock=self.clock, faults=Faults(), activity=Activity())
        self.service = FirestoreService(clock=self.clock, events=self.events, index_settings={"(default)": SETTINGS})
        self.database: Database = self.service.store.database(DatabaseName("demo", database_id))
        is_whole_at_the_end(self.service.store.databases)

    def write(self, path: str, until: float | str | None) -> None:
        """`until` in seconds from the beginning."""
        document = _firestore.Document(name=f"{self.database.name.documents}/{path}")
        value = document.fields["life"].map_value.fields["until"]
        if isinstance(until, float):
            value.timestamp_value.FromMilliseconds(round((NOW.timestamp() + until) * 1000))
        elif until is None:
            value.null_value = 0
        else:
            value.string_value = until
        before, time = self.database.get(path), self.database.next_commit_time()
        created = before.create_time if before else time
        times = timestamp_field(3, created) + timestamp_field(4, time)
        after = StoredDocument(path, document.SerializeToString() + times, created, time)
        self.database.commit([Change(path, before, after)], time)

    def has(self, path: str) -> bool:
        return self.database.get(path) is not None


class Function:
    """Hears of deletions, and of who did them."""

    def __init__(self) -> None:
        self.heard: list[CloudEvent] = []

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        return event_type == DELETED

    def deliver(self, event: CloudEvent) -> None:
        self.heard.append(event)


@pytest.fixture
def letters() -> Letters:
    async def made() -> Letters:
        return Letters()

    return asyncio.run(made())


def test_a_document_goes_at_its_time_and_not_before(letters: Letters) -> None:
    """Wherever its collection lies; what is in other collections stays."""
    for path in ("letters/a", "users/u/letters/b", "others/c"):
        letters.write(path, 60.0)
    letters.clock.advance(59.999)
    assert letters.has("letters/a")
    letters.clock.advance(0.001)
    assert [letters.has(path) for path in ("letters/a", "users/u/letters/b", "others/c")] == [False, False, True]


def test_what_is_no_time_is_no_end(letters: Letters) -> None:
    """Null and text keep a document for ever, as the service documents."""
    letters.write("letters/a", None)
    letters.write("letters/b", "2020-01-01T00:00:00Z")
    letters.clock.advance(1e9)
    assert letters.has("letters/a")
    assert letters.has("letters/b")


def test_what_is_stored_last_decides(letters: Letters) -> None:
    """Put off, taken back, brought forward, deleted and written anew: the earlier time means nothing any more."""
    for name in "abcd":
        letters.write(f"letters/{name}", 60.0)
    letters.write("letters/a", 120.0)
    letters.write("letters/b", None)
    letters.write("letters/c", 30.0)
    letters.clock.advance(45)
    assert not letters.has("letters/c")
    letters.clock.advance(30)
    assert letters.has("letters/a")
    assert letters.has("letters/b")
    letters.clock.advance(45)
    assert not letters.has("letters/a")
    letters.clock.advance(1e9)
    assert letters.has("letters/b")


def test_a_time_already_past_ends_it_when_the_clock_moves(letters: Letters) -> None:
    """A field that holds the past is how data is lost with a policy; here it is seen at once."""
    letters.write("letters/a", -3600.0)
    assert letters.has("letters/a")
    letters.clock.advance(0)
    assert not letters.has("letters/a")


def test_a_transaction_that_holds_it_is_waited_for(letters: Letters) -> None:
    """What a transaction has read does not change under it."""
    letters.write("letters/a", 60.0)
    locks = letters.service.sessions.of(letters.database.name).transactions.locks
    holder = LockHolder()
    locks.share(holder, ["letters/a"])
    letters.clock.advance(90)
    assert letters.has("letters/a")
    locks.release_all(holder)
    letters.clock.advance(2)
    assert not letters.has("letters/a")


def test_functions_hear_of_it_as_the_system_s_doing(letters: Letters) -> None:
    """A deletion by policy is an event like any other, and nobody's."""
    function = Function()
    letters.events.subscribe(function)
    letters.write("letters/a", 60.0)
    letters.clock.advance(60)
    [event] = function.heard
    assert (event.subject, event.attributes["authtype"]) == ("documents/letters/a", "system")


def test_cleared_documents_leave_nothing_waiting(letters: Letters) -> None:
    """A document written after a reset lives by its own time."""
    letters.write("letters/a", 60.0)
    letters.service.reset()
    letters.write("letters/a", None)
    letters.clock.advance(120)
    assert letters.has("letters/a")


def test_a_policy_counts_in_its_own_database_alone() -> None:
    """firestore.indexes.json belongs to one database."""

    async def made() -> Letters:
        return Letters("other")

    other = asyncio.run(made())
    other.write("letters/a", 60.0)
    other.clock.advance(120)
    assert other.has("letters/a")
