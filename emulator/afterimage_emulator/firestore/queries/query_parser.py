"""From a StructuredQuery on the wire to a `Query`: normalizes, adds what is implied, refuses what makes no sense."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from afterimage_emulator.firestore.documents.field_paths import (
    DOCUMENT_NAME,
    FieldPath,
    format_field_path,
    parse_field_path,
)
from afterimage_emulator.firestore.documents.resource_paths import (
    DatabaseName,
    check_collection_id,
    collection_under,
    id_key,
    invalid_argument,
    path_key,
    split_name,
)
from afterimage_emulator.firestore.documents.values import NAN, NAN_KEY, NULL, NULL_KEY, SortKey, sort_key
from afterimage_emulator.firestore.queries.nearest import Nearest, parse_nearest
from afterimage_emulator.firestore.queries.query import (
    CONTAINS,
    EQUAL,
    GREATER,
    GREATER_OR_EQUAL,
    INEQUALITIES,
    LESS,
    LESS_OR_EQUAL,
    NOT_EQUAL,
    NOT_IN,
    Bound,
    Condition,
    Order,
    Query,
)
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import StatusError

MAXIMUM_ALTERNATIVES: Final = 30
MAXIMUM_FILTERS: Final = 100
MAXIMUM_FILTER_DEPTH: Final = 50

Alternatives = list[tuple[Condition, ...]]

_FIELD_OPERATORS: Final = {
    1: LESS,
    2: LESS_OR_EQUAL,
    3: GREATER,
    4: GREATER_OR_EQUAL,
    5: EQUAL,
    6: NOT_EQUAL,
    7: CONTAINS,
    8: "in",
    9: "array-contains-any",
    10: NOT_IN,
}
_UNARY_OPERATORS: Final = {2: (EQUAL, NAN_KEY), 3: (EQUAL, NULL_KEY), 4: (NOT_EQUAL, NAN_KEY), 5: (NOT_EQUAL, NULL_KEY)}
_LIST_LENGTHS: Final = {"in": MAXIMUM_ALTERNATIVES, "array-contains-any": MAXIMUM_ALTERNATIVES, NOT_IN: 10}
_AND, _OR = 1, 2


def parse_query(database: DatabaseName, parent: str, source: firestore_v1.StructuredQuery) -> Query:
    return _Parser(database, parent, source).parse()


class _Parser:
    def __init__(self, database: DatabaseName, parent: str, source: firestore_v1.StructuredQuery) -> None:
        self._database = database
        self._parent = parent
        self._source = source
        self._filters = 0
        self._unequal: set[FieldPath] = set()
        self._used: Counter[str] = Counter()
        """How often each operator stands in the filter, those of the unary filters by their names."""
        self._equal_to_name = False

    def parse(self) -> Query:
        source = self._source
        nearest = parse_nearest(source)
        if len(source.from_) > 1:
            raise invalid_argument("StructuredQuery.from cannot have more than one collection selector.")
        # Without an id, or without any selector, all collections are meant that lie directly below the parent.
        self._all_descendants: bool = bool(source.from_) and source.from_[0].all_descendants
        self._collection_id: str = source.from_[0].collection_id if source.from_ else ""
        if self._collection_id:
            check_collection_id(self._collection_id)
        if source.offset < 0:
            raise invalid_argument("offset is negative")
        limit = source.limit.value if source.HasField("limit") else None
        if limit is not None and limit < 0:
            raise invalid_argument("limit is negative")
        alternatives: Alternatives = self._alternatives(source.where, 0) if source.HasField("where") else [()]
        self._check_together(alternatives)
        orders = self._orders()
        return Query(
            parent=self._parent,
            collection_id=self._collection_id,
            all_descendants=self._all_descendants,
            alternatives=tuple(alternatives),
            orders=orders,
            start=self._bound(source.start_at, orders) if source.HasField("start_at") else None,
            end=self._bound(source.end_at, orders) if source.HasField("end_at") else None,
            offset=source.offset,
            limit=limit,
            projection=self._projection(nearest),
            nearest=nearest,
            source=source,
        )

    def _projection(self, nearest: Nearest | None) -> tuple[FieldPath, ...] | None:
        if not self._source.HasField("select"):
            return None
        paths = [parse_field_path(reference.field_path) for reference in self._source.select.fields]
        if nearest is not None and nearest.result_field:  # asked for by itself
            paths.append((nearest.result_field,))
        return tuple(path for path in paths if path != DOCUMENT_NAME)

    # -- filters

    def _alternatives(self, where: firestore_v1.StructuredQuery.Filter, depth: int) -> Alternatives:
        """The filter as an OR of ANDs; one that says nothing holds for everything."""
        kind = where.WhichOneof("filter_type")
        if depth > MAXIMUM_FILTER_DEPTH:
            raise invalid_argument(f"The query's filters are nested deeper than {MAXIMUM_FILTER_DEPTH}.")
        if kind == "composite_filter":
            return self._composite(where.composite_filter, depth)
        self._filters += 1
        if self._filters > MAXIMUM_FILTERS:
            raise invalid_argument(f"A query may have at most {MAXIMUM_FILTERS} filters.")
        if kind == "field_filter":
            return self._field_filter(where.field_filter)
        if kind == "unary_filter":
            return self._unary_filter(where.unary_filter)
        return [()]

    def _composite(self, composite: firestore_v1.StructuredQuery.CompositeFilter, depth: int) -> Alternatives:
        if composite.op not in (_AND, _OR):
            raise invalid_argument("Unsupported CompositeFilter operator.")
        if not composite.filters:
            return [()]
        parts = [self._alternatives(part, depth + 1) for part in composite.filters]
        if composite.op == _OR:
            self._used["OR"] += len(parts) > 1
            return _counted([conditions for part in parts for conditions in part])
        combined: Alternatives = [()]
        for part in parts:
            combined = _counted([(*left, *right) for left, right in itertools.product(combined, part)])
        return combined

    def _unary_filter(self, unary: firestore_v1.StructuredQuery.UnaryFilter) -> Alternatives:
        if unary.op not in _UNARY_OPERATORS:
            raise invalid_argument("Unknown UnaryFilter operator.")
        op, key = _UNARY_OPERATORS[unary.op]
        path = self._filtered_path(unary.field.field_path)
        if path == DOCUMENT_NAME:
            raise _needs_key()
        self._used[op] += 1
        if op in INEQUALITIES:
            self._unequal.add(path)
        return [(Condition(path, op, (key,)),)]

    def _filtered_path(self, text: str) -> FieldPath:
        path = parse_field_path(text)
        if not self._collection_id and path != DOCUMENT_NAME:
            raise invalid_argument(f"kind is required for filter: {text}")
        return path

    def _field_filter(self, given: firestore_v1.StructuredQuery.FieldFilter) -> Alternatives:
        op = _FIELD_OPERATORS.get(given.op)
        if op is None:
            raise invalid_argument("Unknown FieldFilter operator.")
        path = self._filtered_path(given.field.field_path)
        self._used[op] += 1
        if op in INEQUALITIES:
            self._unequal.add(path)
        if path == DOCUMENT_NAME:
            if op in (CONTAINS, "array-contains-any"):
                raise invalid_argument("the name __key__ is reserved")
            self._equal_to_name |= op in (EQUAL, "in")
        if op in _LIST_LENGTHS:
            return self._list_filter(path, op, given.value)
        key = self._operand(path, given.value)
        if path != DOCUMENT_NAME and (key == NULL_KEY or (key == NAN_KEY and op != NOT_EQUAL)):
            return []  # nothing equals null or NaN, and neither is less or greater than anything
        return [(Condition(path, op, (NULL_KEY if key == NAN_KEY else key,)),)]

    def _list_filter(self, path: FieldPath, op: str, value: firestore_v1.Value) -> Alternatives:
        name = op.upper().replace("-", "_")
        if value.WhichOneof("value_type") != "array_value":
            raise invalid_argument(f"'{name}' requires an ArrayValue.")
        if not value.array_value.values:
            raise invalid_argument(f"'{name}' requires an non-empty ArrayValue.")
        if len(value.array_value.values) > _LIST_LENGTHS[op]:
            raise invalid_argument(f"'{name}' supports up to {_LIST_LENGTHS[op]} comparison values.")
        keys = [self._operand(path, element) for element in value.array_value.values]
        # Neither null nor NaN equals anything; but nothing is known to differ from null.
        known = [key for key in dict.fromkeys(keys) if path == DOCUMENT_NAME or key[0] not in (NULL, NAN)]
        if op == NOT_IN:
            return [] if NULL_KEY in keys else [(Condition(path, NOT_IN, tuple(known)),)]
        return [(Condition(path, EQUAL if op == "in" else CONTAINS, (key,)),) for key in known]

    def _operand(self, path: FieldPath, value: firestore_v1.Value) -> SortKey:
        if value.WhichOneof("value_type") is None:
            raise invalid_argument(f"a value that `{format_field_path(path)}` is compared with has no type set")
        if path != DOCUMENT_NAME:
            return sort_key(value)
        if value.WhichOneof("value_type") != "reference_value":
            raise _needs_key()
        return self._name_key(value.reference_value)

    def _name_key(self, name: str) -> SortKey:
        database, path = split_name(name)
        if database != self._database:
            raise invalid_argument(f"`{name}` lies in another database than the query's, `{self._database}`")
        if self._all_descendants or not self._collection_id:
            return path_key(path)
        collection = collection_under(self._parent, self._collection_id)
        if path.rpartition("/")[0] != collection:
            raise invalid_argument(f"`{name}` lies in another collection than the query's, `{collection}`")
        return id_key(path.rpartition("/")[2])

    def _check_together(self, alternatives: Alternatives) -> None:
        """Refuses filters that the service does not take beside each other."""
        used = self._used
        if used[NOT_EQUAL] + used[NOT_IN] > 1:
            raise invalid_argument(
                "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter allowed per query."
            )
        if used[NOT_IN] and (used["in"] or used["array-contains-any"] or used["OR"]):
            raise invalid_argument("'NOT_IN' cannot be used in the same query with 'IN', 'ARRAY_CONTAINS_ANY' or 'OR'.")
        for conditions in alternatives:
            if sum(condition.op == CONTAINS for condition in conditions) > 1:
                raise invalid_argument("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")
        if self._equal_to_name and self._unequal and DOCUMENT_NAME not in self._unequal:
            raise invalid_argument(
                "Equality on key is not allowed if there are other inequality fields and key does not appear in "
                "inequalities."
            )

    # -- orders and cursors

    def _orders(self) -> tuple[Order, ...]:
        """The given orders, then fields with inequalities, then the name: all of these are implied."""
        orders: list[Order] = []
        for given in self._source.order_by:
            path = parse_field_path(given.field.field_path)
            if any(order.path == path for order in orders):
                raise invalid_argument(f"order by clause cannot contain duplicate fields {given.field.field_path}")
            if not self._collection_id and (path != DOCUMENT_NAME or given.direction == 2):
                raise invalid_argument("kind is required for all orders except __key__ ascending")
            orders.append(Order(path, given.direction == 2))
        last_descending = orders[-1].descending if orders else False
        present = {order.path for order in orders}
        if DOCUMENT_NAME not in present:
            orders += [Order(path, last_descending) for path in sorted(self._unequal - present - {DOCUMENT_NAME})]
            orders.append(Order(DOCUMENT_NAME, last_descending))
            return tuple(orders)
        if orders[-1].path != DOCUMENT_NAME or self._unequal - present:
            raise invalid_argument("order by clause cannot contain more fields after the key")
        return tuple(orders)

    def _bound(self, cursor: firestore_v1.Cursor, orders: Sequence[Order]) -> Bound:
        if len(cursor.values) > len(self._source.order_by):
            raise invalid_argument("Cursor has too many values.")
        return Bound(tuple(self._bound_keys(cursor.values, orders)), cursor.before)

    def _bound_keys(self, values: Sequence[firestore_v1.Value], orders: Sequence[Order]) -> Iterator[SortKey]:
        for value, order in zip(values, orders, strict=False):
            if order.path == DOCUMENT_NAME and value.WhichOneof("value_type") != "reference_value":
                raise invalid_argument("Cursor __key__ value is not a document reference.")
            yield self._operand(order.path, value)


def _needs_key() -> StatusError:
    return invalid_argument("__key__ filter value must be a Key")


def _counted(alternatives: Alternatives) -> Alternatives:
    if len(alternatives) > MAXIMUM_ALTERNATIVES:
        raise invalid_argument(
            f"Too many disjunctions after normalization. Result had {len(alternatives)} disjunctions which is more "
            f"than the maximum of {MAXIMUM_ALTERNATIVES}"
        )
    return alternatives
