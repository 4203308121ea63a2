"""What a ruleset is asked: one operation on one document or object, or one query, by somebody, at some time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.rule_values import Timestamp

METHODS: Final = ("get", "list", "create", "update", "delete")

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldFilter:
    """One condition of a query. `field` is the path of names; `__name__` is the document's own name.

    `op` is one of `==  !=  <  <=  >  >=  in  not-in  array-contains  array-contains-any`; filters for null and NaN are
    `==` and `!=` with that value.
    """

    field: tuple[str, ...]
    op: str
    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Both:
    """All of these hold (AND)."""

    filters: Sequence[Filter]


@dataclass(frozen=True, kw_only=True, slots=True)
class Either:
    """At least one of these holds (OR)."""

    filters: Sequence[Filter]


Filter = FieldFilter | Both | Either


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedQuery:
    """What a `list` asks for, beyond its collection. `order_by` maps dotted fields to `ASC` or `DESC`."""

    where: Filter | None = None
    order_by: Mapping[str, str] | None = None
    limit: int | None = None
    offset: int = 0
    all_descendants: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class FirestoreRequest:
    """One operation on Cloud Firestore.

    `path` is relative to the database's documents: `users/alice`, and for `list` the collection `users` (with
    `query.all_descendants`: the collection's id behind the parent document, as in `teams` or `orgs/acme/teams`).
    `auth` is None or `{"uid": …, "token": {claims}}`. `resource` is the stored data, None where there is no document;
    `request_resource` is the complete data after a create or update.
    """

    method: str
    path: str
    time: Timestamp
    auth: Mapping[str, Any] | None = None
    database: str = "(default)"
    resource: Document | None = None
    request_resource: Document | None = None
    query: ListedQuery | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StorageRequest:
    """One operation on a bucket. `path` is the object's name, or for `list` the prefix.

    `resource` and `request_resource` map the names that rules know (`name bucket size contentType metadata
    timeCreated …`) to values; what is missing there reads as null, and `metadata` is always a map.
    """

    method: str
    bucket: str
    path: str
    time: Timestamp
    auth: Mapping[str, Any] | None = None
    resource: Mapping[str, Any] | None = None
    request_resource: Mapping[str, Any] | None = None
