"""Owns the suite that the ledger's own tests talk to: Firestore alone, without the project's rules or functions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.suite import Suite


@pytest.fixture(scope="module")
def ledger_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "firebase.json").write_text('{"firestore": {}}')
    configuration = load_configuration(folder / "firebase.json", project_id="demo-ledger")
    with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True)) as running:
        yield running
