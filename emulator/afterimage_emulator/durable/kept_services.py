"""Which services keep their data, and how they get back what they kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.durable.data_folder import DataFolder
from afterimage_emulator.durable.journal import Journal, Part

KEPT: Final = {"firestore": 1, "auth": 2}
"""The tags of their records; a tag is never used for another service."""


def journal_in(path: Path) -> Journal:
    return Journal(DataFolder(path))


def take_back(journal: Journal, services: Mapping[str, Any], path: Path) -> Sequence[str]:
    """Each service gets what it kept, and keeps from now on; answers with what is to be said of those that do not."""
    parts: dict[int, Part] = {}
    for name, service in services.items():
        if name in KEPT:
            kept: Callable[[Callable[[bytes], None]], Part] = service.kept
            parts[KEPT[name]] = kept(journal.keeper(KEPT[name]))
    journal.open(parts)
    without = [name for name in services if name not in KEPT]
    if not without:
        return ()
    return (f"`{path}` keeps {', '.join(KEPT)}; what {', '.join(without)} hold is forgotten at the end",)
