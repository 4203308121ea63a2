"""Which services keep their data, and how they get back what they kept."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.data_folder import DataFolder
from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.journal import Journal, Part
from afterimage_emulator.durable.kept_clock import KeptClock

TAGS: Final = {"firestore": 1, "auth": 2, "storage": 3, "pubsub": 4, "tasks": 5, "functions": 6, "clock": 7, "rules": 8}
"""What records begin with; a tag is never used for another part."""
_WITH_RECORDS_OF_THEIR_OWN: Final = ("firestore", "auth")


class Keeping:
    """The journal in one folder, and what each service keeps of itself in it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._folder = DataFolder(path)
        self.journal = Journal(self._folder)
        self._entries: dict[str, KeptEntries] = {}
        KeptClock(self.entries("clock"), clock)

    def entries(self, name: str) -> KeptEntries:
        """What a service tells of its changes, from its construction on."""
        made = self._entries[name] = KeptEntries(self.journal, TAGS[name])
        return made

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever kept here."""
        return self._folder.is_new

    def importing(self) -> AbstractContextManager[None]:
        """Around an import, which is kept as a whole or begins anew at the next start."""
        return self._folder.importing()

    def files_of(self, service: str) -> Path:
        return self._folder.files_of(service)

    def take_back(self, services: Mapping[str, Any]) -> None:
        """Each service gets what it kept, and keeps from now on."""
        # The clock first: what has its time is asked of it.
        parts: dict[int, Part] = {TAGS[name]: entries for name, entries in self._entries.items()}
        for name in _WITH_RECORDS_OF_THEIR_OWN:
            if name in services:
                kept: Callable[[Callable[[bytes], None]], Part] = services[name].kept
                parts[TAGS[name]] = kept(self.journal.keeper(TAGS[name]))
        self.journal.open(parts)
        # What lives as long as the suite is not looked through again by every collection of garbage.
        gc.collect()
        gc.freeze()

    def close(self) -> None:
        self.journal.close()
