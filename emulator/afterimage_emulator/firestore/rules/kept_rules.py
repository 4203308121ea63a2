"""Rules that tools set over the wire, kept through the end of a run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.plain_values import written
from afterimage_emulator.firestore.rules.loaded_rules import LoadedRules


class KeptRules:
    """By the project for which they were set."""

    def __init__(self, keeping: KeptEntries, rules: LoadedRules) -> None:
        self._rules = rules
        keeping.hold(read=self._read, restore=self._take_back)

    def _read(self, key: str) -> bytes | None:
        said = self._rules.set_by_tool(key.partition("/")[2])
        return None if said is None else written(said)

    def _take_back(self, entries: Mapping[str, bytes]) -> None:
        for key, value in tuple(entries.items()):
            self._rules.restore(key.partition("/")[2], json.loads(value))
