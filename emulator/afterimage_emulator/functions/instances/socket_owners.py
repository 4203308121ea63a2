"""Which process holds a socket: found once a connection, by the tables of the system. Linux alone tells."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from typing import Final

_FOURTH: Final = "/proc/net/tcp"
_SIXTH: Final = "/proc/net/tcp6"
_MAPPED: Final = "0000000000000000FFFF0000"
TELLS_OWNERS: Final = os.path.exists(_FOURTH)


def inode_of(host: str, port: int) -> str | None:
    """The number of the socket that is bound to this address of the machine."""
    for table, printed in _places(host):
        wanted = f"{printed}:{port:04X}"
        try:
            with open(table, encoding="ascii") as lines:
                for line in lines:
                    fields = line.split(None, 10)
                    if len(fields) > 9 and fields[1] == wanted and fields[9] != "0":
                        return fields[9]
        except OSError:
            continue
    return None


def holder_of(inode: str, pids: Iterable[int]) -> int | None:
    """The first of these processes that has the socket open."""
    wanted = f"socket:[{inode}]"
    for pid in pids:
        folder = f"/proc/{pid}/fd"
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in names:
            try:
                if os.readlink(f"{folder}/{name}") == wanted:
                    return pid
            except OSError:
                continue
    return None


def _places(host: str) -> Iterator[tuple[str, str]]:
    """A socket for both versions of IP stands in the table of the sixth, also with an address of the fourth."""
    if ":" in host:
        yield _SIXTH, _hexadecimal(socket.inet_pton(socket.AF_INET6, host.partition("%")[0]))
        return
    printed = _hexadecimal(socket.inet_pton(socket.AF_INET, host))
    yield _FOURTH, printed
    yield _SIXTH, f"{_MAPPED}{printed}"


def _hexadecimal(packed: bytes) -> str:
    """As the kernel prints it: each four bytes as a number of the machine's own order."""
    return "".join(f"{int.from_bytes(packed[at : at + 4], sys.byteorder):08X}" for at in range(0, len(packed), 4))
