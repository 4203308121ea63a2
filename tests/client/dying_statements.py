"""Connections to SQLite that kill their process ahead of a given statement: for programs that die anywhere."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any


def dying_before(last_statement: int) -> Callable[..., sqlite3.Connection]:
    """What opens connections; the statements of all of them are counted together, and 0 kills nobody."""
    seen = 0

    def die(statement: str) -> None:
        nonlocal seen
        seen += 1
        if seen == last_statement:
            os.kill(os.getpid(), signal.SIGKILL)

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*args, **options)
        connection.set_trace_callback(die)
        return connection

    return connect
