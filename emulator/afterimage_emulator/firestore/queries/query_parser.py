"""From a StructuredQuery on the wire to a `Query`: normalizes, adds what is implied, refuses what makes no sense."""

from __future__ import annotations

import itertools
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
from afterimage_emulator.status import Code, StatusError

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

    def parse(self) -> Query:
        source = self._source
        if source.HasField("find_nearest"):
            raise StatusError(Code.UNIMPLEMENTED, "vector search (`find_nearest`) is not implemented here")
        if len(source.from_) != 1:
            raise invalid_argument(f"a query must select from exactly one collection, not {len(source.from_)}")
        selector = source.from_[0]
        self._all_descendants: bool = selector.all_descendants
        self._collection_id: str = selector.collection_id
        if self._collection_id:
            check_collection_id(self._collection_id)
        elif not self._all_descendants:
            raise invalid_argument("a query without a collection id must select from all descendants")
        if source.offset < 0:
            raise invalid_argument(f"The query's offset must not be negative, but is {source.offset}.")
        limit = source.limit.value if source.HasField("limit") else None
        if limit is not None and limit < 0:
            raise invalid_argument(f"The query's limit must not be negative, but is {limit}.")
        alternatives: Alternatives = self._alternatives(source.where, 0) if source.HasField("where") else [()]
        _check_together(alternatives)
        orders = self._orders()
        return Query(
            parent=self._parent,
            collection_id=self._collection_id,
            all_descendants=self._all_descendants,
            alternatives=tuple(alternatives),
            orders=orders,
            start=self._bound(source.start_at, orders, "start_at") if source.HasField("start_at") else None,
            end=self._bound(source.end_at, orders, "end_at") if source.HasField("end_at") else None,
            offset=source.offset,
            limit=limit,
            projection=self._projection(),
            source=source,
        )

    def _projection(self) -> tuple[FieldPath, ...] | None:
        if not self._source.HasField("select"):
            return None
        paths = [parse_field_path(reference.field_path) for reference in self._source.select.fields]
        return tuple(path for path in paths if path != DOCUMENT_NAME)

    # -- filters

    def _alternatives(self, where: firestore_v1.StructuredQuery.Filter, depth: int) -> Alternatives:
        """The filter as an OR of ANDs."""
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
        raise invalid_argument(
            "a filter of the query is empty; give it a field_filter, unary_filter or composite_filter"
        )

    def _composite(self, composite: firestore_v1.StructuredQuery.CompositeFilter, depth: int) -> Alternatives:
        if composite.op not in (_AND, _OR):
            raise invalid_argument("a composite filter needs the operator AND or OR")
        if not composite.filters:
            raise invalid_argument("a composite filter needs at least one filter")
        parts = [self._alternatives(part, depth + 1) for part in composite.filters]
        if composite.op == _OR:
            return _counted([conditions for part in parts for conditions in part])
        combined: Alternatives = [()]
        for part in parts:
            combined = _counted([(*left, *right) for left, right in itertools.product(combined, part)])
        return combined

    def _unary_filter(self, unary: firestore_v1.StructuredQuery.UnaryFilter) -> Alternatives:
        if unary.op not in _UNARY_OPERATORS:
            raise invalid_argument("a unary filter needs one of IS_NAN, IS_NULL, IS_NOT_NAN, IS_NOT_NULL")
        op, key = _UNARY_OPERATORS[unary.op]
        path = parse_field_path(unary.field.field_path)
        if op in INEQUALITIES:
            self._unequal.add(path)
        return [(Condition(path, op, (key,)),)]

    def _field_filter(self, given: firestore_v1.StructuredQuery.FieldFilter) -> Alternatives:
        path = parse_field_path(given.field.field_path)
        op = _FIELD_OPERATORS.get(given.op)
        if op is None:
            raise invalid_argument(f"the filter on `{given.field.field_path}` has no operator")
        if op in INEQUALITIES:
            self._unequal.add(path)
        if op not in ("in", "array-contains-any", NOT_IN):
            if path == DOCUMENT_NAME and op == CONTAINS:
                raise invalid_argument("array-contains cannot be asked of __name__.")
            return [(Condition(path, op, (self._operand(path, given.value),)),)]
        if given.value.WhichOneof("value_type") != "array_value" or not given.value.array_value.values:
            raise invalid_argument(f"'{op.upper().replace('-', '_')}' requires an non-empty ArrayValue.")
        keys = [self._operand(path, value) for value in given.value.array_value.values]
        if op == NOT_IN:
            if len(keys) > 10:
                raise invalid_argument("'NOT_IN' supports up to 10 comparison values.")
            if any(key[0] == NULL for key in keys) and path != DOCUMENT_NAME:
                return []  # nothing is known to be different from null
            return [(Condition(path, NOT_IN, tuple(keys)),)]
        if len(keys) > MAXIMUM_ALTERNATIVES:
            name = op.upper().replace("-", "_")
            raise invalid_argument(f"'{name}' supports up to {MAXIMUM_ALTERNATIVES} comparison values.")
        single = EQUAL if op == "in" else CONTAINS
        distinct = [
            key for key in dict.fromkeys(keys) if path == DOCUMENT_NAME or key[0] not in (NULL, NAN)
        ]  # null and NaN in a list match nothing
        return [(Condition(path, single, (key,)),) for key in distinct]

    def _operand(self, path: FieldPath, value: firestore_v1.Value) -> SortKey:
        if value.WhichOneof("value_type") is None:
            raise invalid_argument(f"a value that `{format_field_path(path)}` is compared with has no type set")
        if path != DOCUMENT_NAME:
            return sort_key(value)
        if value.WhichOneof("value_type") != "reference_value":
            raise invalid_argument("__key__ filter value must be a Key")
        return self._name_key(value.reference_value)

    def _name_key(self, name: str) -> SortKey:
        database, path = split_name(name)
        if database != self._database:
            raise invalid_argument(f"`{name}` lies in another database than the query's, `{self._database}`")
        if self._all_descendants:
            return path_key(path)
        collection = collection_under(self._parent, self._collection_id)
        if path.rpartition("/")[0] != collection:
            raise invalid_argument(f"`{name}` lies in another collection than the query's, `{collection}`")
        return id_key(path.rpartition("/")[2])

    # -- orders and cursors

    def _orders(self) -> tuple[Order, ...]:
        """The given orders, then fields with inequalities, then the name: all of these are implied."""
        orders: list[Order] = []
        for given in self._source.order_by:
            path = parse_field_path(given.field.field_path)
            if any(order.path == path for order in orders):
                raise invalid_argument(f"the query orders by `{given.field.field_path}` twice")
            orders.append(Order(path, given.direction == 2))
        last_descending = orders[-1].descending if orders else False
        present = {order.path for order in orders}
        if DOCUMENT_NAME not in present:
            orders += [Order(path, last_descending) for path in sorted(self._unequal - present - {DOCUMENT_NAME})]
            orders.append(Order(DOCUMENT_NAME, last_descending))
            return tuple(orders)
        # What comes after the name could not change the order any more, but its field must still exist.
        orders += [Order(path, last_descending) for path in sorted(self._unequal - present)]
        return tuple(orders)

    def _bound(self, cursor: firestore_v1.Cursor, orders: Sequence[Order], what: str) -> Bound:
        if len(cursor.values) > len(orders):
            raise invalid_argument(f"`{what}` has {len(cursor.values)} values, but the query has {len(orders)} orders.")
        return Bound(tuple(self._bound_keys(cursor.values, orders)), cursor.before)

    def _bound_keys(self, values: Sequence[firestore_v1.Value], orders: Sequence[Order]) -> Iterator[SortKey]:
        for value, order in zip(values, orders, strict=False):
            yield self._operand(order.path, value)


def _check_together(alternatives: Alternatives) -> None:
    """Refuses filters that the service does not take beside each other."""
    for conditions in alternatives:
        operators = [condition.op for condition in conditions]
        if operators.count(CONTAINS) > 1:
            raise invalid_argument("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")
        if NOT_IN in operators and (NOT_EQUAL in operators or operators.count(NOT_IN) > 1):
            raise invalid_argument(
                "Only one of the filters NOT_IN, NOT_EQUAL, IS_NOT_NAN and IS_NOT_NULL may stand in a query."
            )
    if len(alternatives) > 1 and any(condition.op == NOT_IN for conditions in alternatives for condition in conditions):
        raise invalid_argument("NOT_IN cannot be combined with OR, IN or ARRAY_CONTAINS_ANY in the same query.")


def _counted(alternatives: Alternatives) -> Alternatives:
    if len(alternatives) > MAXIMUM_ALTERNATIVES:
        raise invalid_argument(
            f"The query has too many disjunctions ({len(alternatives)}): at most {MAXIMUM_ALTERNATIVES} after its "
            "filters are brought into disjunctive normal form."
        )
    return alternatives
