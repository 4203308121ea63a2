"""What a query asks: its scope, filters as alternatives of conditions, orders, cursors and limits; and what fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, FieldPath, get_field
from afterimage_emulator.firestore.documents.indexes import Reversed
from afterimage_emulator.firestore.documents.resource_paths import id_key, path_key
from afterimage_emulator.firestore.documents.values import ARRAY, NULL, Fields, SortKey, sort_key
from afterimage_emulator.firestore.queries.nearest import Nearest
from afterimage_emulator.protos import firestore_v1

EQUAL: Final = "=="
NOT_EQUAL: Final = "!="
LESS: Final = "<"
LESS_OR_EQUAL: Final = "<="
GREATER: Final = ">"
GREATER_OR_EQUAL: Final = ">="
NOT_IN: Final = "not-in"
CONTAINS: Final = "array-contains"
RANGES: Final = frozenset({LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL})
INEQUALITIES: Final = RANGES | {NOT_EQUAL, NOT_IN}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of one field. `keys` holds the operand's sort key (`not-in`: one for each element)."""

    path: FieldPath
    op: str
    keys: SortKey

    def holds_for(self, key: SortKey) -> bool:
        """Whether a value with this sort key fits. For `array-contains`, the key is the array's."""
        op = self.op
        if op == EQUAL:
            return bool(key == self.keys[0])
        if op == CONTAINS:
            return bool(key[0] == ARRAY and self.keys[0] in key[1])
        if op == NOT_EQUAL:
            return bool(key[0] != NULL and key != self.keys[0])
        if op == NOT_IN:
            return key[0] != NULL and key not in self.keys
        operand = self.keys[0]
        if self.path != DOCUMENT_NAME and key[0] != operand[0]:  # ranges stay within one type
            return False
        if op == LESS:
            return bool(key < operand)
        if op == LESS_OR_EQUAL:
            return bool(key <= operand)
        if op == GREATER:
            return bool(key > operand)
        return bool(key >= operand)


@dataclass(frozen=True, slots=True)
class Order:
    path: FieldPath
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """A cursor: sort keys for the first orders. `before` places it before all documents that have these keys."""

    keys: SortKey
    before: bool


@dataclass(frozen=True, kw_only=True)
class Query:
    """A query of one database, ready to run. `orders` always ends with the document's name."""

    parent: str
    collection_id: str
    all_descendants: bool = False
    alternatives: tuple[tuple[Condition, ...], ...] = ((),)
    orders: tuple[Order, ...] = (Order(DOCUMENT_NAME),)
    start: Bound | None = None
    end: Bound | None = None
    offset: int = 0
    limit: int | None = None
    projection: tuple[FieldPath, ...] | None = None
    nearest: Nearest | None = None
    """Where vectors are searched for: what the filters select is ranked by it, and its limit counts."""
    source: firestore_v1.StructuredQuery | None = field(default=None, compare=False, repr=False)

    @cached_property
    def collection_path(self) -> str:
        return f"{self.parent}/{self.collection_id}" if self.parent else self.collection_id

    @property
    def is_of_many_collections(self) -> bool:
        return self.all_descendants or not self.collection_id

    def document_key(self, path: str) -> SortKey:
        return path_key(path) if self.is_of_many_collections else id_key(path[path.rfind("/") + 1 :])

    def covers(self, path: str) -> bool:
        """Whether a document lies where the query looks."""
        collection = path[: path.rfind("/")]
        if not self.all_descendants:
            if not self.collection_id:
                return collection.rpartition("/")[0] == self.parent
            return collection == self.collection_path
        if self.parent and not path.startswith(f"{self.parent}/"):
            return False
        return not self.collection_id or collection[collection.rfind("/") + 1 :] == self.collection_id

    @cached_property
    def needs_fields(self) -> bool:
        """Whether a document's values must be looked at to know if it fits."""
        return (
            any(condition.path != DOCUMENT_NAME for conditions in self.alternatives for condition in conditions)
            or len(self.orders) > 1
        )

    @cached_property
    def takes_everything(self) -> bool:
        """Whether every document that lies where the query looks fits it."""
        is_unbound = self.start is None and self.end is None
        return is_unbound and len(self.orders) == 1 and any(not conditions for conditions in self.alternatives)

    def order_key(self, fields: Fields, path: str) -> SortKey | None:
        """Sorts documents as the query does; None where a field that it orders by is missing."""
        keys: list[SortKey | Reversed] = []
        for order in self.orders:
            if order.path == DOCUMENT_NAME:
                key: SortKey = self.document_key(path)
            else:
                value = get_field(fields, order.path)
                if value is None:
                    return None
                key = sort_key(value)
            keys.append(Reversed(key) if order.descending else key)
        return tuple(keys)

    def fits(self, fields: Fields, path: str) -> SortKey | None:
        """The order key of a document that the query selects (limits aside), or None."""
        if not any(self.all_hold(conditions, fields, path) for conditions in self.alternatives):
            return None
        key = self.order_key(fields, path)
        if key is None or not self.is_within_bounds(key):
            return None
        return key

    def all_hold(self, conditions: Sequence[Condition], fields: Fields, path: str) -> bool:
        for condition in conditions:
            if condition.path == DOCUMENT_NAME:
                key: SortKey = self.document_key(path)
                if condition.op in (NOT_EQUAL, NOT_IN):
                    if key in condition.keys:
                        return False
                    continue
            else:
                value = get_field(fields, condition.path)
                if value is None:
                    return False
                key = sort_key(value)
            if not condition.holds_for(key):
                return False
        return True

    def is_within_bounds(self, key: SortKey) -> bool:
        if self.start is not None:
            bound = self.wrapped(self.start.keys)
            place = key[: len(bound)]
            if place < bound or (place == bound and not self.start.before):
                return False
        if self.end is not None:
            bound = self.wrapped(self.end.keys)
            place = key[: len(bound)]
            if place > bound or (place == bound and self.end.before):
                return False
        return True

    def wrapped(self, keys: Sequence[SortKey]) -> SortKey:
        """Keys of the first orders, turned around where the order is descending."""
        return tuple(Reversed(key) if order.descending else key for key, order in zip(keys, self.orders, strict=False))
