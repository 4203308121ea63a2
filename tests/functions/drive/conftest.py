"""Owns the world of a linked Drive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.functions.drive.drive_world import DriveWorld, drive_world


@pytest.fixture
def world() -> Iterator[DriveWorld]:
    """Nothing is linked yet."""
    with drive_world() as made:
        yield made
