"""What one suite has once and its services share: clock, events, faults, records, ports, and what is to be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.composition.notices import Notices
from afterimage_emulator.composition.ports import Ports
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.credentials.local_signer import LocalSigner
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.allowed_pages import AllowedPages
from afterimage_emulator.front.judged_requests import JudgedRequests


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts:
    """One of each, made by the suite and handed to whatever it is composed of."""

    configuration: Configuration
    clock: Clock
    faults: Faults
    activity: Activity
    attempts: AttemptRecord
    events: EventBus
    judged: JudgedRequests
    signer: LocalSigner
    allowed: AllowedPages
    ports: Ports
    notices: Notices
    services: dict[str, Any]
    """Those built so far, by name."""
