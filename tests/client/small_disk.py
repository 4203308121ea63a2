"""Runs a program on a disk of its own that is really small: what does not fit, the system itself refuses."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'


@functools.cache
def _may_mount() -> bool:
    """A namespace of mounts needs no rights where the system lets users have one."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False, capture_output=True
    )
    return tried.returncode == 0


def run_on_small_disk(
    folder: Path, size: str, program: Path, arguments: Sequence[str], environment: Mapping[str, str]
) -> str:
    """What the program prints; its first argument is the folder, in which only `size` has room."""
    if not _may_mount():
        pytest.skip("no file systems may be mounted here")
    command = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", size, str(folder)]
    ran = subprocess.run(
        [*command, sys.executable, str(program), str(folder), *arguments],
        env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    return ran.stdout
