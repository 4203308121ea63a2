"""Keeps rules as their files say: loaded at the start, again whenever a file changes.

A broken edit is shown with its place, and the last good rules stay in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from emulator.configuration import FirestoreTarget

WATCH_SECONDS: Final = 0.4
Load = Callable[[str, str, str], Sequence[dict[str, Any]]]
"""Takes a database, the source and the file's name; answers with the issues found."""
_log = logging.getLogger("emulator.firestore")


class RulesFiles:
    """The rules files of all databases that firebase.json names."""

    def __init__(self, targets: Sequence[FirestoreTarget], load: Load) -> None:
        self._files = {target.database: RulesFile(target.rules, _log) for target in targets if target.rules is not None}
        self._load = load

    def load_changed(self) -> None:
        """Loads every file whose time or size is not what it was."""
        for database, file in self._files.items():
            source = file.changed_source()
            if source is not None:
                file.report(self._load(database, source, file.path.name))


class RulesFile:
    """One file of rules: what is new in it, and what to say of that."""

    def __init__(self, path: Path, log: logging.Logger) -> None:
        self.path = path
        self._log = log
        self._seen: tuple[int, int] | None = None
        self._is_readable = True
        self._has_good_rules = False

    def changed_source(self) -> str | None:
        """The text, where it may be another than last time; what cannot be read is reported once."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if self._seen == stamp and self._is_readable:
                return None
            self._seen = stamp
            source = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if self._is_readable:
                self._log.error("%s cannot be read: %s; %s", self.path, error, self._consequence())
            self._is_readable = False
            return None
        self._is_readable = True
        return source

    def report(self, issues: Sequence[Mapping[str, Any]]) -> None:
        """What came of loading it: every issue with its place, and which rules are in force now."""
        errors = [issue for issue in issues if issue.get("severity") == "ERROR"]
        for issue in issues:
            place = issue.get("sourcePosition", {})
            where = f"{self.path.name}:{place.get('line', '?')}:{place.get('column', '?')}"
            level = logging.ERROR if issue in errors else logging.WARNING
            self._log.log(level, "%s: %s", where, issue.get("description", issue))
        if errors:
            self._log.error("%s was not taken; %s", self.path, self._consequence())
            return
        if self._has_good_rules:
            self._log.info("%s reloaded", self.path.name)
        self._has_good_rules = True

    def _consequence(self) -> str:
        return "the last good rules stay in force" if self._has_good_rules else "there are no rules"


async def watch_files(load_changed: Callable[[], None]) -> None:
    """Looks again and again, until it is cancelled."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        load_changed()
