"""The rows of one machine's own routes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from afterimage.api.dispatch import RouteTable
from afterimage.api.errors import ErrorCode
from afterimage.api.routes import Access, AppCheck, Cost, Method, Route
from afterimage.api.table import TABLE


class MachineStatus(Struct, frozen=True, kw_only=True):
    """How one machine is."""

    success: bool = True
    machine: dict[str, Any]


class QueuedEntry(Struct, frozen=True, kw_only=True):
    """One thing that waits, runs or was given up."""

    id: int
    kind: str
    key: str
    status: str
    attempts: int
    due_at: datetime | None
    progress: int
    reason: str


class QueueShown(Struct, frozen=True, kw_only=True):
    """What is in the queue, the oldest first."""

    success: bool = True
    size: int
    is_syncing: bool
    failed: int
    entries: list[QueuedEntry]


class QueueQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of the queue is shown."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class EntryToSettle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dead letter, and whether it gets its attempts again or goes."""

    id: int
    retry: bool = True


class ConflictShown(Struct, frozen=True, kw_only=True):
    """A document as both have it; null where one has none."""

    path: str
    found_at: datetime
    here: dict[str, Any] | None
    there: dict[str, Any] | None


class ConflictsShown(Struct, frozen=True, kw_only=True):
    """Documents that were changed here and in the cloud."""

    success: bool = True
    conflicts: list[ConflictShown]


class ConflictToSettle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the two stays."""

    path: str
    keep: Literal["here", "there"]


class SyncDone(Struct, frozen=True, kw_only=True):
    """What became of everything that waited."""

    success: bool = True
    cloud_storage_enabled: bool
    is_under_way: bool = False
    """It was asked for before, or takes long: it goes on, and `waiting` says how much there is yet."""
    done: int
    waiting: int
    failed: int


class NothingAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body without fields."""


_HANDLERS: Final = "afterimage_server.rooms.machine_handlers"


def _admin(method: Method, path: str, handler: str, summary: str, answers: Any, **options: Any) -> Route:
    return Route(
        method=method,
        path=path,
        handler=f"{_HANDLERS}:{handler}",
        summary=summary,
        answers=answers,
        access=Access.ADMIN,
        app_check=AppCheck.EXEMPT,
        cost=Cost.FREE,
        **options,
    )


MACHINE_ROUTES: Final = (
    _admin("GET", "/local/status", "show_machine", "how this machine is", MachineStatus),
    _admin("GET", "/local/metrics", "show_metrics", "the same as figures, for Prometheus", None),
    _admin("GET", "/local/queue", "show_queue", "what waits, runs or was given up", QueueShown, query=QueueQuery),
    _admin(
        "POST", "/local/queue", "settle_entry", "gives a dead letter its attempts again, or lets it go", QueueShown,
        body=EntryToSettle, refusals=(ErrorCode.NOT_FOUND,),
    ),
    _admin("GET", "/local/conflicts", "show_conflicts", "what was changed here and in the cloud", ConflictsShown),
    _admin(
        "POST", "/local/conflicts", "settle_conflict", "says which of the two stays", ConflictsShown,
        body=ConflictToSettle, refusals=(ErrorCode.NOT_FOUND, ErrorCode.UNAVAILABLE),
    ),
    Route(
        method="POST",
        path="/api/phase5/storage/sync",
        handler=f"{_HANDLERS}:sync_now",
        summary="tries everything that waits for the network, at once",
        answers=SyncDone,
        body=NothingAsked,
        app_check=AppCheck.EXEMPT,
        cost=Cost.WRITES,
        refusals=(ErrorCode.SYNC_FAILED,),
    ),
)  # fmt: skip


DESCRIBED: Final = {"/openapi.json": "show_description", "/docs": "show_page"}
"""Rows of the API that describe what is served, and who answers them here: more is served."""


@cache
def machine_table() -> RouteTable:
    """The API's table with this machine's own rows; a row that the API has too is the machine's."""
    own = {(route.method, route.path) for route in MACHINE_ROUTES}
    rows = [row for row in TABLE.routes if (row.method, row.path) not in own]
    described = [
        replace(row, handler=f"{_HANDLERS}:{DESCRIBED[row.path]}") if row.path in DESCRIBED else row for row in rows
    ]
    # Whoever writes may find the account erased meanwhile, and is told so.
    told = [
        row if row.method == "GET" or ErrorCode.CONFLICT in row.refusals
        else replace(row, refusals=(*row.refusals, ErrorCode.CONFLICT))
        for row in described
    ]  # fmt: skip
    return RouteTable([*told, *MACHINE_ROUTES])
