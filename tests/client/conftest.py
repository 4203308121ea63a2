"""Apps of the client, each its own user of the suite: real sockets, the repository's real rules."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from afterimage_client import BackoffPolicy, Endpoints, FirebaseApp, FirebaseOptions
from afterimage_client.app_check import AppCheckProvider
from afterimage_client.auth import MemoryStore, SessionStore
from afterimage_client.freshness import Now, system_instant
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.composition.services import SERVICES
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite

IMPATIENT = BackoffPolicy(first_seconds=0.001, longest_seconds=0.01)
"""Tests break things on purpose: nobody waits a second for it."""


class Apps:
    """Makes apps that speak to the suite, and closes them."""

    def __init__(self, suite: BackgroundSuite) -> None:
        self.suite = suite
        self.endpoints = Endpoints.from_environment(suite.environment())
        self.options = FirebaseOptions(
            project_id=suite.project_id, api_key="any", storage_bucket=suite.default_bucket, app_id="1:2:web:3"
        )
        self.opened: list[FirebaseApp] = []

    async def open(
        self,
        *,
        endpoints: Endpoints | None = None,
        store: SessionStore | None = None,
        app_check: AppCheckProvider | None = None,
        now: Now = system_instant,
        backoff: BackoffPolicy = IMPATIENT,
    ) -> FirebaseApp:
        app = FirebaseApp(
            self.options,
            endpoints=endpoints or self.endpoints,
            session_store=store or MemoryStore(),
            app_check=app_check,
            now=now,
            backoff=backoff,
        )
        self.opened.append(app)
        return await app.__aenter__()


@pytest.fixture(scope="session")
def suite(firebase_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """A suite of the client's tests alone: some move its clock by days, which nobody else may find out."""
    configuration = dataclasses.replace(
        firebase_configuration, project_id=f"{firebase_configuration.project_id}-client"
    )
    without_functions = tuple(name for name in SERVICES if name != "functions")
    with BackgroundSuite(Suite(configuration, only=without_functions, free_ports=True)) as running:
        yield running


@pytest.fixture(scope="session")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution as others install it, built from the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    source = str(Path(__file__).resolve().parents[2] / "client")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), source]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture
async def apps(suite: BackgroundSuite) -> AsyncIterator[Apps]:
    """Opens apps; every one is closed at the end."""
    made = Apps(suite)
    yield made
    for app in made.opened:
        await app.close()


@pytest.fixture
async def app(apps: Apps) -> FirebaseApp:
    """An app whose user has just signed in anonymously."""
    opened = await apps.open()
    await opened.auth.sign_in_anonymously()
    return opened


@pytest.fixture
def own(app: FirebaseApp) -> Callable[[str], str]:
    """A path where the rules let the app's user, and nobody else, keep what they like."""

    def path(below: str) -> str:
        user = app.auth.current_user
        assert user is not None
        return f"players/{user.uid}/{below}"

    return path


@pytest.fixture
async def deployed(functions_suite: BackgroundSuite) -> AsyncIterator[Apps]:
    """Opens apps where the project's functions run."""
    functions_suite.clear_faults()
    made = Apps(functions_suite)
    yield made
    for app in made.opened:
        await app.close()
