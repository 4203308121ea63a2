"""Fixtures of the tests of task queues."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from google.cloud import tasks_v2

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.clock import Clock
from afterimage_emulator.suite import Suite
from tests.emulator.tasks.serving import PROJECT, TaskHandler, client_of, handling

BEGINNING = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.fixture
def suite() -> Iterator[BackgroundSuite]:
    """Queues alone, and a clock that stands still until it is moved."""
    with BackgroundSuite(
        Suite(only=("tasks",), project_id=PROJECT, free_ports=True, clock=Clock(frozen_at=BEGINNING))
    ) as running:
        yield running
        running.call(running.suite.services["tasks"].queues.check_invariants)


@pytest.fixture(params=["grpc", "rest"])
def client(suite: BackgroundSuite, request: pytest.FixtureRequest) -> tasks_v2.CloudTasksClient:
    """google-cloud-tasks over either wire."""
    return client_of(suite, request.param)


@pytest.fixture
def grpc_client(suite: BackgroundSuite) -> tasks_v2.CloudTasksClient:
    return client_of(suite, "grpc")


@pytest.fixture
def handler() -> Iterator[TaskHandler]:
    with handling() as handler:
        yield handler
