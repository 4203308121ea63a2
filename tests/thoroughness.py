"""Knows how many examples a property is tried with: a part of them in `make test`, all of them in `make soak`."""

from __future__ import annotations

import os
from typing import Final

ALL_EXAMPLES: Final = "TEST_ALL_EXAMPLES"
"""The variable that `make soak` sets."""
_PART: Final = 3
_LEAST: Final = 10


def examples(count: int) -> int:
    """So many of `count` examples as this run is to take; each run takes other ones, so that days make up for it."""
    return count if os.environ.get(ALL_EXAMPLES) else max(min(count, _LEAST), count // _PART)
