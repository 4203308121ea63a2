"""What the hub needs of the suite it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Address
from afterimage_emulator.credentials.local_signer import LocalSigner
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.front.judged_requests import JudgedRequests
from afterimage_emulator.wire.observers import RequestObserver


class SuiteView(Protocol):
    """One suite, as its hub reads and moves it."""

    project_id: str
    clock: Clock
    faults: Faults
    events: EventBus
    activity: Activity
    signer: LocalSigner
    judged: JudgedRequests
    observer: RequestObserver
    token: str
    services: dict[str, Any]

    def addresses(self) -> Mapping[str, Address]: ...

    def reset(self) -> None: ...

    async def kept(self) -> None: ...

    async def export_to(self, directory: Path) -> None: ...

    def records(self, *, failed_only: bool) -> list[dict[str, Any]]: ...

    def knows_event(self, event_id: str) -> bool: ...
    async def replay(self, event_id: str) -> int: ...

    def capabilities(self) -> dict[str, list[dict[str, str]]]: ...

    def missing_indexes(self) -> list[dict[str, Any]]: ...

    def send(self, event: CloudEvent) -> int: ...

    def run_schedule(self, name: str) -> None: ...
