"""The official Auth emulator and this Auth, each alone in a process of its own that prints its port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conformance.auth.written_requests import PROJECT

HERE = Path(__file__).parent


@contextmanager
def serving(command: Sequence[str]) -> Iterator[str]:
    """The address, for as long as it is wanted; the process ends when nobody holds its input any more."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def official_auth(node_modules: Path) -> list[str]:
    """The command for the emulator of the firebase-tools there, without the CLI around it."""
    return ["node", str(HERE / "official_auth.mjs"), str(node_modules), PROJECT]


def our_auth() -> list[str]:
    return [sys.executable, str(HERE / "our_auth.py"), PROJECT]
