"""One item that cannot be handled is named and counted, and the job goes on to the next.

What passes by itself (network, quota, contention) is raised instead, so that the turn is delivered again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from afterimage.faults import is_transient


@contextmanager
def passed_over(item: str, counts: Counter[str], failures: list[str], *, count: str = "failed") -> Iterator[None]:
    """Every kind of permanent fault within is the item's own; nobody's document may keep the others waiting."""
    try:
        yield
    except Exception as error:
        if is_transient(error):
            raise
        counts[count] += 1
        failures.append(f"{item}: {type(error).__name__}: {error}"[:300])
