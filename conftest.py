"""What all tests of this repository share: short names for the suite's fixtures, and a run that no clock can fail."""

from __future__ import annotations

import gc
import itertools
import os
import re
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from afterimage_emulator.background import BackgroundSuite
from tests.browser.chromium import Chromium, why_no_browser
from tests.browser.page import Browser, PageServer
from tests.thoroughness import examples

_numbers = itertools.count(1)

# How long an example takes says how busy the machine is, and nothing about the promise.
settings.register_profile("without a clock", deadline=None, max_examples=examples(100))
settings.load_profile("without a clock")


def pytest_collection_finish() -> None:
    """What collecting has made, thousands of modules and tests, is never garbage: no collection looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of a parallel run ends in silence, also on a loaded machine.

    Its last act is to walk through all objects; a worker that takes five seconds for that is sent SIGINT, and what
    that interrupts is printed as if a test had failed.
    """
    if hasattr(session.config, "workerinput"):
        gc.freeze()
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session")
def suite(firebase_shared_suite: BackgroundSuite) -> BackgroundSuite:
    """Every service but functions, for the whole run."""
    return firebase_shared_suite


@pytest.fixture(scope="session")
def functions_suite(firebase_shared_functions: BackgroundSuite) -> Iterator[BackgroundSuite]:
    """Every service, with this project's functions loaded, for the whole run: no query of theirs lacks its index."""
    yield firebase_shared_functions
    missing = firebase_shared_functions.call(firebase_shared_functions.suite.missing_indexes)
    assert [each for each in missing if each["project"] == firebase_shared_functions.project_id] == []


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


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[Chromium, PageServer]]:
    """The browser's process and the server of its pages, for the whole run."""
    missing = why_no_browser()
    if missing is not None:
        pytest.skip(missing)
    running, pages = Chromium(), PageServer()
    yield running, pages
    running.close()
    pages.close()


@pytest.fixture
def browser(chromium: tuple[Chromium, PageServer]) -> Iterator[Browser]:
    """A headless Chromium that was never used before; how to use it is told in tests/browser/page.py."""
    opened = Browser(*chromium)
    yield opened
    opened.close()
