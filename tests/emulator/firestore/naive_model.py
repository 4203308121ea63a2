"""A second, slow opinion on values, orders and queries: plain data, no indexes, nothing shared with the suite."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from afterimage_emulator.protos import messages

_firestore: Any = messages("google.firestore.v1")


@dataclass(frozen=True)
class Reference:
    name: str


@dataclass(frozen=True)
class Geo:
    latitude: float
    longitude: float


@dataclass(frozen=True)
class Vector:
    elements: tuple[float, ...]


def encode(value: Any) -> Any:
    """A Python value as a google.firestore.v1.Value."""
    message = _firestore.Value()
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.boolean_value = value
        case int():
            message.integer_value = value
        case float():
            message.double_value = value
        case str():
            message.string_value = value
        case bytes():
            message.bytes_value = value
        case datetime():
            message.timestamp_value.FromDatetime(value.astimezone(UTC).replace(tzinfo=None))
        case Reference():
            message.reference_value = value.name
        case Geo():
            message.geo_point_value.latitude = value.latitude
            message.geo_point_value.longitude = value.longitude
        case Vector():
            message.map_value.fields["__type__"].string_value = "__vector__"
            message.map_value.fields["value"].CopyFrom(encode([float(e) for e in value.elements]))
        case list():
            message.array_value.SetInParent()
            message.array_value.values.extend(encode(element) for element in value)
        case dict():
            message.map_value.SetInParent()
            for name, inner in value.items():
                message.map_value.fields[name].CopyFrom(encode(inner))
        case _:
            raise TypeError(value)
    return message


def rank(value: Any) -> int:
    kinds: list[Callable[[Any], bool]] = [
        lambda v: v is None,
        lambda v: isinstance(v, bool),
        lambda v: isinstance(v, float) and math.isnan(v),
        lambda v: isinstance(v, int | float),
        lambda v: isinstance(v, datetime),
        lambda v: isinstance(v, str),
        lambda v: isinstance(v, bytes),
        lambda v: isinstance(v, Reference),
        lambda v: isinstance(v, Geo),
        lambda v: isinstance(v, list),
        lambda v: isinstance(v, Vector),
        lambda v: isinstance(v, dict),
    ]
    return next(i for i, fits in enumerate(kinds) if fits(value))


def three_way(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def compare(left: Any, right: Any) -> int:
    """The documented order, one type after the other."""
    if rank(left) != rank(right):
        return three_way(rank(left), rank(right))
    if left is None or (isinstance(left, float) and math.isnan(left)):
        return 0
    if isinstance(left, str):
        return three_way(left.encode(), right.encode())
    if isinstance(left, Reference):
        return compare_paths(left.name, right.name)
    if isinstance(left, Geo):
        return three_way((left.latitude, left.longitude), (right.latitude, right.longitude))
    if isinstance(left, Vector):
        by_length = three_way(len(left.elements), len(right.elements))
        return by_length or compare_lists(list(left.elements), list(right.elements))
    if isinstance(left, list):
        return compare_lists(left, right)
    if isinstance(left, dict):
        return compare_lists(*([x for name in sorted(d) for x in (name, d[name])] for d in (left, right)))
    return three_way(left, right)


def compare_lists(left: Sequence[Any], right: Sequence[Any]) -> int:
    for a, b in zip(left, right, strict=False):
        if found := compare(a, b):
            return found
    return three_way(len(left), len(right))


def compare_paths(left: str, right: str) -> int:
    for a, b in zip(left.split("/"), right.split("/"), strict=False):
        if found := compare_ids(a, b):
            return found
    return three_way(left.count("/"), right.count("/"))


def compare_ids(left: str, right: str) -> int:
    numbers = [int(i[4:-2]) if i.startswith("__id") and i.endswith("__") else None for i in (left, right)]
    if numbers[0] is not None and numbers[1] is not None:
        return three_way(numbers[0], numbers[1])
    if (numbers[0] is None) != (numbers[1] is None):
        return -1 if numbers[0] is not None else 1
    return three_way(left.encode(), right.encode())


Documents = dict[str, dict[str, Any]]
_MISSING = object()


@dataclass
class NaiveQuery:
    """Filters are (path, op, value), ("and", …) or ("or", …); `__name__` compares whole paths."""

    collection: str
    is_group: bool = False
    where: Any = None
    orders: list[tuple[str, bool]] = field(default_factory=list)
    start: tuple[list[Any], bool] | None = None
    end: tuple[list[Any], bool] | None = None
    offset: int = 0
    limit: int | None = None

    def run(self, documents: Documents) -> list[str]:
        orders = self.all_orders()
        found = [
            path
            for path, fields in documents.items()
            if self.covers(path)
            and (self.where is None or holds(self.where, path, fields))
            and all(value_at(order, path, fields) is not _MISSING for order, _ in orders)
        ]
        found.sort(key=functools.cmp_to_key(functools.partial(self.compare, documents=documents)))
        found = [path for path in found if self.is_within(path, documents)]
        end = None if self.limit is None else self.offset + self.limit
        return found[self.offset : end]

    def covers(self, path: str) -> bool:
        collection = path.rpartition("/")[0]
        return collection.rpartition("/")[2] == self.collection if self.is_group else collection == self.collection

    def all_orders(self) -> list[tuple[str, bool]]:
        orders = list(self.orders)
        descending = orders[-1][1] if orders else False
        named = {path for path, _ in orders}
        orders += [(path, descending) for path in sorted(unequal_fields(self.where) - named - {"__name__"})]
        if "__name__" not in named:
            orders.append(("__name__", descending))
        return orders

    def compare(self, left: str, right: str, documents: Documents) -> int:
        for path, descending in self.all_orders():
            values = [value_at(path, document, documents[document]) for document in (left, right)]
            found = compare(*values)
            if found:
                return -found if descending else found
        return 0

    def is_within(self, document: str, documents: Documents) -> bool:
        for bound, is_start in ((self.start, True), (self.end, False)):
            if bound is None:
                continue
            place = 0
            for wanted, (path, descending) in zip(bound[0], self.all_orders(), strict=False):
                place = compare(value_at(path, document, documents[document]), wanted) * (-1 if descending else 1)
                if place:
                    break
            before = bound[1]
            if is_start and (place < 0 or (place == 0 and not before)):
                return False
            if not is_start and (place > 0 or (place == 0 and before)):
                return False
        return True


def value_at(path: str, document: str, fields: dict[str, Any]) -> Any:
    if path == "__name__":
        return Reference(document)
    value: Any = fields
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def leaves(where: Any) -> list[Any]:
    if where is None:
        return []
    return [leaf for part in where[1] for leaf in leaves(part)] if where[0] in ("and", "or") else [where]


def unequal_fields(where: Any) -> set[str]:
    return {leaf[0] for leaf in leaves(where) if leaf[1] in ("<", "<=", ">", ">=", "!=", "not-in")}


def holds(where: Any, document: str, fields: dict[str, Any]) -> bool:
    if where[0] == "and":
        return all(holds(part, document, fields) for part in where[1])
    if where[0] == "or":
        return any(holds(part, document, fields) for part in where[1])
    path, op, wanted = where
    value = value_at(path, document, fields)
    if value is _MISSING:
        return False

    def unknowable(v: Any) -> bool:
        return rank(v) in (0, 2)  # null and NaN match nothing inside of lists

    match op:
        case "==":
            return compare(value, wanted) == 0
        case "!=":
            return value is not None and compare(value, wanted) != 0
        case "in":
            return any(not unknowable(w) and compare(value, w) == 0 for w in wanted)
        case "not-in":
            different = all(unknowable(w) or compare(value, w) != 0 for w in wanted)
            return value is not None and None not in wanted and different
        case "array-contains":
            known = [] if unknowable(wanted) else [wanted]
            return isinstance(value, list) and any(compare(element, w) == 0 for element in value for w in known)
        case "array-contains-any":
            known = [w for w in wanted if not unknowable(w)]
            return isinstance(value, list) and any(compare(element, w) == 0 for element in value for w in known)
        case _:
            if rank(value) != rank(wanted):
                return False
            found = compare(value, wanted)
            return {"<": found < 0, "<=": found <= 0, ">": found > 0, ">=": found >= 0}[op]


_OPERATORS = {
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


def structured_query(query: NaiveQuery, prefix: str) -> Any:
    """The same query as clients put it on the wire."""
    source = _firestore.StructuredQuery()
    source.from_.add(collection_id=query.collection.rpartition("/")[2], all_descendants=query.is_group)
    if query.where is not None:
        _fill_filter(source.where, query.where, prefix)
    has_cursor = query.start is not None or query.end is not None
    for path, descending in query.all_orders() if has_cursor else query.orders:
        order = source.order_by.add(direction=2 if descending else 1)
        order.field.field_path = path
    for bound, cursor in ((query.start, "start_at"), (query.end, "end_at")):
        if bound is not None:
            message = getattr(source, cursor)
            message.before = bound[1]
            message.SetInParent()
            message.values.extend(_operand(value, prefix) for value in bound[0])
    source.offset = query.offset
    if query.limit is not None:
        source.limit.value = query.limit
    return source


def _operand(value: Any, prefix: str) -> Any:
    if isinstance(value, Reference) and not value.name.startswith("projects/"):
        return encode(Reference(f"{prefix}/{value.name}"))
    if isinstance(value, list):
        message = _firestore.Value()
        message.array_value.SetInParent()
        message.array_value.values.extend(_operand(element, prefix) for element in value)
        return message
    return encode(value)


def _fill_filter(message: Any, where: Any, prefix: str) -> None:
    if where[0] in ("and", "or"):
        message.composite_filter.op = 1 if where[0] == "and" else 2
        for part in where[1]:
            _fill_filter(message.composite_filter.filters.add(), part, prefix)
        return
    path, op, value = where
    if op in ("==", "!=") and rank(value) in (0, 2):
        message.unary_filter.field.field_path = path
        message.unary_filter.op = {("==", 2): 2, ("==", 0): 3, ("!=", 2): 4, ("!=", 0): 5}[op, rank(value)]
        return
    message.field_filter.field.field_path = path
    message.field_filter.op = _OPERATORS[op]
    message.field_filter.value.CopyFrom(_operand(value, prefix))
