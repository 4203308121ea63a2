"""Indexes that queries needed and that are declared nowhere: told once each, or refused as production refuses them."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, FieldPath, format_field_path
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.wire_bytes import field, number_field
from afterimage_emulator.firestore.indexes.declared_indexes import (
    CONTAINS,
    DESCENDING,
    USUAL_MODES,
    DeclaredIndexes,
    IndexedField,
    direction,
)
from afterimage_emulator.firestore.indexes.index_needs import (
    Need,
    implies_its_name_direction,
    needs_of,
    serving,
)
from afterimage_emulator.firestore.queries.query import INEQUALITIES, Query
from afterimage_emulator.status import Code, StatusError

_log = logging.getLogger("afterimage_emulator.firestore")
_REMEMBERED_SHAPES: Final = 10_000
_SEVERAL_INEQUALITIES: Final = (
    " .\nThe query contains range and inequality filters on multiple fields, please refer to the documentation for "
    "index selection best practices: https://cloud.google.com/firestore/docs/query-data/multiple-range-fields."
)
_SHORT: Final = {CONTAINS: "CONTAINS", DESCENDING: "DESC"}


@dataclass(frozen=True, slots=True)
class MissingIndex:
    """What one database lacks for one shape of queries."""

    database: DatabaseName
    need: Need
    declared_modes: frozenset[tuple[str, bool]] = frozenset()
    """For a single field: the automatic indexes that it has now."""

    @property
    def section(self) -> str:
        """Where in firestore.indexes.json the entry belongs."""
        return "fieldOverrides" if self.need.is_of_one_field else "indexes"

    def entry(self) -> dict[str, Any]:
        """Ready for firestore.indexes.json."""
        need = self.need
        if need.is_of_one_field:
            (only,) = need.index().fields
            modes = {*self.declared_modes, (only.kind, need.is_of_group)}
            return {
                "collectionGroup": need.group,
                "fieldPath": format_field_path(only.path),
                "indexes": [_mode_entry(kind, is_of_group) for kind, is_of_group in sorted(modes, key=_mode_order)],
            }
        index = need.index()
        fields = [_field_entry(each) for each in index.fields]
        if not implies_its_name_direction(index):
            fields.append({"fieldPath": "__name__", "order": direction(index.name_descending)})
        scope = "COLLECTION_GROUP" if need.is_of_group else "COLLECTION"
        return {"collectionGroup": need.group, "queryScope": scope, "fields": fields}

    def refusal(self, *, has_several_inequalities: bool) -> str:
        """In production's words."""
        if self.need.vector is not None:
            return self._vector_refusal()
        if self.need.is_of_one_field:
            (only,) = self.need.index().fields
            kind = f"{self._scope}_{_SHORT.get(only.kind, 'ASC')}"
            path = format_field_path(only.path)
            blob = self._blob(f"fields/{path}", [only])
            return (
                f"The query requires a {kind} index for collection {self.need.group} and field {path}. "
                f"You can create it here: {self._console}?create_exemption={blob}"
            )
        index = self.need.index()
        name = IndexedField(DOCUMENT_NAME, direction(index.name_descending))
        blob = self._blob("indexes/_", [*index.fields, name])
        return (
            f"The query requires an index. You can create it here: {self._console}?create_composite={blob}"
            f"{_SEVERAL_INEQUALITIES if has_several_inequalities else ''}"
        )

    @property
    def _scope(self) -> str:
        return "COLLECTION_GROUP" if self.need.is_of_group else "COLLECTION"

    @property
    def _console(self) -> str:
        named = "" if self.database.database == "(default)" else f"databases/{self.database.database}/"
        return f"https://console.firebase.google.com/v1/r/project/{self.database.project}/firestore/{named}indexes"

    def _blob(self, ending: str, fields: Iterable[IndexedField]) -> str:
        """A google.firestore.admin.v1.Index, as the console's links carry it."""
        body = field(1, f"{self.database}/collectionGroups/{self.need.group}/{ending}".encode())
        body += number_field(2, 2 if self.need.is_of_group else 1)
        for each in fields:
            kind = number_field(3, 1) if each.kind == CONTAINS else number_field(2, 1 + (each.kind == DESCENDING))
            body += field(3, field(1, format_field_path(each.path).encode()) + kind)
        return base64.urlsafe_b64encode(body).decode().rstrip("=")

    def _vector_refusal(self) -> str:
        parts = [
            f'--field-config=vector-config=\'{{"dimension":"{each.dimension}","flat": "{{}}"}}\','
            f"field-path={format_field_path(each.path)}"
            if each.dimension
            else f"--field-config=order={each.kind},field-path={format_field_path(each.path)}"
            for each in self.need.index().fields
        ]
        return (
            "Missing vector index configuration. Please create the required index with the following gcloud command: "
            f"gcloud firestore indexes composite create --project={self.database.project} "
            f"--collection-group={self.need.group} --query-scope={self._scope} {' '.join(parts)}"
        )


class MissingIndexes:
    """Looks at every query once for each of its shapes. `strict`: refuses those whose index is missing."""

    def __init__(self, declared: Mapping[str, DeclaredIndexes], *, strict: bool) -> None:
        self._declared = declared
        self._undeclared = DeclaredIndexes()
        self.strict = strict
        self._seen: dict[Any, MissingIndex | None] = {}
        self._found: dict[tuple[DatabaseName, str], MissingIndex] = {}

    def declared_for(self, database: DatabaseName) -> DeclaredIndexes:
        return self._declared.get(database.database, self._undeclared)

    def check(self, database: DatabaseName, query: Query, summed: Iterable[FieldPath] = ()) -> None:
        shape = (database, query_shape(query), tuple(summed))
        if shape not in self._seen:
            if len(self._seen) >= _REMEMBERED_SHAPES:
                self._seen.clear()
            self._seen[shape] = self._missing(database, query, summed)
        missing = self._seen[shape]
        if missing is None:
            return
        self._tell(missing)
        if self.strict:
            several = len({c.path for cs in query.alternatives for c in cs if c.op in INEQUALITIES}) > 1
            raise StatusError(Code.FAILED_PRECONDITION, missing.refusal(has_several_inequalities=several))

    def _missing(self, database: DatabaseName, query: Query, summed: Iterable[FieldPath]) -> MissingIndex | None:
        declared = self.declared_for(database)
        for need in needs_of(query, summed):
            if not serving(need, declared):
                modes = USUAL_MODES
                if need.is_of_one_field:
                    modes = declared.modes(need.group, need.index().fields[0].path)
                return MissingIndex(database, need, modes)
        return None

    def _tell(self, missing: MissingIndex) -> None:
        key = (missing.database, repr(missing.entry()))
        if key in self._found:
            return
        self._found[key] = missing
        where = "" if missing.database.database == "(default)" else f" of the database `{missing.database.database}`"
        what = str(missing.need.index().properties)
        span = "the collection group" if missing.need.is_of_group else "the collection"
        _log.warning(
            "a query on %s `%s`%s needs an index that firestore.indexes.json lacks: %s; production refuses it. "
            "`afterimage-emulator indexes` prints the entry",
            span, missing.need.group, where, what,
        )  # fmt: skip

    def listing(self) -> list[dict[str, Any]]:
        """All that was needed since the start, for the hub."""
        return [
            {
                "project": missing.database.project,
                "database": missing.database.database,
                "section": missing.section,
                "entry": missing.entry(),
            }
            for missing in self._found.values()
        ]


def query_shape(query: Query) -> Any:
    """What decides over indexes: everything but the values."""
    return (
        query.collection_id,
        query.all_descendants,
        tuple([tuple([(c.path, c.op) for c in conditions]) for conditions in query.alternatives]),
        query.orders,
        query.limit == 0,
        None if query.nearest is None else (query.nearest.path, len(query.nearest.vector)),
    )


def _mode_order(mode: tuple[str, bool]) -> tuple[bool, str]:
    return mode[1], mode[0]


def _mode_entry(kind: str, is_of_group: bool) -> dict[str, str]:
    entry = {"arrayConfig": CONTAINS} if kind == CONTAINS else {"order": kind}
    return {**entry, "queryScope": "COLLECTION_GROUP" if is_of_group else "COLLECTION"}


def _field_entry(each: IndexedField) -> dict[str, Any]:
    path = format_field_path(each.path)
    if each.dimension:
        return {"fieldPath": path, "vectorConfig": {"dimension": each.dimension, "flat": {}}}
    return {"fieldPath": path, **({"arrayConfig": CONTAINS} if each.kind == CONTAINS else {"order": each.kind})}
