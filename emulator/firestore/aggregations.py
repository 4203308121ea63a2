"""Aggregations over the results of a query: count, sum and average."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from emulator.firestore.document_store import Database, StoredDocument
from emulator.firestore.field_paths import get_field, parse_field_path
from emulator.firestore.query import Query
from emulator.firestore.query_executor import count_matches, run_query
from emulator.firestore.resource_paths import invalid
from emulator.firestore.values import is_number, number_of
from emulator.protos import messages

_firestore: Any = messages("google.firestore.v1")
MAXIMUM_AGGREGATIONS: Final = 5
_INTEGERS: Final = range(-(2**63), 2**63)


def aggregate(database: Database, query: Query, wanted: Sequence[Any], *, at: int | None = None) -> Any:
    """The AggregationResult."""
    if not 1 <= len(wanted) <= MAXIMUM_AGGREGATIONS:
        raise invalid(f"an aggregation query takes 1 to {MAXIMUM_AGGREGATIONS} aggregations, not {len(wanted)}")
    result = _firestore.AggregationResult()
    documents: list[StoredDocument] | None = None
    for alias, aggregation in _with_aliases(wanted):
        kind = aggregation.WhichOneof("operator")
        if kind == "count":
            up_to = _up_to(aggregation.count)
            result.aggregate_fields[alias].integer_value = count_matches(database, query, up_to=up_to, at=at)
            continue
        if kind is None:
            raise invalid(f"the aggregation `{alias}` has no operator; give it one of count, sum, avg")
        if documents is None:
            documents = list(run_query(database, query, at=at))
        path = parse_field_path(getattr(aggregation, kind).field.field_path)
        numbers = _numbers(documents, path)
        result.aggregate_fields[alias].CopyFrom(_sum(numbers) if kind == "sum" else _average(numbers))
    return result


def _with_aliases(wanted: Sequence[Any]) -> list[tuple[str, Any]]:
    """Those without an alias are named `field_1`, `field_2`, …"""
    named: list[tuple[str, Any]] = []
    unnamed = 0
    for aggregation in wanted:
        alias = aggregation.alias
        if not alias:
            unnamed += 1
            alias = f"field_{unnamed}"
        if any(alias == other for other, _ in named):
            raise invalid(f"the aggregation alias `{alias}` is used twice")
        named.append((alias, aggregation))
    return named


def _up_to(count: Any) -> int | None:
    if not count.HasField("up_to"):
        return None
    limit: int = count.up_to.value
    if limit <= 0:
        raise invalid(f"`up_to` of a count must be greater than 0, not {limit}")
    return limit


def _numbers(documents: Iterable[StoredDocument], path: tuple[str, ...]) -> list[int | float]:
    found = []
    for document in documents:
        value = get_field(document.fields(), path)
        if value is not None and is_number(value):
            found.append(number_of(value))
    return found


def _sum(numbers: Sequence[int | float]) -> Any:
    """An integer as long as all are and the sum fits; a double otherwise."""
    if all(isinstance(number, int) for number in numbers):
        total = sum(numbers)
        if total in _INTEGERS:
            return _firestore.Value(integer_value=int(total))
        return _firestore.Value(double_value=float(total))
    return _firestore.Value(double_value=_float_sum(numbers))


def _float_sum(numbers: Iterable[int | float]) -> float:
    floats = [float(number) for number in numbers]
    try:
        return math.fsum(floats)
    except (OverflowError, ValueError):  # beyond the doubles, or infinities of both signs
        return sum(floats)


def _average(numbers: Sequence[int | float]) -> Any:
    if not numbers:
        return _firestore.Value(null_value=0)
    return _firestore.Value(double_value=_float_sum(numbers) / len(numbers))
