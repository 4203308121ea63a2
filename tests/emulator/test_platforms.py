"""What is said where the suite does not run, or runs less well; and that nobody else hears of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from afterimage_emulator.commands.platforms import missing_on, refused_platform

AS_ON_WINDOWS = """
import builtins, sys
real_import = builtins.__import__
def as_on_windows(name, *arguments, **named):
    if name in ("fcntl", "grp", "pwd", "resource", "termios"):
        raise ImportError(name)
    return real_import(name, *arguments, **named)
builtins.__import__ = as_on_windows
sys.platform = "win32"
from afterimage_emulator.__main__ import run
sys.exit(run())
"""


def test_windows_is_refused_with_the_way_out() -> None:
    """One sentence that names WSL, before anything is imported that Windows lacks."""
    ended = subprocess.run([sys.executable, "-c", AS_ON_WINDOWS], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1
    assert "WSL" in ended.stderr


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_others_are_not_refused(platform: str) -> None:
    """Linux has everything; macOS runs, and `start` says what is missing there."""
    assert refused_platform(platform) is None
    assert bool(missing_on(platform)) == (platform == "darwin")
