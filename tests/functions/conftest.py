"""Owns the import path of the functions' tests: `functions/` is a root of its own, as it is when deployed.

Whatever double of a store a test has made is whole when the test ends.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
if str(FUNCTIONS) not in sys.path:
    sys.path.insert(0, str(FUNCTIONS))


@pytest.fixture(autouse=True)
def whole_doubles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """At its end every test asks the doubles that it used for faults; none of those tests has to remember to."""
    from afterimage.store.memory_documents import MemoryDocuments
    from afterimage.store.memory_files import MemoryFiles

    made: list[MemoryDocuments | MemoryFiles] = []
    for double in (MemoryDocuments, MemoryFiles):
        begin: Any = double.__init__

        def watched(self: Any, *args: Any, begin: Any = begin, **options: Any) -> None:
            begin(self, *args, **options)
            made.append(self)

        monkeypatch.setattr(double, "__init__", watched)
    yield
    if request.node.get_closest_marker("broken_double") is None:
        assert [fault for double in made for fault in double.check_invariants()] == []
