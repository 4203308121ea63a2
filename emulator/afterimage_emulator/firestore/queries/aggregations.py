"""Aggregations over the results of a query: count, sum and average."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, FieldPath, get_field, parse_field_path
from afterimage_emulator.firestore.documents.resource_paths import invalid_argument
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import is_number, is_reserved, number_of
from afterimage_emulator.firestore.queries.query import Order, Query
from afterimage_emulator.firestore.queries.query_executor import count_matches, run_query
from afterimage_emulator.protos import firestore_v1

MAXIMUM_AGGREGATIONS: Final = 5
_INTEGERS: Final = range(-(2**63), 2**63)


def aggregate(
    database: Database,
    query: Query,
    wanted: Sequence[firestore_v1.StructuredAggregationQuery.Aggregation],
    *,
    at: int | None = None,
) -> firestore_v1.AggregationResult:
    """The AggregationResult."""
    if not wanted:
        raise invalid_argument("Aggregations can not be empty.")
    if len(wanted) > MAXIMUM_AGGREGATIONS:
        raise invalid_argument(
            "The maximum number of aggregations allowed in an aggregation query is "
            f"{MAXIMUM_AGGREGATIONS}. Received: {len(wanted)}"
        )
    result = firestore_v1.AggregationResult()
    named = _with_aliases(wanted)
    paths = {alias: _field_of(aggregation) for alias, aggregation in named}
    query = ordered_by_summed(query, [path for path in paths.values() if path is not None])
    documents: list[StoredDocument] | None = None
    for alias, aggregation in named:
        path = paths[alias]
        if path is None:
            up_to = _up_to(aggregation.count)
            result.aggregate_fields[alias].integer_value = count_matches(database, query, up_to=up_to, at=at)
            continue
        kind = aggregation.WhichOneof("operator")
        if documents is None:
            documents = list(run_query(database, query, at=at))
        numbers = _numbers(documents, path)
        result.aggregate_fields[alias].CopyFrom(_sum(numbers) if kind == "sum" else _average(numbers))
    return result


def summed_fields(wanted: Iterable[firestore_v1.StructuredAggregationQuery.Aggregation]) -> tuple[FieldPath, ...]:
    """The fields whose sum or average is asked for: an index must have them."""
    paths = [_field_of(aggregation) for aggregation in wanted]
    return tuple(dict.fromkeys(path for path in paths if path is not None))


def _with_aliases(
    wanted: Sequence[firestore_v1.StructuredAggregationQuery.Aggregation],
) -> list[tuple[str, firestore_v1.StructuredAggregationQuery.Aggregation]]:
    """Those without an alias are named `field_1`, `field_2`, …"""
    named: list[tuple[str, firestore_v1.StructuredAggregationQuery.Aggregation]] = []
    unnamed = 0
    for aggregation in wanted:
        alias = aggregation.alias
        if not alias:
            unnamed += 1
            alias = f"field_{unnamed}"
        if is_reserved(alias):
            raise invalid_argument(f'The property.name "{alias}" is reserved.')
        if any(alias == other for other, _ in named):
            raise invalid_argument(f"Aggregation aliases contain duplicate alias: {alias}.")
        named.append((alias, aggregation))
    return named


def _field_of(aggregation: firestore_v1.StructuredAggregationQuery.Aggregation) -> FieldPath | None:
    """The field that is summed or averaged; None for a count."""
    kind = aggregation.WhichOneof("operator")
    if kind is None:
        raise invalid_argument("Operator field in Aggregation is not set.")
    if kind == "count":
        return None
    path = parse_field_path(getattr(aggregation, kind).field.field_path)
    if path == DOCUMENT_NAME:
        raise invalid_argument("Aggregations are not supported for the property: __key__")
    return path


def ordered_by_summed(query: Query, fields: Sequence[FieldPath]) -> Query:
    """Summing a field orders by it, as the index does that answers: so a limit takes the least values first, and
    documents without the field do not count, not even for a count beside it."""
    orders = list(query.orders)
    name_at = next(i for i, order in enumerate(orders) if order.path == DOCUMENT_NAME)
    cursors = max((len(bound.keys) for bound in (query.start, query.end) if bound is not None), default=0)
    for path in fields:
        if all(order.path != path for order in orders):
            descending = orders[name_at].descending
            if cursors > name_at:  # a cursor already says which name: the field may only be required, behind it
                orders.append(Order(path, descending))
            else:
                orders.insert(name_at, Order(path, descending))
                name_at += 1
    return replace(query, orders=tuple(orders))


def _up_to(count: firestore_v1.StructuredAggregationQuery.Aggregation.Count) -> int | None:
    if not count.HasField("up_to"):
        return None
    limit: int = count.up_to.value
    if limit < 0:
        raise invalid_argument("The `up_to` value in a COUNT aggregation must be greater than or equal to zero.")
    return limit


def _numbers(documents: Iterable[StoredDocument], path: tuple[str, ...]) -> list[int | float]:
    found = []
    for document in documents:
        value = get_field(document.fields(), path)
        if value is not None and is_number(value):
            found.append(number_of(value))
    return found


def _sum(numbers: Sequence[int | float]) -> firestore_v1.Value:
    """An integer as long as all are and the sum fits; a double otherwise."""
    if all(isinstance(number, int) for number in numbers):
        total = sum(numbers)
        if total in _INTEGERS:
            return firestore_v1.Value(integer_value=int(total))
        return firestore_v1.Value(double_value=float(total))
    return firestore_v1.Value(double_value=_float_sum(numbers))


def _float_sum(numbers: Iterable[int | float]) -> float:
    floats = [float(number) for number in numbers]
    try:
        return math.fsum(floats)
    except (OverflowError, ValueError):  # beyond the doubles, or infinities of both signs
        return sum(floats)


def _average(numbers: Sequence[int | float]) -> firestore_v1.Value:
    if not numbers:
        return firestore_v1.Value(null_value=0)
    return firestore_v1.Value(double_value=_float_sum(numbers) / len(numbers))
