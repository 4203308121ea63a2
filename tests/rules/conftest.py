"""The law under test, and where to ask it over the wire: any emulator the environment names, else the suite."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.background import BackgroundSuite
from rules.law import Law, read_law

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A running Firestore or Storage that enforces the assembled rules."""

    host: str
    port: int
    project: str
    is_ours: bool
    """Reasons are compared on our own suite alone; verdicts everywhere."""
    missing_indexes: Callable[[], list[dict[str, Any]]] = list
    """Indexes that queries needed and that the project does not declare, as our own suite knows them."""

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@pytest.fixture(scope="session")
def law() -> Law:
    """What the root files are made of."""
    return read_law(ROOT / "rules")


@pytest.fixture(scope="session")
def firestore(request: pytest.FixtureRequest) -> Endpoint:
    return _endpoint(request, "FIRESTORE_EMULATOR_HOST")


@pytest.fixture(scope="session")
def storage(request: pytest.FixtureRequest) -> Endpoint:
    return _endpoint(request, "FIREBASE_STORAGE_EMULATOR_HOST")


def _endpoint(request: pytest.FixtureRequest, variable: str) -> Endpoint:
    named = os.environ.get(variable)
    missing_indexes: Callable[[], list[dict[str, Any]]] = list
    if named:
        project = os.environ.get("GCLOUD_PROJECT", "demo-afterimage")
        address = named.removeprefix("http://")
    else:
        suite: BackgroundSuite = request.getfixturevalue("suite")
        address = suite.environment()[variable]
        project = suite.suite.project_id
        missing_indexes = partial(suite.call, suite.suite.missing_indexes)
    host, _, port = address.rpartition(":")
    return Endpoint(host=host, port=int(port), project=project, is_ours=not named, missing_indexes=missing_indexes)
