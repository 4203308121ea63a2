"""Autoclass of a bucket: switched on and off, with the times that the server adds (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.messages.timestamps import print_time

_TERMINAL: Final = ("NEARLINE", "ARCHIVE")


def changed_autoclass(old: Mapping[str, object] | None, said: object, now_ns: int) -> Mapping[str, object] | None:
    """What is not said stays; a class to end in is told only while it is on."""
    if said is None:
        return None
    if not isinstance(said, Mapping):
        raise invalid(f"Invalid value for `autoclass`: it must be an object, not `{str(said)[:60]}`")
    before = old or {}
    was_on, enabled = before.get("enabled") is True, said.get("enabled", before.get("enabled", False))
    if not isinstance(enabled, bool):
        raise invalid(f"Invalid value for `autoclass.enabled`: `{str(enabled)[:60]}` is neither true nor false")
    now = print_time(now_ns)
    toggled = {"toggleTime": before.get("toggleTime", now)}
    if not enabled:
        return {"enabled": False, **({"toggleTime": now} if was_on else toggled if before else {})}
    terminal = said.get("terminalStorageClass") or before.get("terminalStorageClass") or "NEARLINE"
    if terminal not in _TERMINAL:
        raise invalid(
            f"Invalid value for `autoclass.terminalStorageClass`: `{str(terminal)[:60]}`; use NEARLINE or ARCHIVE"
        )
    stays = terminal == before.get("terminalStorageClass")
    return {
        "enabled": True,
        "toggleTime": toggled["toggleTime"] if was_on else now,
        "terminalStorageClass": terminal,
        "terminalStorageClassUpdateTime": before["terminalStorageClassUpdateTime"] if stays else now,
    }
