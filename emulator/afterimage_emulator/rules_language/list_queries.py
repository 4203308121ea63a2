"""What a query proves about the documents it may find: its disjuncts, and for each the resource that rules see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.constraints import Constraint
from afterimage_emulator.rules_language.requests import Both, Either, FieldFilter, Filter, ListedQuery

MAXIMUM_DISJUNCTS: Final = 100
MAXIMUM_FILTERS: Final = 500
MAXIMUM_FILTER_DEPTH: Final = 40
DOCUMENT_NAME: Final = ("__name__",)


class TooManyDisjunctsError(Exception):
    """The filters multiply to more cases, or nest deeper, than any query may."""


class _Partial(dict[str, Any]):
    """A map of which only the filtered fields are known."""


Conjunct = tuple[FieldFilter, ...]


def disjuncts(where: Filter | None, depth: int = 0) -> list[Conjunct]:
    """The filters as alternatives, each a list of conditions that all hold; `in` and its like are alternatives too."""
    if where is None:
        return [()]
    if depth > MAXIMUM_FILTER_DEPTH:
        raise TooManyDisjunctsError
    if isinstance(where, FieldFilter):
        if where.op == "in":
            return _alternatives(where, "==")
        if where.op == "array-contains-any":
            return _alternatives(where, "array-contains")
        return [(where,)]
    if isinstance(where, Either):
        found = [conjunct for part in where.filters for conjunct in disjuncts(part, depth + 1)]
        return _bounded(found)
    return _product(where, depth + 1)


def _alternatives(where: FieldFilter, op: str) -> list[Conjunct]:
    return _bounded([(FieldFilter(field=where.field, op=op, value=value),) for value in where.value])


def _product(where: Both, depth: int) -> list[Conjunct]:
    combined: list[Conjunct] = [()]
    for part in where.filters:
        parts = disjuncts(part, depth)
        if len(combined) * len(parts) > MAXIMUM_DISJUNCTS:
            raise TooManyDisjunctsError
        combined = [(*earlier, *later) for earlier in combined for later in parts]
    return _bounded(combined)


def _bounded(found: list[Conjunct]) -> list[Conjunct]:
    if len(found) > MAXIMUM_DISJUNCTS or any(len(conjunct) > MAXIMUM_FILTERS for conjunct in found):
        raise TooManyDisjunctsError
    return found


def synthetic_data(conjunct: Sequence[FieldFilter]) -> dict[str, object]:
    """The data of any document that fulfils these conditions, as far as they say: only the filtered fields exist.

    A field that some condition equates has that value; the others have a constraint.
    """
    data = _Partial()
    by_field: dict[tuple[str, ...], list[FieldFilter]] = {}
    for condition in conjunct:
        if condition.field != DOCUMENT_NAME and condition.field:
            by_field.setdefault(condition.field, []).append(condition)
    for field, conditions in by_field.items():
        fixed = next((condition for condition in conditions if condition.op == "=="), None)
        if fixed is not None:
            value = fixed.value
        else:
            value = Constraint(".".join(field), [(condition.op, condition.value) for condition in conditions])
        _put(data, field, value)
    return data


def _put(data: _Partial, field: tuple[str, ...], value: object) -> None:
    """Sets a nested field, unless a condition on a field around it has already said all there is."""
    for name in field[:-1]:
        inner = data.setdefault(name, _Partial())
        if not isinstance(inner, _Partial):
            return
        data = inner
    if field[-1] not in data or not isinstance(value, Constraint):
        data[field[-1]] = value


def query_value(query: ListedQuery) -> Mapping[str, object]:
    """`request.query` as rules see it: an absent limit is null, an absent offset 0."""
    return {"limit": query.limit, "offset": query.offset, "orderBy": dict(query.order_by or {})}
