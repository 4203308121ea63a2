"""Handlers of one machine's own routes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from afterimage.api.description.documentation import page_of
from afterimage.api.description.openapi import openapi_of
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.parsing import encoded
from afterimage.api.rooms.status_handlers import PAGE_POLICY
from afterimage.api.routes import Asked, Caller, Reply
from afterimage_client.queue import Entry
from afterimage_server.rooms.machine_routes import (
    ConflictShown,
    ConflictsShown,
    ConflictToSettle,
    EntryToSettle,
    MachineStatus,
    QueuedEntry,
    QueueQuery,
    QueueShown,
    SyncDone,
    machine_table,
)
from afterimage_server.rooms.machine_services import MachineServices
from afterimage_server.store.stored_values import canonical


def show_machine(services: MachineServices, _caller: Caller, _asked: Asked[Any, None]) -> MachineStatus:
    return MachineStatus(machine=services.look())


def show_description(_services: MachineServices, _caller: Caller, _asked: Asked[Any, None]) -> Reply:
    return Reply(body=_description())


def show_page(_services: MachineServices, _caller: Caller, _asked: Asked[Any, None]) -> Reply:
    return Reply(
        body=_page(), content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": PAGE_POLICY}
    )


@cache
def _description() -> bytes:
    return encoded(openapi_of(machine_table()))


@cache
def _page() -> bytes:
    return page_of(machine_table()).encode()


def show_metrics(services: MachineServices, _caller: Caller, _asked: Asked[Any, None]) -> Reply:
    lines = []
    for name, value in services.look().items():
        if isinstance(value, bool | int | float):
            lines.append(f"# TYPE afterimage_{name} gauge\nafterimage_{name} {float(value):g}\n")
    return Reply(body="".join(lines).encode(), content_type="text/plain; version=0.0.4; charset=utf-8")


def show_queue(services: MachineServices, _caller: Caller, asked: Asked[QueueQuery, None]) -> QueueShown:
    return _queue(services, asked.query.limit)


def settle_entry(services: MachineServices, _caller: Caller, asked: Asked[Any, EntryToSettle]) -> QueueShown:
    known = services.queue.get(asked.body.id)
    settled = services.queue.retry(asked.body.id) if asked.body.retry else False
    if not asked.body.retry and known is not None and known.status == "failed":
        settled = services.queue.discard(asked.body.id)
    if not settled:
        raise ApiError(ErrorCode.NOT_FOUND, f"`{asked.body.id}` is no dead letter", "the queue names those there are")
    return _queue(services, 100)


def sync_now(services: MachineServices, _caller: Caller, _asked: Asked[Any, Any]) -> SyncDone:
    report = services.sync()
    looked = services.look()
    waiting = int(looked["not_in_cloud"])
    if report is None:
        return SyncDone(
            cloud_storage_enabled=services.is_in_cloud, is_under_way=True, done=0, waiting=waiting, failed=0
        )
    # What the worker itself is just trying is not tried here: then it knows whether anybody is there.
    if report.is_offline or (waiting and not report.done and looked["is_offline"]):
        raise ApiError(
            ErrorCode.SYNC_FAILED,
            "the cloud cannot be reached",
            f"{waiting} entries wait, and are tried again by themselves",
        )
    return SyncDone(
        cloud_storage_enabled=services.is_in_cloud,
        done=len(report.done),
        waiting=waiting,
        failed=len(report.failed),
    )


def show_conflicts(services: MachineServices, _caller: Caller, _asked: Asked[Any, None]) -> ConflictsShown:
    return _conflicts(services)


def settle_conflict(services: MachineServices, _caller: Caller, asked: Asked[Any, ConflictToSettle]) -> ConflictsShown:
    keeps_ours = asked.body.keep == "here"
    if services.conflicts is None or not services.conflicts.settle(asked.body.path, keeps_ours=keeps_ours):
        raise ApiError(
            ErrorCode.NOT_FOUND, f"`{asked.body.path[:200]}` is no conflict", "the list names those there are"
        )
    return _conflicts(services)


def _conflicts(services: MachineServices) -> ConflictsShown:
    found = services.conflicts.listed() if services.conflicts is not None else []
    return ConflictsShown(
        conflicts=[
            ConflictShown(
                path=each.path, found_at=each.found_at, here=_shown_fields(each.here), there=_shown_fields(each.there)
            )
            for each in found
        ]
    )


def _shown_fields(fields: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As text that JSON has: bytes and places are written as the folder writes them."""
    return None if fields is None else json.loads(canonical(fields))


def _queue(services: MachineServices, limit: int) -> QueueShown:
    stats = services.queue.stats()
    entries = [_shown(entry) for entry in services.queue.entries()[:limit]]
    return QueueShown(size=stats.size, is_syncing=stats.is_syncing, failed=stats.failed, entries=entries)


def _shown(entry: Entry) -> QueuedEntry:
    return QueuedEntry(
        id=entry.id,
        kind=entry.kind,
        key=entry.key,
        status=str(entry.status),
        attempts=entry.attempts,
        due_at=datetime.fromtimestamp(entry.due, UTC) if entry.due else None,
        progress=entry.progress,
        reason=entry.reason,
    )
