"""Finds out which process holds a port, so that "address in use" becomes something a person can act on."""

from __future__ import annotations

import os
from pathlib import Path

_LISTENING = "0A"


def describe_holder(port: int) -> str:
    """` by process 4242 (java …)`, or nothing where the system does not tell."""
    inode = _listening_inode(port)
    if inode is None:
        return ""
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(link) == wanted for link in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f" by process {process.name} ({command[:80]})"
        except OSError:  # another user's process, or one that just ended
            continue
    return ""


def _listening_inode(port: int) -> str | None:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                return fields[9]
    return None
