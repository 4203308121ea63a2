"""The gate with rules in force: puts each access before the project's ruleset, and words a denial as officially."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from afterimage_emulator.firestore.documents.document_store import Database, StoredDocument
from afterimage_emulator.firestore.documents.field_paths import parse_field_path
from afterimage_emulator.firestore.queries.query import Query
from afterimage_emulator.firestore.rules.gate import WriteAccess
from afterimage_emulator.firestore.rules.rule_values import rule_document, rule_value
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.explanation import explained
from afterimage_emulator.rules_language import (
    Both,
    CommitLookups,
    Coverage,
    Either,
    FieldFilter,
    FirestoreRequest,
    Path,
    Ruleset,
    RulesetRejected,
    Timestamp,
    compile_ruleset,
)
from afterimage_emulator.rules_language import Query as RulesQuery
from afterimage_emulator.status import Code, StatusError

_log = logging.getLogger("afterimage_emulator.firestore")
_FIELD_OPERATORS: Final = {
    1: "<",
    2: "<=",
    3: ">",
    4: ">=",
    5: "==",
    6: "!=",
    7: "array-contains",
    8: "in",
    9: "array-contains-any",
    10: "not-in",
}
_UNARY_OPERATORS: Final = {2: ("==", float("nan")), 3: ("==", None), 4: ("!=", float("nan")), 5: ("!=", None)}
_OR: Final = 2


class _Loaded:
    """The rules of one project, and what was evaluated of them."""

    def __init__(self, ruleset: Ruleset, source: str, file_name: str) -> None:
        self.ruleset = ruleset
        self.text = source
        self.file_name = file_name
        self.coverage = Coverage(ruleset)


class RulesetGate:
    """No rules, no limits: while neither the project nor its database has rules, everything is allowed.

    A database that was closed is the exception: nobody but admins reaches it until rules are loaded.
    """

    def __init__(self) -> None:
        self._of_project: dict[str, _Loaded] = {}
        self._of_database: dict[str, _Loaded] = {}
        self._closed: dict[str, str] = {}
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
    ) -> list[dict[str, Any]]:
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
        if database in self._of_database or self._closed.get(database) == why:
            return
        self._closed[database] = why
        self._tell()

    def on_change(self, tell: Callable[[], None]) -> None:
        self._told.append(tell)

    def _tell(self) -> None:
        for tell in self._told:
            tell()

    def _in_force(self, database: Database) -> _Loaded | None:
        return self._of_project.get(database.name.project) or self._of_database.get(database.name.database)

    # -- asking about them

    def _of(self, project: str) -> _Loaded:
        loaded = self._of_project.get(project) or self._of_database.get("(default)")
        if loaded is None:
            raise StatusError(Code.NOT_FOUND, f"no rules are loaded for project `{project}`")
        return loaded

    def source(self, project: str) -> tuple[str, str]:
        loaded = self._of(project)
        return loaded.file_name, loaded.text

    def coverage(self, project: str) -> dict[str, Any]:
        return self._of(project).coverage.to_json()

    def coverage_text(self, project: str) -> str:
        return self._of(project).coverage.to_text()

    # -- the gate

    def is_open_to(self, caller: Caller, database: Database) -> bool:
        return caller.is_admin or (self._in_force(database) is None and database.name.database not in self._closed)

    def check_admin(self, caller: Caller, database: Database, method: str) -> None:
        if not self.is_open_to(caller, database):
            raise StatusError(Code.PERMISSION_DENIED, f"`{method}` is for admins only, whatever the rules say.")

    def check_get(self, caller: Caller, database: Database, path: str, document: StoredDocument | None) -> None:
        request = FirestoreRequest(
            method="get",
            path=path,
            time=_now(database),
            auth=_auth(caller),
            database=database.name.database,
            resource=rule_document(document),
        )
        self._decide(caller, database, request, _Lookup(database, {}))

    def check_query(self, caller: Caller, database: Database, query: Query) -> None:
        source = query.source
        where = _filter(source.where) if source is not None and source.HasField("where") else None
        orders = {".".join(order.path): "DESC" if order.descending else "ASC" for order in query.orders}
        request = FirestoreRequest(
            method="list",
            path=query.collection_path,
            time=_now(database),
            auth=_auth(caller),
            database=database.name.database,
            query=RulesQuery(
                where=where,
                order_by=orders,
                limit=query.limit,
                offset=query.offset,
                all_descendants=query.all_descendants,
            ),
        )
        self._decide(caller, database, request, _Lookup(database, {}))

    def check_writes(self, caller: Caller, database: Database, writes: Sequence[WriteAccess], time: int) -> None:
        lookups = CommitLookups(_Lookup(database, {write.path: write.after for write in writes}))
        for write in writes:
            request = FirestoreRequest(
                method=write.method,
                path=write.path,
                time=Timestamp(time * 1000),
                auth=_auth(caller),
                database=database.name.database,
                resource=rule_document(write.before),
                request_resource=rule_document(write.after),
            )
            self._decide(caller, database, request, lookups)

    def _decide(self, caller: Caller, database: Database, request: FirestoreRequest, lookup: Any) -> None:
        loaded = self._in_force(database)
        if loaded is None:
            why = self._closed.get(database.name.database)
            if why is not None:
                raise StatusError(
                    Code.PERMISSION_DENIED, f"the rules could not be loaded, so everything is denied: {why}"
                )
            return
        decision = loaded.ruleset.decide(request, lookup, coverage=loaded.coverage)
        if not decision.allowed:
            details = explained(caller, decision.explain, _log)
            raise StatusError(Code.PERMISSION_DENIED, decision.denial_message, details=details)


class _Lookup:
    """Stored documents for `get` and `exists`, and what the pending commit makes of them."""

    def __init__(self, database: Database, after: Mapping[str, StoredDocument | None]) -> None:
        self._database = database
        self._after = after

    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        if database != self._database.name.database:
            return None
        return rule_document(self._database.get(path))

    def get_after(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        if database == self._database.name.database and path in self._after:
            return rule_document(self._after[path])
        return self.get(path, database=database)


def _now(database: Database) -> Timestamp:
    return Timestamp(database.read_time() * 1000)


def _auth(caller: Caller) -> Mapping[str, Any] | None:
    return None if caller.uid is None else {"uid": caller.uid, "token": caller.claims}


def _filter(where: Any) -> Any:
    kind = where.WhichOneof("filter_type")
    if kind == "composite_filter":
        parts = [_filter(part) for part in where.composite_filter.filters]
        return Either(filters=parts) if where.composite_filter.op == _OR else Both(filters=parts)
    if kind == "unary_filter":
        op, compared = _UNARY_OPERATORS[where.unary_filter.op]
        return FieldFilter(field=parse_field_path(where.unary_filter.field.field_path), op=op, value=compared)
    given = where.field_filter
    value: Any = rule_value(given.value)
    if isinstance(value, Path) and given.field.field_path == "__name__":
        value = value.segments[-1] if value.segments else ""
    return FieldFilter(field=parse_field_path(given.field.field_path), op=_FIELD_OPERATORS[given.op], value=value)
