"""Owns a service whose time nobody moves, since signatures made by the machine's clock are checked by the suite's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.storage.conftest import RunningStorage


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStorage]:
    """One service for all tests of signatures; every test works in a bucket of its own."""
    storage_service = RunningStorage(tmp_path_factory.mktemp("signing"))
    yield storage_service
    storage_service.stop()
