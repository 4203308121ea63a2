"""pytest fixtures: one suite for the whole run, a project of its own for each test, the SDKs' variables set.

Switch it on with `pytest_plugins = ["emulator.pytest_plugin"]` in your top conftest.py, or `-p emulator.pytest_plugin`.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator

import pytest

from emulator.background import BackgroundSuite
from emulator.configuration import Configuration, find_configuration, load_configuration
from emulator.suite import SERVICES, Suite

_WITHOUT_FUNCTIONS = tuple(name for name in SERVICES if name != "functions")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def suite_configuration(pytestconfig: pytest.Config) -> Configuration:
    """What the suite is told: the firebase.json of the project under test. Override it to test with another."""
    file = find_configuration(pytestconfig.rootpath)
    # Each process of a parallel run needs a project of its own: the hub's locator file is named after it.
    return load_configuration(file, project_id=f"demo-pytest-{os.getpid()}")


@pytest.fixture(scope="session")
def suite(suite_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """Every service but functions, on free ports, for the whole run."""
    with BackgroundSuite(Suite(suite_configuration, only=_WITHOUT_FUNCTIONS, free_ports=True)) as running:
        yield running


@pytest.fixture(scope="session")
def functions_suite(suite_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """Every service, with the project's functions loaded. They see the events of `functions_suite.project_id`."""
    with BackgroundSuite(Suite(suite_configuration, free_ports=True)) as running:
        yield running


@pytest.fixture(scope="session")
def functions_in_process(suite_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """As `functions_suite`, with handlers in threads of this process: breakpoints work in them, coverage counts them.

    The SDKs' variables stand in `os.environ` for as long as this suite lives; a test does not mix it with another one.
    """
    configuration = dataclasses.replace(suite_configuration, project_id=f"{suite_configuration.project_id}-in-process")
    with BackgroundSuite(Suite(configuration, free_ports=True, functions_in_process=True)) as running:
        yield running


@pytest.fixture
def project_id(request: pytest.FixtureRequest) -> str:
    """A project that no other test uses, so that tests can share one suite and run at the same time."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    return f"demo-{name}-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def sdk_environment(suite: BackgroundSuite, project_id: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The official SDKs' variables, set for one test, with the test's own project as the default one."""
    environment = suite.environment() | {"GCLOUD_PROJECT": project_id, "GOOGLE_CLOUD_PROJECT": project_id}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment
