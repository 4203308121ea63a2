"""The other end of the connection whose request is being answered: for whatever asks below, in any task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final


class Peer:
    """One connection's other end. `owner` is kept by whoever found out who that is: once for all its requests."""

    __slots__ = ("address", "is_known", "owner")

    def __init__(self, address: object) -> None:
        self.address = address
        """As the system has it: host and port, or nothing of use for a Unix socket."""
        self.is_known = False
        self.owner: object = None


CURRENT_PEER: Final[ContextVar[Peer | None]] = ContextVar("current_peer", default=None)
"""None in work that no request waits for: what begins such work sets it so."""
