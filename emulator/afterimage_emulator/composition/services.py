"""Which services there are, what each offers the suite, and which of them hold data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from afterimage_emulator.front.origin_guard import IsAdminRoute
from afterimage_emulator.wire.grpc_methods import GrpcMethod
from afterimage_emulator.wire.http_messages import HttpHandler
from afterimage_emulator.wire.offered import Offered

SERVICES = ("firestore", "storage", "auth", "pubsub", "functions", "tasks", "eventarc", "hosting")
SERVE_PAGES = frozenset({"storage", "hosting"})
"""Services whose answers are pages that users made: the guard lets none of these be an administrator."""
WITHOUT_DATA = frozenset({"eventarc", "hosting"})


class Service(Protocol):
    """What every service package offers the suite."""

    @property
    def http(self) -> HttpHandler: ...

    @property
    def grpc(self) -> Sequence[GrpcMethod]: ...

    @property
    def is_admin_route(self) -> IsAdminRoute:
        """Which HTTP requests ask for what only administrators may."""
        ...

    def offered(self) -> Iterable[Offered]:
        """Its HTTP routes as their own tables have them; `grpc` tells of itself."""
        ...

    def reset(self) -> None: ...

    async def export_to(self, directory: Path) -> None: ...

    async def import_from(self, directory: Path) -> None: ...

    async def close(self) -> None: ...
