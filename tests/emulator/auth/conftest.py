"""Owns an Auth service on a real port, in a thread of its own, and clients that speak to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

import firebase_admin
import httpx
import pytest

from afterimage_emulator.auth.service import AuthService
from afterimage_emulator.clock import Clock
from afterimage_emulator.wire.server import WireServer

T = TypeVar("T")
PROJECT = "demo-auth"
TOOLKIT = "/identitytoolkit.googleapis.com/v1"
ADMIN = {"authorization": "Bearer owner"}


class RunningAuth:
    """The service, its server and its event loop, reachable from blocking tests."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.service = AuthService(project_id=PROJECT, clock=self.clock)
        self.server = WireServer(name="auth", http=self.service.http)
        self.run(self.server.start())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, function: Callable[[], T]) -> T:
        async def called() -> T:
            return function()

        return self.run(called())

    def stop(self) -> None:
        self.run(self.server.stop())
        self.run(self.service.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class RestClient:
    """What a client app sends: operations by name, with an API key, over a real socket."""

    def __init__(self, origin: str) -> None:
        self.http = httpx.Client(base_url=origin, timeout=30)

    def ask(self, operation: str, **fields: Any) -> httpx.Response:
        return self.http.post(f"{TOOLKIT}/accounts:{operation}", params={"key": "any"}, json=fields)

    def do(self, operation: str, **fields: Any) -> dict[str, Any]:
        response = self.ask(operation, **fields)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def refusal(self, operation: str, **fields: Any) -> str:
        """The message of the refusal, after checking that it has the official shape."""
        response = self.ask(operation, **fields)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, 400), response.text
        assert error["errors"] == [{"message": error["message"], "reason": "invalid", "domain": "global"}]
        message: str = error["message"]
        return message

    def refresh(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return self.http.post("/securetoken.googleapis.com/v1/token", params={"key": "any"}, data=form)


@pytest.fixture(scope="session")
def shared_auth() -> Iterator[RunningAuth]:
    running = RunningAuth()
    yield running
    running.stop()


@pytest.fixture
def running(shared_auth: RunningAuth) -> Iterator[RunningAuth]:
    """The session's service, empty, with its clock where it was before."""
    shared_auth.call(shared_auth.service.reset)
    yield shared_auth
    shared_auth.call(shared_auth.service.projects.check_invariants)


@pytest.fixture
def frozen(running: RunningAuth) -> Iterator[RunningAuth]:
    """A service whose clock stands still at a known instant."""
    running.call(lambda: running.clock.freeze(datetime(2026, 1, 31, 12, 0, tzinfo=UTC)))
    yield running
    running.call(lambda: running.clock.freeze(datetime.now(UTC)))
    running.call(running.clock.resume)


@pytest.fixture
def client(running: RunningAuth) -> Iterator[RestClient]:
    made = RestClient(f"http://{running.address}")
    yield made
    made.http.close()


@pytest.fixture
def admin_app(running: RunningAuth, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], firebase_admin.App]]:
    """Makes firebase-admin apps, by project id, that find the service as users' code finds it."""
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", running.address)
    made: list[firebase_admin.App] = []

    def make(project_id: str) -> firebase_admin.App:
        made.append(firebase_admin.initialize_app(options={"projectId": project_id}, name=f"{project_id}-{len(made)}"))
        return made[-1]

    yield make
    for app in made:
        firebase_admin.delete_app(app)


@pytest.fixture
def app(admin_app: Callable[[str], firebase_admin.App]) -> firebase_admin.App:
    return admin_app(PROJECT)
