"""pytest fixtures: a local Firebase for the run, a project of its own for each test, the SDKs' variables set.

Installing the package switches them on. What a test gets belongs together: `firebase_project` and
`firebase_environment` are those of `firebase_suite`, and a test that also asks for `firebase_functions` gets the suite
that runs functions.

Nothing of the suite is imported before a test asks for it: the plugin is loaded in every pytest run beside it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from afterimage_emulator.background import BackgroundSuite
    from afterimage_emulator.configuration import Configuration

_numbers = itertools.count(1)
_ASKS_FOR_FUNCTIONS = {
    "firebase_functions": "firebase_shared_functions",
    "firebase_functions_in_process": "firebase_shared_functions_in_process",
}


# -- for each test


@pytest.fixture
def firebase_suite(request: pytest.FixtureRequest) -> BackgroundSuite:
    """The running suite: time, faults and `settled()`. With functions where the test asks for them, else without."""
    asked = [name for name in _ASKS_FOR_FUNCTIONS if name in request.fixturenames]
    if len(asked) > 1:
        raise pytest.UsageError(f"a test takes `{asked[0]}` or `{asked[1]}`, not both: they are two suites")
    if not asked:
        running: BackgroundSuite = request.getfixturevalue("firebase_shared_suite")
        return running
    running = request.getfixturevalue(_ASKS_FOR_FUNCTIONS[asked[0]])
    # Functions hear of one project alone, so tests that use them share it: each finds it empty.
    running.settled()
    running.reset()
    return running


@pytest.fixture
def firebase_functions(firebase_suite: BackgroundSuite) -> BackgroundSuite:
    """Asking for it is enough: `firebase_suite` then runs the functions that firebase.json names."""
    return _with_functions(firebase_suite, "firebase_functions")


@pytest.fixture
def firebase_functions_in_process(firebase_suite: BackgroundSuite) -> BackgroundSuite:
    """As `firebase_functions`, with handlers in threads of this process: breakpoints work, coverage counts them."""
    return _with_functions(firebase_suite, "firebase_functions_in_process")


@pytest.fixture
def firebase_project(firebase_suite: BackgroundSuite, request: pytest.FixtureRequest) -> str:
    """The test's project: one that no other test uses, or with functions the one that they hear of, empty."""
    if "functions" in firebase_suite.suite.only:
        return firebase_suite.project_id
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    return f"demo-{name}-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def firebase_environment(
    firebase_suite: BackgroundSuite, firebase_project: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The variables by which the official SDKs find the suite and the test's project, set in `os.environ`."""
    environment = firebase_suite.environment()
    environment |= {"GCLOUD_PROJECT": firebase_project, "GOOGLE_CLOUD_PROJECT": firebase_project}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def _with_functions(running: BackgroundSuite, name: str) -> BackgroundSuite:
    if "functions" not in running.suite.only:
        raise pytest.UsageError(f"`{name}` came too late: name it in the test's arguments or in its `usefixtures`")
    return running


# -- for the whole run


@pytest.fixture(scope="session")
def firebase_configuration(pytestconfig: pytest.Config) -> Configuration:
    """What the suite is told: the firebase.json at or above pytest's root, if any. Override it to test with another."""
    from afterimage_emulator.configuration import (
        Configuration,
        ConfigurationError,
        find_configuration,
        load_configuration,
    )

    # Each process of a parallel run needs a project of its own: the hub's locator file is named after it.
    project_id = f"demo-pytest-{os.getpid()}"
    try:
        file: Path = find_configuration(pytestconfig.rootpath)
    except ConfigurationError:
        return Configuration(root=pytestconfig.rootpath, project_id=project_id)
    return load_configuration(file, project_id=project_id)


@pytest.fixture(scope="session")
def firebase_shared_suite(firebase_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """Every service but functions, on free ports, for fixtures of yours that outlive a test."""
    from afterimage_emulator.composition.services import SERVICES

    left_out = {"functions"} if firebase_configuration.hosting else {"functions", "hosting"}
    yield from _running(firebase_configuration, only=tuple(name for name in SERVICES if name not in left_out))


@pytest.fixture(scope="session")
def firebase_shared_functions(firebase_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """Every service, with the project's functions loaded. They hear of this suite's own project alone."""
    yield from _running(firebase_configuration, suffix="functions")


@pytest.fixture(scope="session")
def firebase_shared_functions_in_process(firebase_configuration: Configuration) -> Iterator[BackgroundSuite]:
    """Likewise, in this process. The SDKs' variables stand in `os.environ` for as long as this suite lives."""
    yield from _running(firebase_configuration, suffix="in-process", in_process=True)


def _running(
    configuration: Configuration, *, only: tuple[str, ...] | None = None, suffix: str = "", in_process: bool = False
) -> Iterator[BackgroundSuite]:
    from afterimage_emulator.background import BackgroundSuite
    from afterimage_emulator.suite import Suite

    if suffix:
        configuration = dataclasses.replace(configuration, project_id=f"{configuration.project_id}-{suffix}")
        if not configuration.codebases:
            raise pytest.UsageError(
                f"no functions to run: name their folder in firebase.json at or above `{configuration.root}`, "
                'such as {"functions": {"source": "functions"}}'
            )
    suite = Suite(configuration, only=only, free_ports=True, functions_in_process=in_process)
    with BackgroundSuite(suite) as running:
        yield running
