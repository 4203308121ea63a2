"""Owns a storage service on a real port, in a thread of its own, with a bus that remembers events."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.credentials.local_credentials import account_email
from afterimage_emulator.credentials.local_signer import LocalSigner
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.storage.service import StorageService
from afterimage_emulator.wire.http1 import Http1Limits
from afterimage_emulator.wire.server import WireServer

T = TypeVar("T")


class EventLog:
    """A subscriber that wants everything and keeps it."""

    def __init__(self) -> None:
        self.events: list[CloudEvent] = []

    def wants(self, event_type: str, attributes: Mapping[str, str]) -> bool:
        return True

    def deliver(self, event: CloudEvent) -> None:
        self.events.append(event)

    def of(self, bucket: str) -> list[tuple[str, str]]:
        """(what happened, to which object) in one bucket, in order."""
        return [
            (event.type.rpartition(".")[2], (event.subject or "").removeprefix("objects/"))
            for event in self.events
            if event.attributes["bucket"] == bucket
        ]


class RunningStorage:
    """The service, its server and its event loop, reachable from blocking tests."""

    def __init__(
        self, directory: Path, *, limits: Http1Limits | None = None, accept_unknown_signers: bool = False
    ) -> None:
        self.directory = directory
        self.signer = LocalSigner(accounts=(account_email("demo-storage"),))
        self._accept_unknown_signers = accept_unknown_signers
        self._limits = limits
        self.log = EventLog()
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._start())

    async def _start(self) -> None:
        bus = EventBus(clock=self.clock, faults=Faults(), activity=Activity())
        bus.subscribe(self.log)
        self.service = StorageService(
            clock=self.clock,
            events=bus,
            directory=self.directory,
            signer=self.signer,
            accept_unknown_signers=self._accept_unknown_signers,
        )
        self.server = WireServer(name="storage", http=self.service.http, grpc=self.service.grpc, limits=self._limits)
        await self.server.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, function: Callable[[], T]) -> T:
        async def called() -> T:
            return function()

        return self.run(called())

    def stop(self) -> None:
        self.call(self.service.store.check_invariants)
        self.run(self.server.stop())
        self.run(self.service.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStorage]:
    """One service for all tests of a session; every test works in a bucket of its own."""
    storage_service = RunningStorage(tmp_path_factory.mktemp("storage"))
    yield storage_service
    storage_service.stop()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[RunningStorage]:
    """A service for one test alone, which may set rules, reset it or look at its disk."""
    storage_service = RunningStorage(tmp_path)
    yield storage_service
    storage_service.stop()


@pytest.fixture(autouse=True)
def whole_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test of the service does, the store of objects is whole when it ends."""
    yield
    if "running" in request.fixturenames:
        shared: RunningStorage = request.getfixturevalue("running")
        shared.call(shared.service.store.check_invariants)


_numbers = itertools.count(1)


@pytest.fixture
def bucket_name() -> str:
    return f"test-bucket-{next(_numbers)}"


@pytest.fixture
def client(running: RunningStorage) -> Iterator[storage.Client]:
    made = storage.Client(
        project="demo-storage", credentials=AnonymousCredentials(), client_options={"api_endpoint": running.origin}
    )
    yield made
    made.close()


@pytest.fixture
def bucket(client: storage.Client, bucket_name: str) -> storage.Bucket:
    return client.create_bucket(bucket_name)
