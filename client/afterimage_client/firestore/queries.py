"""Owns what a query asks: filters, order, cursors and limits, and the message that says so (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from afterimage_client.errors import FirestoreError
from afterimage_client.firestore.field_paths import DOCUMENT_ID, FieldPath, parse_field_path, print_field_path
from afterimage_client.firestore.snapshots import DocumentSnapshot
from afterimage_client.firestore.values import Named, encode, message_sort_key, name_key
from afterimage_client.firestore.wire.messages import firestore as messages

Operator = Literal["<", "<=", "==", ">", ">=", "!=", "in", "not-in", "array-contains", "array-contains-any"]
Direction = Literal["ascending", "descending"]

_OPERATORS: Final[Mapping[str, int]] = {
    "<": 1,
    "<=": 2,
    ">": 3,
    ">=": 4,
    "==": 5,
    "!=": 6,
    "array-contains": 7,
    "in": 8,
    "array-contains-any": 9,
    "not-in": 10,
}
_INEQUALITIES: Final = frozenset({"<", "<=", ">", ">=", "!=", "not-in"})
_LISTS: Final = frozenset({"in", "not-in", "array-contains-any"})
_NULL_OPERATORS: Final = {"==": 3, "!=": 5}
_NAN_OPERATORS: Final = {"==": 2, "!=": 4}


@dataclass(frozen=True, slots=True)
class FieldFilter:
    """One field compared with one value."""

    field: str | Sequence[str]
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True)
class And:
    """A document matches where every part holds."""

    filters: Sequence[Filter]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them holds, at least."""

    filters: Sequence[Filter]


Filter = FieldFilter | And | Or


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order: before or after what has these values."""

    values: Sequence[Any] | DocumentSnapshot
    is_before: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryPlan:
    """A query as it was asked for. `parent` is the full name of the document, or of the documents, above."""

    parent: str
    collection_id: str
    all_descendants: bool = False
    filters: tuple[Filter, ...] = ()
    orders: tuple[tuple[FieldPath, Direction], ...] = ()
    start: Cursor | None = None
    end: Cursor | None = None
    limit: int | None = None
    limit_to_last: bool = False
    offset: int = 0
    selected: tuple[FieldPath, ...] | None = None

    def to_message(self) -> Any:
        """The StructuredQuery. With `limit_to_last` it asks backwards; the answer is turned round again."""
        query = messages.StructuredQuery()
        selector = query.from_.add()
        selector.collection_id = self.collection_id
        selector.all_descendants = self.all_descendants
        if self.selected is not None:
            for path in self.selected or ((DOCUMENT_ID,),):
                query.select.fields.add().field_path = print_field_path(path)
        if self.filters:
            query.where.CopyFrom(encode_filter(self.filters[0] if len(self.filters) == 1 else And(self.filters)))
        cursors = (self.start, self.end)
        is_spelled_out = any(each is not None and isinstance(each.values, DocumentSnapshot) for each in cursors)
        orders = self.full_order() if is_spelled_out or self.limit_to_last else self.orders
        self._encode_order(query, orders)
        start, end = (self.end, self.start) if self.limit_to_last else (self.start, self.end)
        if start is not None:
            query.start_at.CopyFrom(self._encode_cursor(start, orders, is_start=True))
        if end is not None:
            query.end_at.CopyFrom(self._encode_cursor(end, orders, is_start=False))
        if self.limit is not None:
            query.limit.value = self.limit
        if self.offset:
            query.offset = self.offset
        return query

    def _encode_order(self, query: Any, orders: Sequence[tuple[FieldPath, Direction]]) -> None:
        for path, direction in orders:
            order = query.order_by.add()
            order.field.field_path = print_field_path(path)
            order.direction = 1 if (direction == "ascending") is not self.limit_to_last else 2

    def _encode_cursor(self, cursor: Cursor, orders: Sequence[tuple[FieldPath, Direction]], *, is_start: bool) -> Any:
        # Backwards, "before" and "after" change their meaning as well.
        message = messages.Cursor(before=cursor.is_before is not self.limit_to_last)
        values = cursor.values
        if isinstance(values, DocumentSnapshot):
            if not values.exists:
                raise _invalid(f"`{values.path}` does not exist, so it has no place in the order")
            for path, _ in orders:
                message.values.append(value_at(values.message, path, of_cursor=True))
            return message
        if len(values) > len(orders):
            raise _invalid(f"a cursor has {len(values)} values, but the query has {len(orders)} orders")
        for value, (path, _) in zip(values, orders, strict=False):
            if path == (DOCUMENT_ID,):
                value = self._named(value)
            message.values.append(encode(value, where="cursor"))
        return message

    def _named(self, value: Any) -> Named:
        if isinstance(value, Named):
            return value
        if not isinstance(value, str):
            raise _invalid(f"`{value!r}` is no document id")
        if self.all_descendants:
            return Named(f"{self.parent.split('/documents', 1)[0]}/documents/{value}")
        return Named(f"{self.parent}/{self.collection_id}/{value}")

    def full_order(self) -> tuple[tuple[FieldPath, Direction], ...]:
        """With what Firestore adds by itself: fields of inequalities, and the name last of all."""
        orders = list(self.orders)
        ordered = {path for path, _ in orders}
        last: Direction = orders[-1][1] if orders else "ascending"
        unequal = {
            parse_field_path(each.field) for each in _field_filters(self.filters) if each.operator in _INEQUALITIES
        }
        for path in sorted(unequal - ordered, key=print_field_path):
            orders.append((path, last))
            ordered.add(path)
        if (DOCUMENT_ID,) not in ordered:
            orders.append(((DOCUMENT_ID,), last))
        return tuple(orders)

    def sort_key_of(self) -> SortKey:
        return SortKey(self.full_order())

    def with_filter(self, added: Filter) -> QueryPlan:
        return replace(self, filters=(*self.filters, self._resolved(added)))

    def _resolved(self, added: Filter) -> Filter:
        """Ids in filters on the name become references."""
        match added:
            case And(filters=filters):
                return And(tuple(self._resolved(each) for each in filters))
            case Or(filters=filters):
                return Or(tuple(self._resolved(each) for each in filters))
            case FieldFilter(field=field, operator=operator, value=value):
                if operator not in _OPERATORS:
                    raise _invalid(f"`{operator}` is no operator; known are {', '.join(_OPERATORS)}")
                if operator in _LISTS and (isinstance(value, str | bytes) or not isinstance(value, Sequence)):
                    raise _invalid(f"`{operator}` compares with a list, not with `{value!r}`")
                if parse_field_path(field) == (DOCUMENT_ID,):
                    value = [self._named(each) for each in value] if operator in _LISTS else self._named(value)
                return FieldFilter(field, operator, value)


def _field_filters(filters: Sequence[Filter]) -> list[FieldFilter]:
    found: list[FieldFilter] = []
    for each in filters:
        if isinstance(each, FieldFilter):
            found.append(each)
        else:
            found += _field_filters(each.filters)
    return found


def encode_filter(given: Filter) -> Any:
    message = messages.StructuredQuery.Filter()
    if isinstance(given, FieldFilter):
        field = print_field_path(parse_field_path(given.field))
        unary = _unary_operator(given)
        if unary is not None:
            message.unary_filter.op = unary
            message.unary_filter.field.field_path = field
        else:
            message.field_filter.op = _OPERATORS[given.operator]
            message.field_filter.field.field_path = field
            message.field_filter.value.CopyFrom(encode(given.value, where=field))
        return message
    if not given.filters:
        raise _invalid("`And` and `Or` need a filter, at least one")
    message.composite_filter.op = 1 if isinstance(given, And) else 2
    message.composite_filter.filters.extend(encode_filter(each) for each in given.filters)
    return message


def _unary_operator(given: FieldFilter) -> int | None:
    if given.value is None:
        return _NULL_OPERATORS.get(given.operator)
    if isinstance(given.value, float) and math.isnan(given.value):
        return _NAN_OPERATORS.get(given.operator)
    return None


# -- order on this side


class SortKey:
    """The place of a document in a query's order, as something that Python compares."""

    def __init__(self, orders: Sequence[tuple[FieldPath, Direction]]) -> None:
        self._orders = orders

    def __call__(self, document: Any) -> tuple[Any, ...]:
        key = []
        for path, direction in self._orders:
            part = name_key(document.name) if path == (DOCUMENT_ID,) else message_sort_key(value_at(document, path))
            key.append(part if direction == "ascending" else Descending(part))
        return tuple(key)


class Descending:
    """Turns an order round."""

    __slots__ = ("part",)

    def __init__(self, part: Any) -> None:
        self.part = part

    def __lt__(self, other: Descending) -> bool:
        return bool(other.part < self.part)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and bool(self.part == other.part)

    def __hash__(self) -> int:
        return hash(self.part)


def value_at(document: Any, path: FieldPath, *, of_cursor: bool = False) -> Any:
    """The Value of a field, an empty one where there is none; the name of the document as a reference."""
    if path == (DOCUMENT_ID,):
        return messages.Value(reference_value=document.name)
    fields = document.fields
    for name in path[:-1]:
        if name not in fields or fields[name].WhichOneof("value_type") != "map_value":
            fields = {}
            break
        fields = fields[name].map_value.fields
    if path[-1] in fields:
        return fields[path[-1]]
    if of_cursor:
        raise _invalid(f"`{document.name}` has no `{print_field_path(path)}`, by which the query is ordered")
    return messages.Value()


# -- aggregations


@dataclass(frozen=True, slots=True)
class Count:
    """How many documents; `up_to` bounds the work."""

    up_to: int | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a field, over documents where it is a number."""

    field: str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Average:
    """The mean of a field, over documents where it is a number; None where there are none."""

    field: str | Sequence[str]


Aggregation = Count | Sum | Average


def encode_aggregations(query: Any, wanted: Mapping[str, Aggregation]) -> Any:
    message = messages.StructuredAggregationQuery()
    message.structured_query.CopyFrom(query)
    for alias, aggregation in wanted.items():
        added = message.aggregations.add(alias=alias)
        match aggregation:
            case Count(up_to=up_to):
                added.count.SetInParent()
                if up_to is not None:
                    added.count.up_to.value = up_to
            case Sum(field=field):
                added.sum.field.field_path = print_field_path(parse_field_path(field))
            case Average(field=field):
                added.avg.field.field_path = print_field_path(parse_field_path(field))
    return message


def _invalid(message: str) -> FirestoreError:
    return FirestoreError("invalid-argument", message)
