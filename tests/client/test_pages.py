"""What the client's pages say of tests is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = "".join(path.read_text() for path in (ROOT / "tests" / "client").rglob("test_*.py"))


@pytest.mark.parametrize("page", ["client.md", "sync.md", "worker.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    """Whoever doubts a promise finds the test that shows it, under the name that the page gives."""
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / page).read_text()))
    assert named
    assert sorted(name for name in named if f"def {name}(" not in TESTS) == []
