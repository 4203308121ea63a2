"""A Firestore service on a real socket, in a thread of its own, and the official clients pointed at it."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.firestore.adapters.web_channel_session import Patience
from afterimage_emulator.firestore.service import FirestoreService
from afterimage_emulator.wire.observers import RequestObserver
from afterimage_emulator.wire.server import WireServer
from tests.emulator.firestore.whole_stores import check_used_stores


class RunningFirestore:
    """The service, its clock and its bus, reachable from the test's thread through `call` and `run`."""

    def __init__(self, observer: RequestObserver | None = None, patience: Patience | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.clock = Clock()
        self.faults = Faults()
        self.activity = Activity()
        self.events = EventBus(clock=self.clock, faults=self.faults, activity=self.activity)
        self.service = FirestoreService(clock=self.clock, events=self.events, patience=patience)
        self.server = WireServer(
            name="firestore",
            http=self.service.http,
            grpc=self.service.grpc,
            faults=self.faults,
            observer=observer or RequestObserver(),
        )

    def start(self) -> None:
        self.thread.start()
        self.run(self.server.start())

    def stop(self) -> None:
        self.run(self.service.close())
        self.run(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, function: Callable[[], Any]) -> Any:
        async def called() -> Any:
            return function()

        return self.run(called())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"


@pytest.fixture(scope="session")
def running() -> Iterator[RunningFirestore]:
    """One Firestore for all tests of the session; each test takes a project of its own."""
    firestore_service = RunningFirestore()
    firestore_service.start()
    yield firestore_service
    firestore_service.stop()


@pytest.fixture(autouse=True)
def whole_stores(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of a store ends in a look at all that must hold of it."""
    used = {name: request.getfixturevalue(name) for name in ("running", "project") if name in request.fixturenames}
    yield
    check_used_stores()
    if "running" in used:
        check_invariants(used["running"], project=used.get("project"))


@pytest.fixture
def project() -> str:
    return f"demo-{uuid.uuid4().hex[:12]}"


def check_invariants(running: RunningFirestore, *, project: str | None) -> None:
    """In the service's own thread. A test without a project of its own may have touched any database."""

    def check() -> None:
        for database in running.service.store.databases():
            if project in (None, database.name.project):
                database.check_invariants()

    running.call(check)


@pytest.fixture
def client(running: RunningFirestore, project: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[firestore.Client]:
    """The official Python client, in a project of its own."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", running.address)
    made = firestore.Client(project=project, credentials=AnonymousCredentials())
    yield made
    made.close()
