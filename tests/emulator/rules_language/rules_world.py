"""Short ways to write rules and requests in the tests of the rules language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterimage_emulator.rules_language import (
    Both,
    CommitLookups,
    Decision,
    DocumentLookup,
    Either,
    FieldFilter,
    FirestoreRequest,
    ListedQuery,
    Ruleset,
    StorageRequest,
    Timestamp,
    compile_ruleset,
)

NOW = Timestamp(1_709_210_096_789_000_000)
ALICE = {"uid": "alice", "token": {"email": "alice@example.com"}}


def firestore_rules(body: str, *, version: int = 2) -> Ruleset:
    """A ruleset whose `body` stands inside the documents block of Cloud Firestore, which begins on line 4."""
    return compile_ruleset(
        f"rules_version = '{version}';\nservice cloud.firestore {{\n"
        f"match /databases/{{database}}/documents {{\n{body}\n}} }}",
        file_name="test.rules",
    )


def storage_rules(body: str, *, version: int = 2) -> Ruleset:
    return compile_ruleset(
        f"rules_version = '{version}';\nservice firebase.storage {{\nmatch /b/{{bucket}}/o {{\n{body}\n}} }}",
        file_name="test.rules",
    )


def ask(
    ruleset: Ruleset, method: str, path: str, lookup: DocumentLookup | CommitLookups | None = None, **fields: Any
) -> Decision:
    """Decides one Firestore request."""
    fields.setdefault("time", NOW)
    return ruleset.decide(FirestoreRequest(method=method, path=path, **fields), lookup)


def ask_storage(
    ruleset: Ruleset, method: str, path: str, lookup: DocumentLookup | None = None, **fields: Any
) -> Decision:
    fields.setdefault("time", NOW)
    return ruleset.decide(StorageRequest(method=method, bucket="bkt", path=path, **fields), lookup)


def where(field: str, op: str, value: Any) -> FieldFilter:
    return FieldFilter(field=tuple(field.split(".")), op=op, value=value)


def listing(*filters: FieldFilter | Both | Either, **query: Any) -> ListedQuery:
    return ListedQuery(where=Both(filters=filters) if filters else None, **query)


class CountingLookup:
    """Documents by path, and how often each was really read."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._documents = documents
        self.reads: list[str] = []

    def get(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        self.reads.append(path)
        return self._documents.get(path)

    def get_after(self, path: str, *, database: str) -> Mapping[str, Any] | None:
        self.reads.append(f"after {path}")
        return self._documents.get(path)
