"""The case format: who does what, on which state, and what the rules should say; for people who write no Python.

    rules: firestore.rules              # which rules, from here; the command line may name others
    service: cloud.firestore            # or firebase.storage, with `bucket`
    at: 2024-05-01T12:00:00Z            # the time of all requests
    users:
      alice: {email: alice@example.com}        # the claims of a user whose uid is the name
    documents:                          # what is stored; `files` for Storage, by object name
      notes/n1: {owner: alice, text: hi}
    cases:
      - name: owners read their notes
        as: alice                       # a user, or `nobody`, or a list: one case each
        get: notes/n1                   # or list, create, update, delete, or set (create or update)
        expect: allowed
      - as: [bob, nobody]
        update: notes/n1
        change: {text: mine, at: {$now: true}}  # `with` is the whole document, `change` what an update sets
        expect: denied
        because: "false"                # part of the official reason
      - as: alice
        list: notes
        where: [[owner, ==, alice]]     # all of these; `any` holds alternatives
        limit: 10
        expect: allowed

`change` names fields as the SDKs' updates do: `a.b` is inside the map `a`, and a name with odd characters stands in
backticks. Values without a notation in YAML are tagged: `{$now: true}` is the time of the request, as a server
timestamp would be; see `case_values` for the others.

A case may carry its own `documents` (null: not there), `files`, `at`, `database`, `users`, and `commit`: what else the
same commit writes, for rules that look at the state after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from afterimage_emulator.rules_language import (
    Both,
    Either,
    FieldFilter,
    FirestoreRequest,
    ListedQuery,
    MemoryLookup,
    StorageRequest,
)
from afterimage_emulator.rules_testing.case_values import CaseValueError, to_rule_value, to_timestamp
from afterimage_emulator.rules_testing.field_paths import changed_fields, checked_path, field_path

METHODS: Final = ("get", "list", "create", "update", "delete", "set")
SERVICES: Final = ("cloud.firestore", "firebase.storage")
NOBODY: Final = "nobody"
_SHARED: Final = frozenset({"at", "bucket", "database", "documents", "files", "users"})
_FILE_FIELDS: Final = _SHARED | {"rules", "service", "cases"}
_CASE_FIELDS: Final = _SHARED | {
    "name", "as", "with", "change", "where", "any", "order_by", "limit", "offset", "all_descendants", "commit",
    "expect", "because", *METHODS,
}  # fmt: skip
_OPERATORS: Final = ("==", "!=", "<", "<=", ">", ">=", "in", "not-in", "array-contains", "array-contains-any")


class CaseFileError(Exception):
    """A case file that cannot be read: where, and what to write instead."""

    def __init__(self, path: Path, line: int | None, message: str) -> None:
        super().__init__(f"{path}{f':{line}' if line else ''}: {message}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleCase:
    """One request, the state it meets, and the verdict it should get."""

    name: str
    file: Path
    line: int
    user: str
    request: FirestoreRequest | StorageRequest
    documents: Mapping[str, Mapping[str, Any]]
    after: Mapping[str, Mapping[str, Any] | None]
    is_allowed: bool
    because: str | None

    @property
    def lookup(self) -> MemoryLookup:
        database = self.request.database if isinstance(self.request, FirestoreRequest) else "(default)"
        return MemoryLookup(self.documents, after=self.after, database=database)

    @property
    def title(self) -> str:
        return f"{self.file.name}:{self.line} {self.name} (as {self.user})"


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseFile:
    """The cases of one file, and the rules that the file says they are for."""

    path: Path
    rules: Path | None
    cases: tuple[RuleCase, ...]


def read_case_file(path: Path) -> CaseFile:
    """Reads YAML or JSON; raises `CaseFileError` with the line of what is wrong."""
    text = path.read_text(encoding="utf-8")
    try:
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        lines = _case_lines(text)
    except (ValueError, yaml.YAMLError) as error:
        raise CaseFileError(path, None, f"not readable as {path.suffix[1:] or 'YAML'}: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("cases"), list):
        raise CaseFileError(path, None, "no `cases`; a case file is a map with a list of cases")
    _refuse_unknown(path, None, content, _FILE_FIELDS)
    service = content.get("service", SERVICES[0])
    if service not in SERVICES:
        raise CaseFileError(path, None, f"unknown service `{service}`; write {' or '.join(SERVICES)}")
    rules = path.parent / content["rules"] if "rules" in content else None
    cases: list[RuleCase] = []
    for index, entry in enumerate(content["cases"]):
        line = lines[index] if index < len(lines) else 0
        if not isinstance(entry, dict):
            raise CaseFileError(path, line, f"a case is a map, not `{entry}`")
        _refuse_unknown(path, line, entry, _CASE_FIELDS)
        try:
            cases += _CaseReader(path, line, content, entry, is_storage=service == SERVICES[1]).read()
        except (ValueError, TypeError, AttributeError) as error:
            raise CaseFileError(path, line, str(error)) from None
    return CaseFile(path=path, rules=rules, cases=tuple(cases))


def _case_lines(text: str) -> list[int]:
    """The line on which each case begins; JSON is YAML enough for this."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return []
    for key, value in root.value:
        if key.value == "cases" and isinstance(value, yaml.SequenceNode):
            return [item.start_mark.line + 1 for item in value.value]
    return []


def _refuse_unknown(path: Path, line: int | None, entry: Mapping[str, object], known: frozenset[str]) -> None:
    unknown = sorted(str(key) for key in entry if key not in known)
    if unknown:
        raise CaseFileError(path, line, f"unknown field `{unknown[0]}`; known are {', '.join(sorted(known))}")


class _CaseReader:
    """Reads one entry of `cases`: one case for each of its users."""

    def __init__(
        self, path: Path, line: int, shared: Mapping[str, Any], entry: Mapping[str, Any], *, is_storage: bool
    ) -> None:
        self._path = path
        self._line = line
        self._entry = entry
        self._shared = shared
        self._is_storage = is_storage
        self._time = to_timestamp(self._setting("at", "2024-01-01T00:00:00Z"))

    def read(self) -> Iterator[RuleCase]:
        entry = self._entry
        methods = [method for method in METHODS if method in entry]
        if len(methods) != 1:
            raise CaseValueError(f"a case does exactly one thing; write one of {', '.join(METHODS)}")
        expected = entry.get("expect")
        if expected not in ("allowed", "denied"):
            raise CaseValueError(f"`expect: {expected}` is neither `allowed` nor `denied`")
        path = checked_path(methods[0], str(entry[methods[0]]), is_storage=self._is_storage)
        stored = self._state("files" if self._is_storage else "documents")
        documents = self._state("documents")
        method = ("update" if path in stored else "create") if methods[0] == "set" else methods[0]
        after_write = self._written(method, stored.get(path))
        after = {checked_path("commit", name): self._value(data) for name, data in (entry.get("commit") or {}).items()}
        if not self._is_storage and method in ("create", "update", "delete"):
            after[path] = after_write
        users = entry.get("as", NOBODY)
        for user in users if isinstance(users, list) else [users]:
            yield RuleCase(
                name=str(entry.get("name", f"{method} {path}")),
                file=self._path,
                line=self._line,
                user=str(user),
                request=self._request(method, path, self._auth(str(user)), stored.get(path), after_write),
                documents=documents,
                after=after,
                is_allowed=expected == "allowed",
                because=None if entry.get("because") is None else str(entry["because"]),
            )

    def _setting(self, name: str, default: object) -> Any:
        return self._entry.get(name, self._shared.get(name, default))

    def _value(self, value: Any) -> Any:
        return to_rule_value(value, now=self._time)

    def _state(self, name: str) -> dict[str, Any]:
        """What is stored: the file's, with the case's own entries over it; null takes one away."""
        merged = {**(self._shared.get(name) or {}), **(self._entry.get(name) or {})}
        is_storage = name == "files"
        return {
            checked_path(name, path, is_storage=is_storage): self._value(data)
            for path, data in merged.items()
            if data is not None
        }

    def _auth(self, user: str) -> dict[str, Any] | None:
        if user == NOBODY:
            return None
        users = {**(self._shared.get("users") or {}), **(self._entry.get("users") or {})}
        claims = self._value(users.get(user) or {})
        return {"uid": user, "token": {"sub": user, "user_id": user, **claims}}

    def _written(self, method: str, stored: Any) -> Any:
        entry = self._entry
        if method not in ("create", "update"):
            if "with" in entry or "change" in entry:
                raise CaseValueError(f"`with` and `change` say what a write leaves behind; `{method}` writes nothing")
            return None
        if "change" in entry:
            if self._is_storage:
                return {**(stored or {}), **self._value(entry["change"])}
            return changed_fields(stored or {}, self._value(entry["change"]))
        if "with" not in entry:
            raise CaseValueError(f"a case that does `{method}` needs `with`, the whole data, or `change`")
        return self._value(entry["with"])

    def _request(
        self, method: str, path: str, auth: dict[str, Any] | None, stored: Any, written: Any
    ) -> FirestoreRequest | StorageRequest:
        if self._is_storage:
            return StorageRequest(
                method=method,
                bucket=str(self._setting("bucket", "demo-bucket")),
                path=path,
                time=self._time,
                auth=auth,
                resource=None if stored is None else _named(path, stored),
                request_resource=None if written is None else _named(path, written),
            )
        return FirestoreRequest(
            method=method,
            path=path,
            time=self._time,
            auth=auth,
            database=str(self._setting("database", "(default)")),
            resource=None if method == "list" else stored,
            request_resource=written,
            query=self._query() if method == "list" else None,
        )

    def _query(self) -> ListedQuery:
        entry = self._entry
        filters: list[Any] = [self._filter(item) for item in entry.get("where") or []]
        if "any" in entry:
            filters.append(Either(filters=[self._filter(item) for item in entry["any"]]))
        return ListedQuery(
            where=Both(filters=filters) if filters else None,
            order_by=entry.get("order_by"),
            limit=entry.get("limit"),
            offset=entry.get("offset", 0),
            all_descendants=bool(entry.get("all_descendants", False)),
        )

    def _filter(self, item: Any) -> FieldFilter:
        if not isinstance(item, list) or len(item) != 3 or item[1] not in _OPERATORS:
            raise CaseValueError(f"`{item}` is no filter; write [field, operator, value] with {' '.join(_OPERATORS)}")
        return FieldFilter(field=field_path(str(item[0])), op=item[1], value=self._value(item[2]))


def _named(path: str, fields: Mapping[str, object]) -> Mapping[str, object]:
    return {"name": path, **fields}
