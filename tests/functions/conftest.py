"""Owns the import path of the functions' tests: `functions/` is a root of its own, as it is when deployed."""

from __future__ import annotations

import sys
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
if str(FUNCTIONS) not in sys.path:
    sys.path.insert(0, str(FUNCTIONS))
