"""Triggers: what functions are sent for each change, in the format that the Python functions SDK decodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore

from afterimage_emulator.events import CloudEvent
from afterimage_emulator.protos import messages
from tests.emulator.firestore.conftest import RunningFirestore

_events: Any = messages("google.events.cloud.firestore.v1")
PREFIX = "google.cloud.firestore.document.v1."


class Collecting:
    """Wants the events of one project."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.events: list[CloudEvent] = []

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        return attributes.get("project") == self.project

    def deliver(self, event: CloudEvent) -> None:
        self.events.append(event)

    def of(self, kind: str) -> list[CloudEvent]:
        return [event for event in self.events if event.type == PREFIX + kind]


@pytest.fixture
def collected(running: RunningFirestore, project: str) -> Iterator[Collecting]:
    subscriber = Collecting(project)
    unsubscribe = running.call(lambda: running.events.subscribe(subscriber))
    yield subscriber
    running.call(unsubscribe)


def test_each_kind_of_change_has_its_event(client: firestore.Client, collected: Collecting) -> None:
    """Created, updated and deleted with old and new values; `written` for all of them; masks name what differs."""
    document = client.document("rooms/blue/items/é")
    document.set({"a": 1, "m": {"x": 1, "y": 2}, "gone": True})
    document.set({"a": 2, "m": {"x": 1, "y": 3}, "b c": 1})
    document.delete()
    assert len(collected.of("written")) == len(collected.of("written.withAuthContext")) == 3
    (created,), (updated,), (deleted,) = (collected.of(kind) for kind in ("created", "updated", "deleted"))
    data = [_events.DocumentEventData.FromString(event.data) for event in (created, updated, deleted)]
    assert [(d.HasField("value"), d.HasField("old_value")) for d in data] == [
        (True, False),
        (True, True),
        (False, True),
    ]
    assert data[1].old_value.fields["a"].integer_value == 1
    assert data[1].value.fields["a"].integer_value == 2
    assert list(data[1].update_mask.field_paths) == ["a", "`b c`", "gone", "m.y"]
    assert data[1].value.update_time.ToDatetime() > data[1].value.create_time.ToDatetime()
    assert updated.subject == "documents/rooms/blue/items/é"
    assert updated.source == f"//firestore.googleapis.com/projects/{client.project}/databases/(default)"
    assert updated.content_type == "application/protobuf"
    assert {key: updated.attributes[key] for key in ("project", "database", "namespace", "document")} == {
        "project": client.project,
        "database": "(default)",
        "namespace": "(default)",
        "document": "rooms/blue/items/é",
    }
    assert updated.attributes["dataschema"].endswith("firestore/v1/data.proto")
    assert len({event.id for event in collected.events}) == len(collected.events)


def test_what_changes_nothing_raises_nothing(client: firestore.Client, collected: Collecting) -> None:
    """The same content again, a delete of nothing, a failed commit, a document made and deleted in one commit."""
    client.document("a/1").set({"x": 1})
    collected.events.clear()
    client.document("a/1").set({"x": 1})
    client.document("a/none").delete()
    batch = client.batch()
    batch.set(client.document("a/2"), {"x": 1})
    batch.delete(client.document("a/2"))
    batch.commit()
    with pytest.raises(Exception, match="already exists"):
        client.document("a/1").create({"x": 2})
    assert collected.events == []


def test_one_commit_raises_one_event_a_document(client: firestore.Client, collected: Collecting) -> None:
    """Several writes to a document in one commit are one change, from what was before to what is after."""
    batch = client.batch()
    for number in range(3):
        batch.set(client.document("a/1"), {"n": number}, merge=True)
    batch.set(client.document("a/2"), {})
    batch.commit()
    assert sorted(event.attributes["document"] for event in collected.of("created")) == ["a/1", "a/2"]
    assert collected.of("updated") == []


def test_who_did_it_is_always_told(client: firestore.Client, collected: Collecting) -> None:
    """The withAuthContext kinds carry authtype and authid even for admins; the plain kinds do not."""
    client.document("a/1").set({})
    (event,) = collected.of("created.withAuthContext")
    assert event.attributes["authtype"] == "service_account"
    assert "authid" in event.attributes
    assert "authtype" not in collected.of("created")[0].attributes


def test_throwing_data_away_is_no_event(
    client: firestore.Client, running: RunningFirestore, collected: Collecting
) -> None:
    """Clearing a project between tests does not start its functions."""
    client.document("a/1").set({})
    collected.events.clear()
    session = running.service.sessions.named(f"projects/{client.project}/databases/(default)")
    running.call(session.database.clear)
    assert not client.document("a/1").get().exists
    assert collected.events == []


class Failing(Collecting):
    """Breaks on every event."""

    def deliver(self, event: CloudEvent) -> None:
        raise RuntimeError("a subscriber's own fault")


def test_a_subscriber_that_fails_does_not_fail_the_commit(client: firestore.Client, running: RunningFirestore) -> None:
    """The writer is told what is true: the document is stored. The fault is in the suite's log."""
    unsubscribe = running.call(lambda: running.events.subscribe(Failing(client.project)))
    client.document("a/1").set({"x": 1})
    running.call(unsubscribe)
    assert client.document("a/1").get().to_dict() == {"x": 1}


def test_an_import_is_no_event(
    client: firestore.Client, running: RunningFirestore, collected: Collecting, tmp_path: Path
) -> None:
    """Seeding a database does not start functions; nobody made those changes now."""
    client.document("a/1").set({"x": 1})
    running.run(running.service.export_to(tmp_path))
    collected.events.clear()
    running.run(running.service.import_from(tmp_path))
    assert client.document("a/1").get().exists
    assert collected.events == []
