"""Fixtures for the tests of functions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.emulator.functions.running import CODEBASES, Running, serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The codebase `plain`, loaded once for all tests of a module."""
    async with serving(CODEBASES / "plain", tmp_path_factory.mktemp("plain") / "notes") as running:
        yield running


@pytest.fixture
def write_codebase(tmp_path: Path) -> Callable[[str], Path]:
    """Writes main.py of a codebase of the test's own, again and again if wanted."""

    def write(text: str) -> Path:
        source = tmp_path / "codebase"
        source.mkdir(exist_ok=True)
        (source / "main.py").write_text(text)
        return source

    return write
