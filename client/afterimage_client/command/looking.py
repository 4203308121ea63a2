"""Owns the commands that need no network: what is in the store, and what a person decides about it."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from afterimage_client.command.showing import Screen, size_text
from afterimage_client.database.errors import StoreError
from afterimage_client.media.cache import MediaCache
from afterimage_client.queue.entries import Entry, EntryStatus
from afterimage_client.store.copies import Kept
from afterimage_client.store.store import PUSH, Store
from afterimage_client.sync.resolving import discard_push, resolve_kept

_CONFLICTS = ("field", "edited_here", "deleted_here")


def status(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    stats = store.queue.stats()
    files = MediaCache(store).files()
    pulled = store.last_pulled()
    conflicts, refusals = store.count_kept(_CONFLICTS), store.count_kept(("refused",))
    kinds = ", ".join(f"{count} {kind.partition(':')[0]}" for kind, count in sorted(stats.by_kind.items()))
    rows = [
        ("waiting", f"{stats.pending}{f' ({kinds})' if kinds else ''}"),
        ("running", stats.in_progress),
        ("dead letters", stats.failed),
        ("conflicts", conflicts),
        ("refused edits", refusals),
        ("files", f"{len(files)}, {size_text(sum(each.bytes for each in files))}"),
        ("last pulled", _moment(pulled) if pulled is not None else "never"),
    ]
    screen.table(("store", store.database.path), rows)
    return int(bool(stats.failed or conflicts or refusals))


def queue(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    entries = [
        each
        for each in store.queue.entries()
        if each.status in (EntryStatus.PENDING, EntryStatus.IN_PROGRESS)
        and asked.kind in (None, each.kind, each.kind.partition(":")[0])
    ]
    if not entries:
        screen.say("nothing waits")
        return 0
    screen.table(
        ("id", "kind", "what", "status", "priority", "attempts", "progress", "last failure"),
        [
            (
                each.id,
                each.kind.partition(":")[0],
                each.key,
                each.status.value,
                each.priority,
                each.attempts,
                f"{each.progress}%",
                each.reason,
            )
            for each in entries
        ],
    )
    return 0


def dead_letters(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    found = store.queue.dead_letters()
    if not found:
        screen.say("there are no dead letters")
        return 0
    screen.table(
        ("id", "kind", "what", "attempts", "reason"),
        [(each.id, each.kind.partition(":")[0], each.key, each.attempts, each.reason) for each in found],
    )
    return 1


def retry(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    chosen = _chosen(store, asked)
    for each in chosen:
        store.queue.retry(each.id)
    screen.say(f"{len(chosen)} will be tried again")
    return 0


def discard(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    chosen = _chosen(store, asked)
    for each in chosen:
        if each.kind == PUSH:
            discard_push(store, each.id)
        elif each.kind == "upload":
            MediaCache(store).discard_upload(each.id)
        else:
            store.queue.discard(each.id)
    kept = sum(each.kind == PUSH for each in chosen)
    screen.say(f"{len(chosen)} given up{f'; {kept} edits are kept, see `conflicts`' if kept else ''}")
    return 0


def conflicts(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    found = store.kept()
    if not found:
        screen.say("there are no conflicts")
        return 0
    screen.table(
        ("id", "kind", "document", "field", "here", "there", "reason"),
        [_conflict_row(each) for each in found],
    )
    return 1


def resolve(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    value = None
    if asked.value is not None:
        try:
            value = json.loads(asked.value)
        except (ValueError, RecursionError) as error:
            raise StoreError(f"`{asked.value}` is no JSON: write texts in quotes, such as '\"text\"'") from error
    if asked.id not in {each.id for each in store.kept()}:
        raise StoreError(f"there is no conflict `{asked.id}`: `conflicts` lists them")
    resolve_kept(store, asked.id, asked.take, value)
    screen.say(f"{asked.id} is decided; the next sync pushes it")
    return 0


def cache(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    folder = MediaCache(store)
    files = folder.files()
    screen.say(f"{len(files)} files, {size_text(folder.total_bytes())}, in {folder.folder}")
    if files:
        screen.table(
            ("asset", "place", "size", "stays because", "good until"),
            [
                (each.asset_id, each.storage_path, size_text(each.bytes), why, _moment(each.expires_at))
                for each in files
                for why in [
                    "not uploaded"
                    if not each.is_uploaded
                    else "pinned"
                    if each.is_pinned
                    else "not pushed"
                    if each.is_dirty
                    else ""
                ]
            ],
        )
    return 0


def cache_clear(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    gone = MediaCache(store).clear()
    screen.say(f"{len(gone)} files removed, {size_text(sum(each.bytes for each in gone))}")
    return 0


def cache_expire(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    gone = MediaCache(store).remove_expired()
    screen.say(f"{len(gone)} files removed, {size_text(sum(each.bytes for each in gone))}")
    return 0


def cache_repair(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    report = MediaCache(store).repair()
    screen.say(f"{len(report.forgotten)} rows without a file forgotten, {len(report.removed)} stray files removed")
    for path in report.lost:
        screen.say(f"lost before it was uploaded: {path}")
    return int(bool(report.lost))


def cache_pin(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    folder = MediaCache(store)
    for asset in asked.assets:
        folder.pin(asset)
    screen.say(f"{len(asked.assets)} pinned")
    return 0


def cache_unpin(store: Store, screen: Screen, asked: argparse.Namespace) -> int:
    folder = MediaCache(store)
    for asset in asked.assets:
        folder.unpin(asset)
    screen.say(f"{len(asked.assets)} unpinned")
    return 0


def _chosen(store: Store, asked: argparse.Namespace) -> list[Entry]:
    """All that were named, or an error and nothing done."""
    found = {each.id: each for each in store.queue.dead_letters()}
    if asked.all:
        return list(found.values())
    if not asked.ids:
        raise StoreError("no dead letter was named: give ids, or `--all`")
    for entry_id in asked.ids:
        if entry_id not in found:
            raise StoreError(f"there is no dead letter `{entry_id}`: `dead-letters` lists them")
    return [found[entry_id] for entry_id in dict.fromkeys(asked.ids)]


def _conflict_row(kept: Kept) -> tuple[object, ...]:
    field = ".".join(kept.path) if kept.kind == "field" else ""
    return (kept.id, kept.kind, kept.reference, field, kept.local, kept.remote, kept.reason)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
