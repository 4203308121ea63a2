"""What whoever starts a suite should know, and the watch over the files of rules that it is told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from afterimage_emulator.rules_files import RulesNotice, watch_files


class Notices:
    """Warnings and broken rules of one suite; complete once it has started."""

    def __init__(self, warnings: Iterable[str]) -> None:
        self.warnings: list[str] = list(warnings)
        self.broken_rules: list[str] = []
        """Rules that closed what they were to guard when the suite started."""
        self._watching: list[asyncio.Task[None]] = []

    def note_rules(self, notices: Sequence[RulesNotice]) -> None:
        self.warnings += [notice.text for notice in notices if not notice.is_broken]
        self.broken_rules += [notice.text for notice in notices if notice.is_broken]

    def watch(self, load_changed: Callable[[], None]) -> None:
        """Calls it whenever files may have changed, until the suite stops."""
        self._watching.append(asyncio.get_running_loop().create_task(watch_files(load_changed)))

    def stop_watching(self) -> None:
        for task in self._watching:
            task.cancel()
