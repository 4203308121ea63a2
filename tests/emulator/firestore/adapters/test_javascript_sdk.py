"""The official JavaScript SDKs in Node against the local Firestore; the cases: tests/node/firestore*.test.mjs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from afterimage_emulator.wire.observers import RequestObserver
from tests.emulator.firestore.conftest import RunningFirestore

NODE_TESTS = Path(__file__).resolve().parents[3] / "node"
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE_TESTS / "node_modules").is_dir(),
    reason="needs node, and the SDKs that `make node` installs",
)


class Counting(RequestObserver):
    """Counts the requests of each method by how they ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: Counter[tuple[str, int | str]] = Counter()

    def ended(
        self, service: str, method: str, resource: str, status: int | str, started: float, *, message: str = ""
    ) -> None:
        super().ended(service, method, resource, status, started, message=message)
        self.ends[method, status] += 1


@pytest.fixture
def counting() -> Iterator[tuple[RunningFirestore, Counting]]:
    """A service whose requests are counted, for one test alone."""
    observer = Counting()
    service = RunningFirestore(observer)
    service.start()
    yield service, observer
    service.stop()


def run_in_node(cases: str, address: str, *options: str, settings: str = "{}") -> None:
    finished = subprocess.run(
        ["node", *options, "--test-reporter=spec", cases],
        cwd=NODE_TESTS,
        env={**os.environ, "FIRESTORE_EMULATOR_HOST": address, "FIRESTORE_SETTINGS": settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@needs_node
@pytest.mark.parametrize(
    "cases", ["firestore.test.mjs", "firestore_persistence.test.mjs", "firestore_every_call.test.mjs"]
)
def test_the_javascript_sdks_work_against_this_service(running: RunningFirestore, cases: str) -> None:
    """Client, Lite and admin SDK, unmodified and over real sockets: listeners, transactions, offline, persistence."""
    run_in_node(cases, running.address)


@needs_node
@pytest.mark.parametrize(
    "settings",
    [
        # What Chromium does with these two is tried by `test_browsers.py`, and Node does nothing else.
        pytest.param("{}", id="streaming", marks=pytest.mark.soak),
        pytest.param('{"experimentalForceLongPolling": true}', id="long polling", marks=pytest.mark.soak),
        pytest.param('{"useFetchStreams": true}', id="fetch"),
    ],
)
def test_the_build_for_browsers_does_the_same_in_node(running: RunningFirestore, settings: str) -> None:
    """Over WebChannel: answers that stay open, answers that end with the first data, and streams of `fetch`."""
    options = ("--import", "./browser_build.mjs", "--test-force-exit")
    run_in_node("firestore.test.mjs", running.address, *options, settings=settings)


@needs_node
def test_a_refusal_reaches_nodes_server_sdks_at_the_first_attempt(
    counting: tuple[RunningFirestore, Counting],
) -> None:
    """One request for each refused call of either SDK; only what fails for the moment is asked again."""
    service, observer = counting
    fail_once = FaultRule(action="fail", match={"method": "RunQuery"}, code=Code.UNAVAILABLE, skip=2, times=1)
    service.call(lambda: service.faults.add(fail_once))
    run_in_node("firestore_refusals.test.mjs", service.address)
    service.run(service.server.stop())  # streams count when they end
    listens = {end: observer.ends.pop(end) for end in tuple(observer.ends) if end[0] == "Listen"}
    assert sum(listens.values()) == 2, listens
    assert observer.ends == {
        ("RunQuery", "INVALID_ARGUMENT"): 2,
        ("RunAggregationQuery", "INVALID_ARGUMENT"): 2,
        ("BatchGetDocuments", "INVALID_ARGUMENT"): 2,
        ("Commit", "INVALID_ARGUMENT"): 2,
        ("RunQuery", "UNAVAILABLE"): 1,
        ("RunQuery", "OK"): 1,
    }


@needs_node
def test_the_server_sdk_asks_for_vectors_plans_and_partitions(counting: tuple[RunningFirestore, Counting]) -> None:
    """Each in one request: nothing is asked again that was refused."""
    service, observer = counting
    run_in_node("firestore_admin_queries.test.mjs", service.address)
    refused = {ending: count for ending, count in observer.ends.items() if ending[1] == "INVALID_ARGUMENT"}
    assert sum(refused.values()) == 1, observer.ends
