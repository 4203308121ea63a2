"""Makes sure that no process outlives the one that started it, even when that one is killed without warning."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Linux only; elsewhere the closed control socket is the only sign."""
    if not sys.platform.startswith("linux"):
        return
    _prctl(signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the call
        os._exit(1)


def outlive_parent() -> None:
    """The host has children to take along: once it can, it watches its control socket instead."""
    if sys.platform.startswith("linux"):
        _prctl(0)


def _prctl(number: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
