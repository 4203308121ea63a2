"""What handlers of one machine's own routes reach beyond those of the API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from afterimage.api.services import Services
from afterimage_client.queue import DurableQueue, SyncReport
from afterimage_server.cloud.conflicts import Conflicts


@dataclass(frozen=True, kw_only=True)
class MachineServices(Services):
    """The collaborators of every handler of one machine."""

    queue: DurableQueue
    look: Callable[[], dict[str, Any]]
    """How the machine is, in names and plain values."""
    conflicts: Conflicts | None = None
    """None where there is no cloud."""
    sync: Callable[[], SyncReport | None]
    """Tries everything that waits, each entry once; None where that is under way, and goes on."""
