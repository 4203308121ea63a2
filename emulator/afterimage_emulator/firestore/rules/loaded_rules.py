"""Which rules are in force for which database: loaded by tools and from files, for a project or for a database id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.front.rules_gate import Closed, Rules
from afterimage_emulator.rules_language import Coverage, Ruleset, RulesetRejected, compile_ruleset
from afterimage_emulator.status import Code, StatusError


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

    def __init__(self) -> None:
        self._of_project: dict[str, _Loaded] = {}
        self._of_database: dict[str, _Loaded] = {}
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
        if over is not None:
            self._of_project.pop(over, None)
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
