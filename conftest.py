"""Short names for the suite's pytest fixtures, as the tests of this repository use them."""

from __future__ import annotations

import itertools
import os
import re

import pytest

from afterimage_emulator.background import BackgroundSuite

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def suite(firebase_shared_suite: BackgroundSuite) -> BackgroundSuite:
    """Every service but functions, for the whole run."""
    return firebase_shared_suite


@pytest.fixture(scope="session")
def functions_suite(firebase_shared_functions: BackgroundSuite) -> BackgroundSuite:
    """Every service, with this project's functions loaded, for the whole run."""
    return firebase_shared_functions


@pytest.fixture
def project_id(request: pytest.FixtureRequest) -> str:
    """A project that no other test uses; needs no suite, so that tests which start one of their own can name theirs."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    return f"demo-{name}-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def sdk_environment(suite: BackgroundSuite, project_id: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The official SDKs' variables of `suite`, set for one test, with `project_id` as the default project."""
    environment = suite.environment() | {"GCLOUD_PROJECT": project_id, "GOOGLE_CLOUD_PROJECT": project_id}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment
