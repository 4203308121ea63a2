"""Rules tests in Python: load rules, seed documents with the rules off, act as somebody, assert what may be done.

    from afterimage_emulator.rules_testing import SERVER_TIME, RulesEnvironment, assert_allowed, assert_denied

    environment = RulesEnvironment(Path("firestore.rules").read_text())
    environment.seed({"notes/n1": {"owner": "alice"}})
    alice = environment.as_user("alice", email="alice@example.com")
    assert_allowed(alice.update("notes/n1", {"text": "hi", "seen.at": SERVER_TIME}))
    assert_denied(environment.as_nobody().get("notes/n1"), reason="Null value error.")

Allowed writes take effect, so that what follows sees them; denied ones change nothing. With `wire=WireDriver(…)` the
same tests ask a running Firestore. Updates and filters name fields as the SDKs do: `seen.at` is inside the map `seen`,
and a name with odd characters stands in backticks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from afterimage_emulator.rules_language import (
    Both,
    CommitLookups,
    FieldFilter,
    FirestoreRequest,
    ListedQuery,
    MemoryLookup,
    Timestamp,
    compile_ruleset,
)
from afterimage_emulator.rules_testing.answers import Answer, ask, assert_allowed, assert_denied
from afterimage_emulator.rules_testing.drivers.wire_driver import WireDriver
from afterimage_emulator.rules_testing.field_paths import DELETED, changed_fields, checked_path, field_path

__all__ = ["DELETED", "SERVER_TIME", "Actor", "RulesEnvironment", "assert_allowed", "assert_denied"]

SERVER_TIME: Final = object()
"""In a write: the time of the request, as a server timestamp would be."""

Write = tuple[str, str, Mapping[str, Any] | None]


class RulesEnvironment:
    """Rules, the documents they guard, and a time that only the test moves."""

    def __init__(
        self,
        source: str | bytes,
        *,
        file_name: str = "firestore.rules",
        documents: Mapping[str, Mapping[str, object]] | None = None,
        now: Timestamp | None = None,
        database: str = "(default)",
        wire: WireDriver | None = None,
    ) -> None:
        self.ruleset = compile_ruleset(source, file_name=file_name)
        self.documents: dict[str, dict[str, Any]] = {}
        self.seed(documents or {})
        self.now = now or Timestamp.from_seconds(1_704_067_200)
        self.database = database
        self._wire = wire
        if wire is not None:
            wire.load(self.ruleset.source.text)

    def decide(self, requests: Sequence[FirestoreRequest], after: Mapping[str, Any]) -> list[Answer]:
        """The answer to each request of one commit, or to a single one that reads."""
        if self._wire is not None:
            return [ask(self._wire, request, documents=self.documents, after=after) for request in requests]
        lookups = CommitLookups(MemoryLookup(self.documents, after=after, database=self.database))
        return [self.ruleset.decide(request, lookups) for request in requests]

    def seed(self, documents: Mapping[str, Mapping[str, object]]) -> None:
        """Stores documents as an administrator would: no rule is asked."""
        for path, data in documents.items():
            self.documents[checked_path("seed", path)] = dict(data)

    def clear(self) -> None:
        self.documents.clear()

    def as_user(self, uid: str, /, **claims: object) -> Actor:
        """Somebody signed in, with the claims of their token."""
        return Actor(self, {"uid": uid, "token": {"sub": uid, "user_id": uid, **claims}})

    def as_nobody(self) -> Actor:
        return Actor(self, None)


class Actor:
    """Does things under the rules; each answers the decision."""

    def __init__(self, environment: RulesEnvironment, auth: Mapping[str, object] | None) -> None:
        self._environment = environment
        self._auth = auth

    def get(self, path: str) -> Answer:
        path = checked_path("get", path)
        environment = self._environment
        request = FirestoreRequest(
            method="get",
            path=path,
            time=environment.now,
            auth=self._auth,
            database=environment.database,
            resource=environment.documents.get(path),
        )
        return environment.decide([request], {})[0]

    def list(
        self,
        path: str,
        *where: tuple[str, str, Any],
        order_by: Mapping[str, str] | None = None,
        limit: int | None = None,
        all_descendants: bool = False,
    ) -> Answer:
        """A query; `where` are filters `("owner", "==", "alice")`, all of which hold."""
        path = checked_path("list", path)
        filters = [FieldFilter(field=field_path(name), op=op, value=value) for name, op, value in where]
        query = ListedQuery(
            where=Both(filters=filters) if filters else None,
            order_by=order_by,
            limit=limit,
            all_descendants=all_descendants,
        )
        environment = self._environment
        request = FirestoreRequest(
            method="list",
            path=path,
            time=environment.now,
            auth=self._auth,
            database=environment.database,
            query=query,
        )
        return environment.decide([request], {})[0]

    def create(self, path: str, data: Mapping[str, object]) -> Answer:
        return self.commit([("create", path, data)])[0]

    def set(self, path: str, data: Mapping[str, object]) -> Answer:
        """Replaces a document, or creates it."""
        return self.commit([("set", path, data)])[0]

    def update(self, path: str, changes: Mapping[str, Any]) -> Answer:
        """Changes the fields at some paths; `DELETED` takes one away, `SERVER_TIME` is the time of the request."""
        return self.commit([("update", path, changes)])[0]

    def delete(self, path: str) -> Answer:
        return self.commit([("delete", path, None)])[0]

    def commit(self, writes: Sequence[Write]) -> Sequence[Answer]:
        """Several writes `(method, path, data)` at once: all take effect, or with one denial none."""
        environment = self._environment
        after: dict[str, dict[str, Any] | None] = {}
        requests: list[FirestoreRequest] = []
        for method, written_path, data in writes:
            path = checked_path(method, written_path)
            stored = after[path] if path in after else environment.documents.get(path)
            written = None if data is None else self._resolved(method, stored, data)
            if method == "set":
                method = "create" if stored is None else "update"
            requests.append(
                FirestoreRequest(
                    method=method,
                    path=path,
                    time=environment.now,
                    auth=self._auth,
                    database=environment.database,
                    resource=stored,
                    request_resource=written,
                )
            )
            after[path] = written
        decisions = environment.decide(requests, after)
        if all(decision.allowed for decision in decisions):
            for path, left in after.items():
                if left is None:
                    environment.documents.pop(path, None)
                else:
                    environment.documents[path] = left
        return decisions

    def _resolved(
        self, method: str, stored: Mapping[str, object] | None, data: Mapping[str, object]
    ) -> dict[str, object]:
        written = changed_fields(stored or {}, data) if method == "update" else dict(data)
        return {name: self._timed(value) for name, value in written.items() if value is not DELETED}

    def _timed(self, value: object) -> object:
        """A written value with the server's time where it was asked for, inside maps too."""
        if value is SERVER_TIME:
            return self._environment.now
        if isinstance(value, dict):
            return {name: self._timed(inner) for name, inner in value.items()}
        return value
