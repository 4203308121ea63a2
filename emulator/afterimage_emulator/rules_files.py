"""Keeps rules as their files say: loaded at the start, again whenever a file changes.

A broken edit is shown with its place, and the last good rules stay in force. Where there never were good ones, broken
rules close what they were to guard: somebody wrote them to keep others out.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.configuration import FirestoreTarget

WATCH_SECONDS: Final = 0.4
Load = Callable[[str, str, str], Sequence[Mapping[str, Any]]]
"""Takes a database, the source and the file's name; answers with the issues found."""
Close = Callable[[str, str], None]
"""Takes a database that nobody may reach any more, and why."""
_log = logging.getLogger("afterimage_emulator.firestore")


class Standing(enum.Enum):
    """What a file of rules has given so far."""

    UNREAD = enum.auto()
    MISSING = enum.auto()
    BROKEN = enum.auto()
    GOOD = enum.auto()


class RulesFiles:
    """The rules files of all databases that firebase.json names."""

    def __init__(self, targets: Sequence[FirestoreTarget], load: Load, close: Close) -> None:
        self.by_database = {
            target.database: WatchedRulesFile(target.rules, _log, open_while_missing=True)
            for target in targets
            if target.rules is not None
        }
        self._load = load
        self._close = close

    def load_changed(self) -> None:
        """Loads every file whose time or size is not what it was."""
        for database, file in self.by_database.items():
            source = file.changed_source()
            if source is not None:
                file.report(self._load(database, source, file.path.name))
            if file.standing is Standing.BROKEN:
                self._close(database, file.fault)


class WatchedRulesFile:
    """One file of rules: what is new in it, and what to say of that.

    `open_while_missing`: whether everything is allowed for as long as the file was never there.
    """

    def __init__(self, path: Path, log: logging.Logger, *, open_while_missing: bool) -> None:
        self.path = path
        self.standing = Standing.UNREAD
        self.fault = ""
        """What is wrong with a broken file, in a line."""
        self.open_while_missing = open_while_missing
        self._log = log
        self._seen: tuple[int, int] | None = None
        self._is_readable = True

    def changed_source(self) -> str | None:
        """The text, where it may be another than last time; what cannot be read is reported once."""
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if self._seen == stamp and self._is_readable:
                return None
            self._seen = stamp
            source = self.path.read_text("utf-8")
        except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path that the system knows
            self._could_not_read(error)
            return None
        self._is_readable = True
        return source

    def _could_not_read(self, error: Exception) -> None:
        before = self.standing
        is_gone = isinstance(error, FileNotFoundError)
        if before is not Standing.GOOD and not (is_gone and before is Standing.BROKEN):
            self._stand(Standing.MISSING if is_gone else Standing.BROKEN, f"{self.path.name} cannot be read: {error}")
        if self._is_readable or self.standing is not before:
            self._log.error("%s cannot be read: %s; %s", self.path, error, self.consequence())
        self._is_readable = False

    def report(self, issues: Sequence[Mapping[str, Any]]) -> None:
        """What came of loading it: every issue with its place, and which rules are in force now."""
        errors = [issue for issue in issues if issue.get("severity") == "ERROR"]
        for issue in issues:
            self._log.log(logging.ERROR if issue in errors else logging.WARNING, "%s", self._described(issue))
        if errors:
            if self.standing is not Standing.GOOD:
                self._stand(Standing.BROKEN, self._described(errors[0]))
            self._log.error("%s was not taken; %s", self.path, self.consequence())
            return
        if self.standing is not Standing.UNREAD:
            self._log.info("%s reloaded", self.path.name)
        self._stand(Standing.GOOD, "")

    def consequence(self) -> str:
        if self.standing is Standing.GOOD:
            return "the last good rules stay in force"
        if self.standing is Standing.MISSING:
            return f"everything is {'allowed' if self.open_while_missing else 'denied'} until it is there"
        return "everything is denied until it is mended"

    def _stand(self, standing: Standing, fault: str) -> None:
        self.standing, self.fault = standing, fault

    def _described(self, issue: Mapping[str, Any]) -> str:
        place = issue.get("sourcePosition", {})
        description = issue.get("description", issue)
        return f"{self.path.name}:{place.get('line', '?')}:{place.get('column', '?')}: {description}"


@dataclass(frozen=True, slots=True)
class RulesNotice:
    """What whoever starts a suite should know of a service's rules."""

    text: str
    is_broken: bool = False


def rules_notices(service: str, files: Mapping[str, WatchedRulesFile | None]) -> list[RulesNotice]:
    """`files` by what they guard, None where nothing is named."""
    notices = []
    for guarded, file in files.items():
        if file is None:
            notices.append(
                RulesNotice(
                    f"no rules are named for {guarded}: everything is allowed to everybody; name a file as "
                    f"`{service}.rules` in firebase.json"
                )
            )
        elif file.standing is Standing.MISSING:
            official = (
                "as in the official suite" if file.open_while_missing else "where the official suite does not start"
            )
            notices.append(RulesNotice(f"`{file.path}` does not exist: for {guarded} {file.consequence()}, {official}"))
        elif file.standing is Standing.BROKEN:
            notices.append(RulesNotice(f"{guarded} is closed: {file.fault}; {file.consequence()}", is_broken=True))
    return notices


async def watch_files(load_changed: Callable[[], None]) -> None:
    """Looks again and again, until it is cancelled."""
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        load_changed()
