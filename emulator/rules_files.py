"""Keeps each database's rules as its file says: loaded at the start, again whenever the file changes.

A broken edit is shown with its place, and the last good rules stay in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from emulator.configuration import FirestoreTarget

WATCH_SECONDS: Final = 0.4
Load = Callable[[str, str, str], Sequence[dict[str, Any]]]
"""Takes a database, the source and the file's name; answers with the issues found."""
_log = logging.getLogger("emulator.firestore")


class RulesFiles:
    """Watches the rules files of all databases that firebase.json names."""

    def __init__(self, targets: Sequence[FirestoreTarget], load: Load) -> None:
        self._files = {target.database: target.rules for target in targets if target.rules is not None}
        self._load = load
        self._seen: dict[str, tuple[int, int]] = {}

    def load_changed(self) -> None:
        """Loads every file whose time or size is not what it was."""
        for database, file in self._files.items():
            try:
                status = file.stat()
                stamp = (status.st_mtime_ns, status.st_size)
                if self._seen.get(database) == stamp:
                    continue
                is_reload = database in self._seen
                self._seen[database] = stamp
                self._report(file, self._load(database, file.read_text("utf-8"), file.name), is_reload=is_reload)
            except (OSError, UnicodeDecodeError) as error:
                if self._seen.pop(database, None) is not None:
                    _log.error("%s cannot be read, so the last good rules stay in force: %s", file, error)

    def _report(self, file: Path, issues: Sequence[dict[str, Any]], *, is_reload: bool) -> None:
        errors = [issue for issue in issues if issue.get("severity") == "ERROR"]
        for issue in issues:
            place = issue.get("sourcePosition", {})
            level = logging.ERROR if issue in errors else logging.WARNING
            where = f"{file.name}:{place.get('line', '?')}:{place.get('column', '?')}"
            _log.log(level, "%s: %s", where, issue.get("description", issue))
        if errors:
            _log.error(
                "%s was not taken; %s", file, "the last good rules stay in force" if is_reload else "there are no rules"
            )
        elif is_reload:
            _log.info("%s reloaded", file.name)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.load_changed()
