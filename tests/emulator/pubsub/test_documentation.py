"""docs/pubsub.md is held to what it says."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[2] / "docs" / "pubsub.md"


def test_every_test_that_the_document_names_exists() -> None:
    """A reader who looks for the proof of a statement finds it."""
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text()))
    assert len(named) > 3
    sources = "".join(path.read_text() for path in HERE.rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in sources} == set()
