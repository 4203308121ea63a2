"""What a large request frees is there for the next one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import asyncio
import resource
from afterimage_emulator.wire.server import WireServer

def pages_handed_out():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        bytes(bytearray(b"x") * 1_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_pages():
    return int(open("/proc/self/statm").read().split()[1])

before = resident_pages()
asyncio.run(WireServer(name="test").start())
held = resident_pages() - before
pages_handed_out()
print(pages_handed_out(), held)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of other systems does not learn")
def test_bodies_of_a_megabyte_are_read_into_memory_that_was_there_before() -> None:
    """Twenty of them need no new page of the system, where each took some 250 before; nothing is held for it."""
    told = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    pages, held = map(int, told.stdout.split())
    assert pages < 100
    assert held < 4_000
