"""Rules tests in Python: load rules, seed documents with the rules off, act as somebody, assert what may be done.

    environment = RulesEnvironment(Path("firestore.rules").read_text())
    environment.seed({"notes/n1": {"owner": "alice"}})
    alice = environment.as_user("alice", email="alice@example.com")
    assert_allowed(alice.update("notes/n1", {"text": "hi"}))
    assert_denied(environment.as_nobody().get("notes/n1"), reason="Null value error.")

Allowed writes take effect, so that what follows sees them; denied ones change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from emulator.rules_language import (
    Both,
    CommitLookups,
    Decision,
    FieldFilter,
    FirestoreRequest,
    MemoryLookup,
    Query,
    Timestamp,
    compile_ruleset,
)

SERVER_TIME: Final = object()
DELETED: Final = object()

Write = tuple[str, str, Mapping[str, Any] | None]


class RulesEnvironment:
    """Rules, the documents they guard, and a time that only the test moves."""

    def __init__(
        self,
        source: str | bytes,
        *,
        file_name: str = "firestore.rules",
        documents: Mapping[str, Mapping[str, Any]] | None = None,
        now: Timestamp | None = None,
        database: str = "(default)",
    ) -> None:
        self.ruleset = compile_ruleset(source, file_name=file_name)
        self.documents: dict[str, dict[str, Any]] = {path: dict(data) for path, data in (documents or {}).items()}
        self.now = now or Timestamp.from_seconds(1_704_067_200)
        self.database = database

    def seed(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        """Stores documents as an administrator would: no rule is asked."""
        for path, data in documents.items():
            self.documents[path] = dict(data)

    def clear(self) -> None:
        self.documents.clear()

    def as_user(self, uid: str, /, **claims: Any) -> Actor:
        """Somebody signed in, with the claims of their token."""
        return Actor(self, {"uid": uid, "token": {"sub": uid, "user_id": uid, **claims}})

    def as_nobody(self) -> Actor:
        return Actor(self, None)


class Actor:
    """Does things under the rules; each answers the decision."""

    def __init__(self, environment: RulesEnvironment, auth: Mapping[str, Any] | None) -> None:
        self._environment = environment
        self._auth = auth

    def get(self, path: str) -> Decision:
        environment = self._environment
        return environment.ruleset.decide(
            FirestoreRequest(
                method="get",
                path=path,
                time=environment.now,
                auth=self._auth,
                database=environment.database,
                resource=environment.documents.get(path),
            ),
            self._lookup({}),
        )

    def list(
        self,
        path: str,
        *where: tuple[str, str, Any],
        order_by: Mapping[str, str] | None = None,
        limit: int | None = None,
        all_descendants: bool = False,
    ) -> Decision:
        """A query; `where` are filters `("owner", "==", "alice")`, all of which hold."""
        filters = [FieldFilter(field=tuple(name.split(".")), op=op, value=value) for name, op, value in where]
        query = Query(
            where=Both(filters=filters) if filters else None,
            order_by=order_by,
            limit=limit,
            all_descendants=all_descendants,
        )
        environment = self._environment
        return environment.ruleset.decide(
            FirestoreRequest(
                method="list",
                path=path,
                time=environment.now,
                auth=self._auth,
                database=environment.database,
                query=query,
            ),
            self._lookup({}),
        )

    def create(self, path: str, data: Mapping[str, Any]) -> Decision:
        return self.commit([("create", path, data)])[0]

    def set(self, path: str, data: Mapping[str, Any]) -> Decision:
        """Replaces a document, or creates it."""
        return self.commit([("set", path, data)])[0]

    def update(self, path: str, changes: Mapping[str, Any]) -> Decision:
        """Changes some fields; `DELETED` takes one away, `SERVER_TIME` is the time of the request."""
        return self.commit([("update", path, changes)])[0]

    def delete(self, path: str) -> Decision:
        return self.commit([("delete", path, None)])[0]

    def commit(self, writes: Sequence[Write]) -> Sequence[Decision]:
        """Several writes `(method, path, data)` at once: all take effect, or with one denial none."""
        environment = self._environment
        after: dict[str, dict[str, Any] | None] = {}
        requests: list[FirestoreRequest] = []
        for method, path, data in writes:
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
        lookups = CommitLookups(self._lookup(after))
        decisions = [environment.ruleset.decide(request, lookups) for request in requests]
        if all(decision.allowed for decision in decisions):
            for path, left in after.items():
                if left is None:
                    environment.documents.pop(path, None)
                else:
                    environment.documents[path] = left
        return decisions

    def _lookup(self, after: Mapping[str, Mapping[str, Any] | None]) -> MemoryLookup:
        environment = self._environment
        return MemoryLookup(environment.documents, after=after, database=environment.database)

    def _resolved(self, method: str, stored: Mapping[str, Any] | None, data: Mapping[str, Any]) -> dict[str, Any]:
        merged = {**(stored or {}), **data} if method == "update" else dict(data)
        now = self._environment.now
        return {name: now if value is SERVER_TIME else value for name, value in merged.items() if value is not DELETED}


def assert_allowed(*decisions: Decision) -> None:
    """All of these are allowed; a failure shows why one is not."""
    for decision in decisions:
        if not decision.allowed:
            raise AssertionError(f"expected to be allowed, but the rules deny it\n{decision.explain()}")


def assert_denied(*decisions: Decision, reason: str | None = None) -> None:
    """All of these are denied, for the given reason, if any: a part of the official text."""
    for decision in decisions:
        if decision.allowed:
            raise AssertionError(f"expected to be denied, but the rules allow it\n{decision.explain()}")
        if reason is not None and reason not in decision.denial_message:
            raise AssertionError(
                f"expected to be denied because of `{reason}`, but the reason was "
                f"`{decision.denial_message.strip()}`\n{decision.explain()}"
            )
