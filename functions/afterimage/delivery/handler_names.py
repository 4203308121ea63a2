"""Handlers by name: what `main.py` and the table of routes say, imported when it is first called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def handler_at(place: str) -> Callable[..., Any]:
    """The function named by `package.module:function`: a cold start loads only what it calls."""
    module, _, function = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
