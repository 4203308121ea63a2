"""What a query asks of indexes, alternative by alternative, and which indexes would serve it in production.

An alternative is served by one index (the fields compared by equality first, then the order of the whole query), or by
several that all end in the same order, each with some of the equalities: the service then joins them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from afterimage_emulator.firestore.documents.field_paths import DOCUMENT_NAME, FieldPath
from afterimage_emulator.firestore.indexes.declared_indexes import (
    ASCENDING,
    CONTAINS,
    DESCENDING,
    DeclaredIndexes,
    FirestoreIndex,
    IndexedField,
    direction,
    implied_name_direction,
)
from afterimage_emulator.firestore.queries.query import CONTAINS as ARRAY_CONTAINS
from afterimage_emulator.firestore.queries.query import EQUAL, INEQUALITIES, NOT_EQUAL, NOT_IN, Condition, Order, Query


@dataclass(frozen=True, slots=True)
class Need:
    """What one alternative of a query asks of an index."""

    group: str
    is_of_group: bool
    equal: frozenset[FieldPath]
    contains: FieldPath | None
    ordered: tuple[IndexedField, ...]
    name_descending: bool
    vector: IndexedField | None = None

    @property
    def fixed(self) -> frozenset[FieldPath]:
        """The fields that come first in an index, in whatever order."""
        return self.equal if self.contains is None else self.equal | {self.contains}

    @property
    def is_of_one_field(self) -> bool:
        """Whether the automatic index of a field is all that it takes."""
        follows = all((each.kind == DESCENDING) == self.name_descending for each in self.ordered)
        return self.vector is None and len(self.fixed) + len(self.ordered) == 1 and follows

    def index(self) -> FirestoreIndex:
        """The one index that serves it, as the service suggests it."""
        fields = [IndexedField(path, ASCENDING) for path in sorted(self.equal)]
        if self.contains is not None:
            fields.append(IndexedField(self.contains, CONTAINS))
        fields += self.ordered
        if self.vector is not None:
            fields.append(self.vector)
        return FirestoreIndex(fields=tuple(fields), is_of_group=self.is_of_group, name_descending=self.name_descending)


def needs_of(query: Query, summed: Iterable[FieldPath] = ()) -> list[Need]:
    """One for each alternative; none for queries that only read by name or look at no index at all."""
    if not query.collection_id or query.limit == 0:
        return []
    return [_need(query, conditions, summed) for conditions in query.alternatives]


def _need(query: Query, conditions: Sequence[Condition], summed: Iterable[FieldPath]) -> Need:
    equal = {c.path for c in conditions if c.op == EQUAL and c.path != DOCUMENT_NAME}
    contains = next((c.path for c in conditions if c.op == ARRAY_CONTAINS), None)
    orders = [order for order in query.orders if order.path != DOCUMENT_NAME]
    name_descending = any(order.descending for order in query.orders if order.path == DOCUMENT_NAME)
    vector = None
    if query.nearest is not None:  # its ranking takes the place of every order
        vector = IndexedField(query.nearest.path, "VECTOR", len(query.nearest.vector))
        unequal = {c.path for c in conditions if c.op in INEQUALITIES}
        orders = [Order(path) for path in sorted(unequal - {DOCUMENT_NAME})]
        name_descending = False
    ordered = [order.path for order in orders]
    orders += [Order(path) for path in dict.fromkeys(summed) if path not in ordered]
    return Need(
        query.collection_id,
        query.all_descendants,
        frozenset(equal),
        contains,
        tuple(
            IndexedField(order.path, direction(order.descending))
            for order in orders
            if order.path not in equal and order.path != contains
        ),
        name_descending,
        vector,
    )


def scans_of(conditions: Sequence[Condition]) -> int:
    """How many ranges of an index an alternative reads: a difference leaves one on each side of each value."""
    count = 1
    for condition in conditions:
        if condition.op == NOT_EQUAL:
            count += 1
        elif condition.op == NOT_IN:
            count += len(condition.keys)
    return count


def serving(need: Need, declared: DeclaredIndexes) -> tuple[FirestoreIndex, ...]:
    """The indexes that production would read together; empty where they are missing."""
    if need.vector is not None:
        return _vector_index(need, declared)
    if not need.fixed and not need.ordered:
        by_name = FirestoreIndex(fields=(), is_of_group=need.is_of_group, name_descending=need.name_descending)
        is_there = not need.name_descending or by_name in declared.of(need.group, is_of_group=need.is_of_group)
        return (by_name,) if is_there else ()
    members: dict[FirestoreIndex, frozenset[FieldPath]] = {}
    for index in declared.of(need.group, is_of_group=need.is_of_group):
        covered = _covered(need, index)
        if covered is not None and (covered or not need.fixed):
            members[index] = covered
    for index in _automatic(need, declared):
        members[index] = frozenset(each.path for each in index.fields) & need.fixed
    return _joined(need.fixed, members)


def _covered(need: Need, index: FirestoreIndex) -> frozenset[FieldPath] | None:
    """The equalities that the index serves; None where it has other fields, or another order, or another direction."""
    length = len(index.fields) - len(need.ordered)
    if length < 0 or index.fields[length:] != need.ordered or index.name_descending != need.name_descending:
        return None
    first = index.fields[:length]
    covered = frozenset(each.path for each in first)
    if len(covered) < len(first):
        return None
    for each in first:
        if each.path != need.contains if each.kind == CONTAINS else each.path not in need.equal:
            return None
    return covered


def _automatic(need: Need, declared: DeclaredIndexes) -> Iterable[FirestoreIndex]:
    """The single-field indexes that help: all of them end in the name alone."""
    wanted: list[tuple[FieldPath, tuple[str, ...]]] = []
    if not need.ordered:
        either = (DESCENDING,) if need.name_descending else (ASCENDING, DESCENDING)
        wanted = [(path, either) for path in sorted(need.equal)]
        if need.contains is not None:
            wanted.append((need.contains, (CONTAINS,)))
    elif need.is_of_one_field:
        wanted = [(need.ordered[0].path, (need.ordered[0].kind,))]
    for path, kinds in wanted:
        modes = declared.modes(need.group, path)
        kind = next((kind for kind in kinds if (kind, need.is_of_group) in modes), None)
        if kind is not None:
            yield FirestoreIndex(
                fields=(IndexedField(path, kind),),
                is_of_group=need.is_of_group,
                name_descending=need.name_descending,
            )


def _joined(
    fixed: frozenset[FieldPath], members: dict[FirestoreIndex, frozenset[FieldPath]]
) -> tuple[FirestoreIndex, ...]:
    """As few of them as cover all equalities, the widest first."""
    if not fixed:
        return tuple(members)[:1]
    chosen: list[FirestoreIndex] = []
    missing = set(fixed)
    while missing:
        best = max(members, key=lambda index: len(members[index] & missing), default=None)
        if best is None or not members[best] & missing:
            return ()
        chosen.append(best)
        missing -= members[best]
    return tuple(chosen)


def _vector_index(need: Need, declared: DeclaredIndexes) -> tuple[FirestoreIndex, ...]:
    """A vector index has exactly the fields that are filtered by before the vector, and its dimensions."""
    for index in declared.of(need.group, is_of_group=need.is_of_group):
        if index.fields and index.fields[-1] == need.vector:
            before = FirestoreIndex(
                fields=index.fields[:-1], is_of_group=index.is_of_group, name_descending=need.name_descending
            )
            if _covered(need, before) == need.fixed:
                return (index,)
    return ()


def implies_its_name_direction(index: FirestoreIndex) -> bool:
    """Whether the index may be declared without the name."""
    plain = tuple(each for each in index.fields if not each.dimension)
    return bool(index.fields) and implied_name_direction(plain) == index.name_descending
