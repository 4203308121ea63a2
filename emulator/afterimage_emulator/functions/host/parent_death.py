"""Makes sure that no process outlives the one that started it, even when that one is killed without warning."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent_pid: int) -> None:
    """Linux only; elsewhere the closed control socket is the only sign."""
    if not sys.platform.startswith("linux"):
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it died before the call
        os._exit(1)


def outlive_parent() -> None:
    """The host has children to take along: once it can, it watches its control socket instead."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_PDEATHSIG, 0)


def adopt_orphans() -> None:
    """What an instance started and left behind becomes a child of this process, which can then end it."""
    if sys.platform.startswith("linux"):
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def child_processes() -> list[int]:
    """Own ones and adopted ones; empty where the system does not tell."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _prctl(option: int, number: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, int(number), 0, 0, 0)
