"""Decides how to find what a query asks for: for each alternative an index, a range of it, and what is left to check.

The index has the fields compared by equality first, then the fields of the order: so every entry in the range fits,
in the query's order, and a query costs what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, FieldPath
from afterimage_emulator.firestore.documents.indexes import (
    AFTER_ALL,
    ASCENDING,
    CONTAINS,
    DESCENDING,
    IndexDefinition,
    Reversed,
)
from afterimage_emulator.firestore.documents.values import SortKey
from afterimage_emulator.firestore.queries.query import CONTAINS as ARRAY_CONTAINS
from afterimage_emulator.firestore.queries.query import (
    EQUAL,
    GREATER,
    GREATER_OR_EQUAL,
    INEQUALITIES,
    LESS,
    RANGES,
    Bound,
    Condition,
    Order,
    Query,
)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The alternative names one document: read it, and check it against everything."""

    key: SortKey


@dataclass(frozen=True, slots=True)
class Scan:
    """A range of an index, `low <= entry < high`, read forwards or backwards."""

    definition: IndexDefinition
    low: SortKey
    high: SortKey
    backwards: bool
    positions: tuple[tuple[Condition, int], ...]
    """Conditions to be checked on the key at a place of the entry."""
    leftover: tuple[Condition, ...]
    """Conditions that only the document itself can answer."""
    order_places: tuple[tuple[int, bool, SortKey], ...]
    """For each order: the place of its key (-1: the fixed key beside it), and whether it is descending."""

    @property
    def is_exact(self) -> bool:
        """Whether all entries in the range are results: they can be counted without being read."""
        return not self.positions and not self.leftover


Plan = Lookup | Scan


def plan_alternative(query: Query, conditions: Sequence[Condition]) -> Plan | None:
    """None where the conditions contradict each other."""
    fixed: dict[FieldPath, SortKey] = {}
    for condition in conditions:
        if condition.op == EQUAL and fixed.setdefault(condition.path, condition.keys[0]) != condition.keys[0]:
            return None
    if DOCUMENT_NAME in fixed:
        return Lookup(fixed[DOCUMENT_NAME])
    if any(c.path in fixed and c.op in INEQUALITIES and not c.holds_for(fixed[c.path]) for c in conditions):
        return None
    return _ScanPlanner(query, conditions, fixed).plan()


class _ScanPlanner:
    def __init__(self, query: Query, conditions: Sequence[Condition], fixed: dict[FieldPath, SortKey]) -> None:
        self.query = query
        self.conditions = conditions
        self.fixed = fixed
        name_at = next(i for i, order in enumerate(query.orders) if order.path == DOCUMENT_NAME)
        self.name_at = name_at
        # Orders behind the name decide nothing, but the field must exist: they stay in the index, behind the others.
        self.orders = [order for order in query.orders[:name_at] if order.path not in fixed]
        self.name_descending = query.orders[name_at].descending
        self.behind_name = [order.path for order in query.orders[name_at + 1 :] if order.path not in fixed]
        first = self.orders[0].descending if self.orders else self.name_descending
        self.backwards = first

    def plan(self) -> Scan | None:
        contained = next((c for c in self.conditions if c.op == ARRAY_CONTAINS), None)
        equal = sorted(self.fixed)
        components: list[tuple[FieldPath, str]] = [(path, ASCENDING) for path in equal]
        prefix: list[SortKey] = [self.fixed[path] for path in equal]
        if contained is not None:
            components.append((contained.path, CONTAINS))
            prefix.append(contained.keys[0])
        first_order = len(components)
        components += [
            (order.path, DESCENDING if order.descending != self.backwards else ASCENDING) for order in self.orders
        ]
        name_place = len(components)
        low, high = self._range(tuple(prefix))
        if low >= high:
            return None
        places = {order.path: first_order + i for i, order in enumerate(self.orders)}
        leftover = [c for c in self.conditions if c.op == ARRAY_CONTAINS and c is not contained]
        positions: list[tuple[Condition, int]] = []
        for condition in self.conditions:
            if condition.op not in INEQUALITIES or condition.path in self.fixed:
                continue
            place = name_place if condition.path == DOCUMENT_NAME else places.get(condition.path, -1)
            if place < 0:
                leftover.append(condition)
            elif place != first_order or condition.op not in RANGES:
                positions.append((condition, place))
        if any(
            bound is not None and len(bound.keys) > self.name_at + 1 for bound in (self.query.start, self.query.end)
        ):
            leftover.append(Condition(DOCUMENT_NAME, "is within bounds", ()))
        if self.behind_name:
            leftover += [Condition(path, "exists", ()) for path in self.behind_name]
        definition = IndexDefinition(tuple(components), self.name_descending != self.backwards)
        order_places = tuple(self._order_place(order, places, name_place) for order in self.query.orders)
        return Scan(definition, low, high, self.backwards, tuple(positions), tuple(leftover), order_places)

    def _order_place(self, order: Order, places: dict[FieldPath, int], name_place: int) -> tuple[int, bool, SortKey]:
        if order.path == DOCUMENT_NAME:
            return name_place, order.descending, ()
        if order.path in self.fixed:
            return -1, order.descending, self.fixed[order.path]
        return places.get(order.path, -1), order.descending, ()

    # -- the range

    def _range(self, prefix: SortKey) -> tuple[SortKey, SortKey]:
        lows: list[SortKey] = [prefix]
        highs: list[SortKey] = [(*prefix, AFTER_ALL)]
        first = self.orders[0].path if self.orders else DOCUMENT_NAME
        for condition in self.conditions:
            if condition.path == first and condition.op in RANGES:
                self._narrow(condition, prefix, lows, highs)
        for bound, is_start in ((self.query.start, True), (self.query.end, False)):
            if bound is not None:
                self._narrow_by_cursor(bound, is_start, prefix, lows, highs)
        return max(lows), min(highs)

    @staticmethod
    def _narrow(condition: Condition, prefix: SortKey, lows: list[SortKey], highs: list[SortKey]) -> None:
        key = condition.keys[0]
        at = (*prefix, key)
        if condition.op in (GREATER, GREATER_OR_EQUAL):
            lows.append((*at, AFTER_ALL) if condition.op == GREATER else at)
        else:
            highs.append(at if condition.op == LESS else (*at, AFTER_ALL))
        if condition.path != DOCUMENT_NAME:
            lows.append((*prefix, (key[0],)))
            highs.append((*prefix, (key[0] + 1,)))

    def _narrow_by_cursor(
        self,
        bound: Bound,
        is_start: bool,
        prefix: SortKey,
        lows: list[SortKey],
        highs: list[SortKey],
    ) -> None:
        place = list(prefix)
        includes_equal = bound.before == is_start
        for key, order in zip(bound.keys, self.query.orders, strict=False):
            if order.path in self.fixed:
                here = self.fixed[order.path]
                if here == key:
                    continue
                # All of this alternative lies on one side of the cursor.
                comes_after = (here < key) if order.descending else (here > key)
                includes_equal = comes_after == is_start
                break
            place.append(Reversed(key) if order.descending != self.backwards else key)
            if order.path == DOCUMENT_NAME:
                # Keys behind the name: only the document itself can be compared with them.
                includes_equal = includes_equal or len(bound.keys) > self.name_at + 1
                break
        at = tuple(place)
        if is_start != self.backwards:
            lows.append(at if includes_equal else (*at, AFTER_ALL))
        else:
            highs.append((*at, AFTER_ALL) if includes_equal else at)
