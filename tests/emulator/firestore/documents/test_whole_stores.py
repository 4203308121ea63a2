"""`check_invariants` of the document store and its indexes: each fault is found and named, all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from afterimage_emulator.clock import Clock
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.indexes import ASCENDING, FieldIndex, IndexDefinition
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import timestamp_field
from afterimage_emulator.protos import messages

_firestore: Any = messages("google.firestore.v1")
NAME = DatabaseName("demo", "(default)")
BY_NUMBER = IndexDefinition(components=((("n",), ASCENDING),))


def write(database: Database, path: str, number: int | None) -> None:
    before, at = database.get(path), database.next_commit_time()
    after = None
    if number is not None:
        message = _firestore.Document(name=f"{NAME.documents}/{path}")
        message.fields["n"].integer_value = number
        created = before.create_time if before is not None else at
        wire = message.SerializeToString() + timestamp_field(3, created) + timestamp_field(4, at)
        after = StoredDocument(path, wire, created, at)
    database.commit([Change(path, before, after)], at)


@pytest.fixture
def database() -> Database:
    """Documents with a past, and an index over them."""
    made = Database(NAME, Clock(frozen_at=datetime(2024, 1, 1, tzinfo=UTC)))
    for number in range(3):
        write(made, f"rooms/{number}", number)
    index_of(made)
    for later in (7, None, 8, 9):
        write(made, "rooms/1", later)
    made.check_invariants()
    return made


def index_of(database: Database) -> FieldIndex:
    indexed = database.indexed_collection("rooms")
    assert indexed is not None
    return indexed.index(BY_NUMBER)


def lose_an_entry(database: Database) -> None:
    index = index_of(database)
    index.entries.remove(index.entries[0])


def keep_a_stale_entry(database: Database) -> None:
    index_of(database).entries.add(((0,), "gone", "rooms/gone"))


def misplace_a_document(database: Database) -> None:
    documents = database.collections["rooms"].documents
    documents["rooms/elsewhere"] = documents["rooms/0"]


def empty_a_collection(database: Database) -> None:
    database._add_collection("halls")


def forget_a_group(database: Database) -> None:
    del database.groups["rooms"].collections["rooms"]


def leave_a_ghost_in_a_group(database: Database) -> None:
    database._add_collection("halls")
    del database.collections["halls"]


def change_the_times(database: Database) -> None:
    database.collections["rooms"].documents["rooms/0"].update_time += 10


def rewrite_the_past(database: Database) -> None:
    database._history["rooms/1"].reverse()


def lose_the_past(database: Database) -> None:
    del database._history["rooms/1"]


def miscount(database: Database) -> None:
    database._replaced_bytes += 1


def turn_back_time(database: Database) -> None:
    database._commits.reverse()


FAULTS: dict[Callable[[Database], None], str] = {
    lose_an_entry: "lacks",
    keep_a_stale_entry: "still has",
    misplace_a_document: "`rooms/elsewhere` in `rooms` holds the document `rooms/0`",
    empty_a_collection: "`halls` is empty and still there",
    forget_a_group: "`rooms` is missing in its group",
    leave_a_ghost_in_a_group: "the group `halls` holds a collection `halls` that is not there",
    change_the_times: "`rooms/0` has the times",
    rewrite_the_past: "cannot have stood from",
    lose_the_past: "`rooms/1` was replaced at",
    miscount: "bytes of replaced documents are counted",
    turn_back_time: "commit times must rise",
}


@pytest.mark.parametrize(("harm", "named"), FAULTS.items(), ids=[harm.__name__ for harm in FAULTS])
def test_each_fault_is_named(database: Database, harm: Callable[[Database], None], named: str) -> None:
    """Whatever goes wrong between documents, their past and their indexes is found by its place."""
    harm(database)
    with pytest.raises(AssertionError, match="is not whole") as found:
        database.check_invariants()
    assert named in str(found.value)


def test_all_faults_are_named_at_once(database: Database) -> None:
    """The second fault is often what explains the first."""
    miscount(database)
    empty_a_collection(database)
    turn_back_time(database)
    found = "\n".join(database.faults())
    for harm in (miscount, empty_a_collection, turn_back_time):
        assert FAULTS[harm] in found
