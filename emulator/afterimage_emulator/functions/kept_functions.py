"""What functions keep of what they were sent: events that are not at their end, and the times of schedules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.plain_values import from_plain, to_plain, written
from afterimage_emulator.functions.deliveries.deliveries import Deliveries
from afterimage_emulator.functions.deliveries.pending_events import event_of, pending_of
from afterimage_emulator.functions.deliveries.schedules import KeptSchedule, Schedules


class KeptFunctions:
    """Events are told where they come and go; schedules are looked up by the names of their functions."""

    def __init__(self, keeping: KeptEntries, deliveries: Deliveries, schedules: Schedules) -> None:
        self._keeping = keeping
        self._deliveries = deliveries
        self._schedules = schedules
        keeping.hold(read=self._read, restore=self._take_back)

    def _read(self, key: str) -> bytes | None:
        kind, _, name = key.partition("/")
        kept = self._schedules.kept(name) if kind == "schedule" else None
        return None if kept is None else written(to_plain(kept))

    def _take_back(self, entries: Mapping[str, bytes]) -> None:
        """Events go on when their functions are loaded, in the order in which they came."""
        pending = []
        for key, value in entries.items():
            said = json.loads(value)
            kind, _, name = key.partition("/")
            if kind == "event":
                pending.append(replace(pending_of(said), key=key))
            elif kind == "held":
                self._keeping.put(key, None)  # it is held anew, under another key
                self._deliveries.hold_again(event_of(said["event"]), was_starting=said["was_starting"])
            elif kind == "schedule":
                self._schedules.restore(name, from_plain(KeptSchedule, said))
        self._deliveries.resume(pending)
