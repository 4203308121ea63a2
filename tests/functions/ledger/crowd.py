"""Owns a crowd of clients over the suite: they write through the official SDK, their events reach the real handlers."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from google.cloud import firestore

from afterimage.delivery.events import DocumentEvent, decode_document_event
from afterimage.delivery.gathering import Gathering
from afterimage.faults import is_transient
from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Bookkeeper, HotUsers
from afterimage.ledger.events import book_document
from afterimage.ledger.roll_up import RollUp, held_by
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.events import CloudEvent
from tests.functions.delivered import Delivered
from tests.functions.ledger.simulation import PRICES, Event, due_for

WRITTEN = "google.cloud.firestore.document.v1.written"


class Crowd:
    """Clients of one project, the events of what they do, and a ledger that is told of them."""

    def __init__(self, suite: BackgroundSuite, project: str, seed: int) -> None:
        self.suite = suite
        self.project = project
        self.dice = random.Random(seed)
        self.client = firestore.Client(project=project)
        self.store = FirestoreDocuments(self.client)
        self.keeper = Bookkeeper(
            store=self.store,
            hot_users=HotUsers(burst=1.0),
            gathering=Gathering(most=3, apart_seconds=0.01),
            wait=lambda _seconds: None,
        )
        self.delivered = Delivered(self.store)
        self.history: list[Event] = []
        self.raised: queue.Queue[CloudEvent] = queue.Queue()
        self.created: dict[str, int] = {}
        self.fields: dict[str, dict[str, Any]] = {}
        self._leave = suite.call(lambda: suite.suite.events.subscribe(self))

    def leave(self) -> None:
        self.suite.call(self._leave)
        self.client.close()

    # -- what the bus asks of a subscriber

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        is_output = attributes.get("document", "").startswith("ai_outputs/")
        return event_type == WRITTEN and attributes["project"] == self.project and is_output

    def deliver(self, event: CloudEvent) -> None:
        self.raised.put(event)

    # -- clients

    def create(self, path: str, fields: dict[str, Any]) -> None:
        done = self.client.document(path).create(fields)
        self.created[path] = _nanoseconds(done.update_time)
        self._note(path, fields, done.update_time)

    def change(self, path: str, changes: dict[str, Any]) -> None:
        done = self.client.document(path).update(changes)
        self._note(path, self.fields[path] | changes, done.update_time)

    def delete(self, path: str) -> None:
        self.client.document(path).delete()
        last = max((event for event in self.history if event.path == path), key=lambda event: event.version)
        self.history.append(Event(path, last.fields, last.created, last.version, is_deleted=True, is_first=False))
        del self.created[path], self.fields[path]

    def act(self, users: list[str], documents: int) -> None:
        path = f"ai_outputs/{self.dice.choice(users)}/dialogues/d_{self.dice.randrange(documents)}"
        deed = self.dice.random()
        if path not in self.created:
            self.create(path, self.output())
        elif deed < 0.5:
            self.change(path, {"cache_hit_count": self.fields[path]["cache_hit_count"] + 1})
        elif deed < 0.8:
            self.change(path, {"cost_usd": self.dice.randrange(1000) / 7, "model": self.dice.choice("abc")})
        else:
            self.delete(path)

    def output(self) -> dict[str, Any]:
        return {
            "model": self.dice.choice(["gemini-2.5-flash", "b", "c"]),
            "cost_usd": self.dice.randrange(10_000) / 3000,
            "cached": self.dice.random() < 0.5,
            "cache_hit_count": 0,
            "latency_ms": self.dice.choice([7, 480, 61_000]),
        }

    # -- the platform

    def events(self) -> list[DocumentEvent]:
        found = []
        while not self.raised.empty():
            raw = self.raised.get()
            attributes = {"id": raw.id, "type": raw.type, "source": raw.source, "time": raw.time}
            found.append(decode_document_event(attributes, raw.data))
        return found

    def handle(self, events: list[DocumentEvent], *, threads: int = 4) -> int:
        """Hands events to the handlers, several at once, each until it succeeds; returns how often one had to again."""
        again = 0
        lock = threading.Lock()

        def until_done(event: DocumentEvent) -> None:
            nonlocal again
            for _ in range(50):
                try:
                    self.delivered.once("ledger_written", event.change.path, partial(self._book, event))
                except Exception as error:
                    if not is_transient(error):
                        raise
                    with lock:
                        again += 1
                    continue
                return
            raise AssertionError("an event was never handled")

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(until_done, events))
        return again

    def _book(self, event: DocumentEvent) -> None:
        book_document(event, self.keeper, PRICES)

    def roll_up(self) -> None:
        RollUp(store=self.store).empty_buckets()

    def audit(self, user: str) -> bool:
        return Auditor(keeper=self.keeper, prices=PRICES).audit(user).is_clean

    def mismatches(self, users: list[str]) -> list[str]:
        """Where the books differ from what clients did, and what no delivery could mend."""
        found = self.delivered.open_letters()
        for user in users:
            held = {"/".join(path): amount for path, amount in held_by(self.store, user).items()}
            due = due_for(user, self.history)
            found += [f"{user} {key}" for key in sorted(due.keys() | held.keys()) if due.get(key) != held.get(key)]
        return found

    def _note(self, path: str, fields: dict[str, Any], moment: Any) -> None:
        self.fields[path] = fields
        version = _nanoseconds(moment)
        self.history.append(Event(path, dict(fields), self.created[path], version, is_deleted=False, is_first=False))


def _nanoseconds(moment: Any) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + int(moment.nanosecond)
