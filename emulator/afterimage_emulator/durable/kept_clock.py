"""Where the suite's clock stands: data of a time to come are not older than they are at the next start."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.plain_values import written

_KEY: Final = "standing"
_log = logging.getLogger("afterimage_emulator.data")


class KeptClock:
    """A clock that nobody ever moved is not kept; one that is moved already goes on as it is."""

    def __init__(self, keeping: KeptEntries, clock: Clock) -> None:
        self._clock = clock
        keeping.hold(read=self._read, restore=self._take_back)
        clock.watch(lambda: keeping.touch(_KEY))

    def _read(self, key: str) -> bytes | None:
        standing = self._clock.standing
        return None if standing == (0, None) else written(standing)

    def _take_back(self, entries: Mapping[str, bytes]) -> None:
        if _KEY not in entries or self._clock.standing != (0, None):
            return
        self._clock.stand_as(*json.loads(entries[_KEY]))
        stands = "stands still at" if self._clock.is_frozen else "goes on from"
        _log.warning("the clock %s %s, as it was left with these data", stands, self._clock.now().isoformat())
