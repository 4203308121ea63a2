"""Which rules are in force for which database: loaded by tools and from files, for a project or for a database id."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.front.rules_gate import Closed, Rules
from afterimage_emulator.rules_language import Coverage, Ruleset, RulesetRejected, compile_ruleset
from afterimage_emulator.status import Code, StatusError

_log = logging.getLogger("afterimage_emulator.firestore")


def rules_key(project: str) -> str:
    """Under which the rules are kept that a tool set for a project."""
    return f"firestore/{project}"


class _Loaded:
    """A file of rules, and what was evaluated of it."""

    def __init__(self, ruleset: Ruleset, source: str, file_name: str) -> None:
        self.text = source
        self.file_name = file_name
        self.counted = Coverage(ruleset)
        self.rules = Rules(ruleset, self.counted)


class LoadedRules:
    """No rules, no limits: while neither the project nor its database has rules, everything is allowed.

    A database that was closed is the exception: nobody but admins reaches it until rules are loaded.
    """

    def __init__(self, *, touch: Touch = touch_nothing) -> None:
        self._touch = touch
        self._of_project: dict[str, _Loaded] = {}
        self._of_database: dict[str, _Loaded] = {}
        self._files_of: dict[str, str] = {}
        """What the rules of databases were when a tool set those of a project."""
        self._closed: dict[str, Closed] = {}
        self._told: list[Callable[[], None]] = []

    # -- loading

    def load(self, project: str, source: str, *, file_name: str) -> list[dict[str, Any]]:
        """For all databases of a project. Rules with errors are not taken, and those before stay in force."""
        try:
            ruleset = compile_ruleset(source, file_name=file_name)
        except RulesetRejected as rejected:
            return [issue.to_json() for issue in rejected.issues]
        self._of_project[project] = _Loaded(ruleset, source, file_name)
        self._files_of[project] = self._digest()
        self._touch(rules_key(project))
        self._tell()
        return [issue.to_json() for issue in ruleset.issues]

    def load_for_database(
        self, database: str, source: str, *, file_name: str, over: str | None = None
    ) -> list[dict[str, object]]:
        """For a database id in every project that has no rules of its own, as firebase.json says it.

        `over` is a project that loses its own: the last to load wins, be it a tool or the edited file.
        """
        try:
            ruleset = compile_ruleset(source, file_name=file_name)
        except RulesetRejected as rejected:
            return [issue.to_json() for issue in rejected.issues]
        self._of_database[database] = _Loaded(ruleset, source, file_name)
        if over is not None and self._of_project.pop(over, None) is not None:
            self._touch(rules_key(over))
        self._tell()
        return [issue.to_json() for issue in ruleset.issues]

    def close_database(self, database: str, why: str) -> None:
        """For a database id without rules in force, in every project that has no rules of its own."""
        closed = Closed(f"the rules could not be loaded, so everything is denied: {why}")
        if database in self._of_database or self._closed.get(database) == closed:
            return
        self._closed[database] = closed
        self._tell()

    def on_change(self, tell: Callable[[], None]) -> None:
        """`tell` is called whenever other rules are in force: what goes on has to be asked about again."""
        self._told.append(tell)

    def _tell(self) -> None:
        for tell in self._told:
            tell()

    def in_force(self, database: Database) -> Rules | Closed | None:
        """What guards the database: as the gate asks."""
        name = database.name
        loaded = self._of_project.get(name.project) or self._of_database.get(name.database)
        return self._closed.get(name.database) if loaded is None else loaded.rules

    # -- what tools set, through the end of a run

    def set_by_tool(self, project: str) -> dict[str, str] | None:
        """What `restore` takes; None where no tool has set any."""
        loaded = self._of_project.get(project)
        if loaded is None:
            return None
        return {"source": loaded.text, "file": loaded.file_name, "over": self._files_of[project]}

    def restore(self, project: str, said: Mapping[str, str]) -> None:
        """Rules that a tool set in an earlier run; they give way once somebody has edited those of firebase.json."""
        if said["over"] != self._digest():
            _log.info("the rules of firebase.json are in force, which were edited after a tool had set others")
            self._touch(rules_key(project))
            return
        _log.warning("rules that a tool had set for %s are in force again", project)
        self.load(project, said["source"], file_name=said["file"])

    def _digest(self) -> str:
        texts = sorted((database, loaded.text) for database, loaded in self._of_database.items())
        return hashlib.sha256(repr(texts).encode()).hexdigest()

    # -- asking about them

    def _of(self, project: str) -> _Loaded:
        loaded = self._of_project.get(project) or self._of_database.get("(default)")
        if loaded is None:
            raise StatusError(Code.NOT_FOUND, f"no rules are loaded for project `{project}`")
        return loaded

    def source(self, project: str) -> tuple[str, str]:
        """The name of the file and its text."""
        loaded = self._of(project)
        return loaded.file_name, loaded.text

    def coverage(self, project: str) -> dict[str, object]:
        return self._of(project).counted.to_json()

    def covered(self) -> list[dict[str, object]]:
        """All rules in force with their counts: first those that tools loaded for a project."""
        loaded = {**{f"project {name}": one for name, one in self._of_project.items()}, **self._of_database}
        return [{"place": place, **one.counted.heat()} for place, one in loaded.items()]

    def coverage_page(self, project: str) -> str:
        # Only whoever asks for the page needs what draws it; every start would wait for it.
        from afterimage_emulator.rules_language.reporting.coverage_page import CoveredFile, coverage_page

        return coverage_page([CoveredFile(coverage=self._of(project).counted)])
