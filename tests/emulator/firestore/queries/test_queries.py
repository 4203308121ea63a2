"""Queries: whatever is asked, of the present or the past, the answer is that of a naive scan; cost follows results."""

from __future__ import annotations

import math
import random
import sys
import tracemalloc
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.clock import Clock
from afterimage_emulator.firestore.documents.document_store import Database
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import timestamp_field
from afterimage_emulator.firestore.queries.query_executor import count_matches, run_query
from afterimage_emulator.firestore.queries.query_parser import parse_query
from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import messages
from afterimage_emulator.status import StatusError
from tests.emulator.firestore.naive_model import NaiveQuery, Reference, encode, leaves, structured_query, unequal_fields
from tests.emulator.firestore.transactions.test_transactions import Direct
from tests.emulator.firestore.whole_stores import is_whole_at_the_end
from tests.thoroughness import examples

_firestore: Any = messages("google.firestore.v1")
NAME = DatabaseName("demo", "(default)")
PREFIX = NAME.documents

small = st.sampled_from([None, True, 1, 1.0, 2, 2.5, math.nan, "a", "b", [1, "a"], [1, None, math.nan], [2], {"x": 1}])
fields = st.dictionaries(st.sampled_from(["a", "b", "c"]), small, max_size=3).map(
    lambda found: {**found, "m": {"x": found["a"]}} if "a" in found else found
)
ids = st.sampled_from(["d1", "d2", "d3", "d!", "__id7__", "__id-2__", "é"])
collections = st.sampled_from(["rooms", "rooms/d1/rooms", "rooms/d2/other/x/rooms", "other"])
paths = st.builds(lambda c, i: f"{c}/{i}", collections, ids)
operations = st.lists(st.tuples(paths, st.one_of(st.none(), fields)), max_size=25)
some_fields = st.sampled_from(["a", "b", "c", "m.x"])
in_rooms = ids.map(lambda i: Reference(f"rooms/{i}"))
leaf = st.one_of(
    st.tuples(some_fields, st.sampled_from(["==", "<", "<=", ">", ">=", "!=", "array-contains"]), small).filter(
        lambda f: not (f[1] in ("<", "<=", ">", ">=", "array-contains") and (f[2] is None or f[2] != f[2]))
    ),
    st.tuples(
        some_fields, st.sampled_from(["in", "not-in", "array-contains-any"]), st.lists(small, min_size=1, max_size=3)
    ),
    st.tuples(st.just("__name__"), st.sampled_from(["==", "<", "<=", ">", ">=", "!="]), in_rooms),
    st.tuples(st.just("__name__"), st.sampled_from(["in", "not-in"]), st.lists(in_rooms, min_size=1, max_size=2)),
)


def is_taken(given: Any) -> bool:
    """Whether the service takes these filters together; `test_malformed_requests.py` shows those it refuses."""
    if given is None:
        return True
    kind, parts = (given[0], given[1]) if given[0] in ("and", "or") else ("and", [given])
    operators = [leaf[1] for leaf in leaves(given)]
    has_or = kind == "or" or any(part[0] == "or" for part in parts)
    if operators.count("not-in") + operators.count("!=") > 1:
        return False
    if "not-in" in operators and (has_or or {"in", "array-contains-any"} & {*operators}):
        return False
    equal = {leaf[0] for leaf in leaves(given) if leaf[1] in ("==", "in")}
    unequal = unequal_fields(given)
    if "__name__" in equal and unequal and "__name__" not in unequal:
        return False
    return kind == "or" or sum(operator.startswith("array-contains") for operator in operators) < 2


where = st.one_of(
    st.none(),
    leaf,
    st.tuples(st.sampled_from(["and", "or"]), st.lists(leaf, min_size=1, max_size=3)),
    st.tuples(
        st.just("and"),
        st.lists(
            st.one_of(leaf, st.tuples(st.just("or"), st.lists(leaf, min_size=1, max_size=2))), min_size=1, max_size=2
        ),
    ),
).filter(is_taken)


@st.composite
def queries(draw: Any) -> NaiveQuery:
    order_fields = draw(st.lists(st.sampled_from(["a", "b", "m.x"]), max_size=2, unique=True))
    given = draw(where)
    if draw(st.integers(0, 3)) == 0 and unequal_fields(given) <= {*order_fields, "__name__"}:
        order_fields.append("__name__")
    query = NaiveQuery(
        collection="rooms",
        is_group=draw(st.booleans()),
        where=given,
        orders=[(path, draw(st.booleans())) for path in order_fields],
        offset=draw(st.sampled_from([0, 0, 1, 4])),
        limit=draw(st.sampled_from([None, None, 0, 2])),
    )
    for side in ("start", "end"):
        if draw(st.integers(0, 2)) == 0:
            orders = query.all_orders()[: draw(st.integers(1, 3))]
            keys = [draw(in_rooms if path == "__name__" else small) for path, _ in orders]
            setattr(query, side, (keys, draw(st.booleans())))
    return query


class Simulated:
    """A database and, beside it, plain dictionaries: one for every moment."""

    def __init__(self) -> None:
        self.clock = Clock(frozen_at=datetime(2024, 1, 1, tzinfo=UTC))
        self.database = Database(NAME, self.clock)
        is_whole_at_the_end(lambda: [self.database])
        self.now: dict[str, dict[str, Any]] = {}
        self.moments: list[tuple[int, dict[str, dict[str, Any]]]] = []

    def write(self, path: str, given_fields: dict[str, Any] | None) -> None:
        before = self.database.get(path)
        at = self.database.next_commit_time()
        after = None
        if given_fields is not None:
            message = _firestore.Document(name=f"{PREFIX}/{path}")
            for name, value in given_fields.items():
                message.fields[name].CopyFrom(encode(value))
            created = before.create_time if before is not None else at
            times = timestamp_field(3, created) + timestamp_field(4, at)
            after = StoredDocument(path, message.SerializeToString(deterministic=True) + times, created, at)
        if before is None and after is None:
            return
        self.database.commit([Change(path, before, after)], at)
        self.now = {key: value for key, value in self.now.items() if key != path}
        if given_fields is not None:
            self.now[path] = given_fields
        self.moments.append((at, self.now))

    def ask(self, query: NaiveQuery, at: int | None = None) -> list[str]:
        parsed = parse_query(NAME, "", structured_query(query, PREFIX))
        found = [document.path for document in run_query(self.database, parsed, at=at)]
        counted = count_matches(self.database, parsed, up_to=None, at=at)
        assert counted == len(found), "the count differs from what the query returns"
        return found


@given(operations, queries(), operations)
@settings(max_examples=examples(300), deadline=None)
def test_every_query_answers_as_a_naive_scan(before: Any, query: NaiveQuery, after: Any) -> None:
    """With an index just built, with one kept up by later commits, and at every past moment: always the same answer."""
    simulated = Simulated()
    for path, given_fields in before:
        simulated.write(path, given_fields)
    assert simulated.ask(query) == query.run(simulated.now)
    for path, given_fields in after:
        simulated.write(path, given_fields)
    assert simulated.ask(query) == query.run(simulated.now)
    for at, documents in random.Random(1).sample(simulated.moments, min(3, len(simulated.moments))):
        assert simulated.ask(query, at) == query.run(documents), f"as of {at}"
    simulated.database.check_invariants()


def test_one_field_many_ranges_reads_only_what_fits() -> None:
    """Equality, order and limit together touch as many documents as they return, of ten thousand."""
    simulated = Simulated()
    for number in range(2000):
        simulated.write(f"rooms/r{number}", {"a": number % 10, "n": number})
    reads = []
    original = simulated.database.get

    def counting(path: str, at: int | None = None) -> Any:
        reads.append(path)
        return original(path, at)

    simulated.database.get = counting  # type: ignore[method-assign]  # counts what the executor reads
    query = NaiveQuery("rooms", where=("and", [("a", "==", 3), ("n", ">", 1000)]), orders=[("n", True)], limit=5)
    assert simulated.ask(query) == [f"rooms/r{n}" for n in (1993, 1983, 1973, 1963, 1953)]
    assert len(reads) <= 10


@pytest.mark.parametrize("descending", [False, True])
def test_a_large_offset_reads_only_what_is_behind_it(descending: bool) -> None:
    """In either direction: the index knows its entries by their number."""
    simulated = Simulated()
    for number in range(2000):
        simulated.write(f"rooms/r{number:04}", {"a": 3, "n": number})
    reads = 0

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal reads
        reads += event == "call" and frame.f_code is Database.get.__code__

    query = NaiveQuery("rooms", where=("a", "==", 3), orders=[("n", descending)], offset=1990, limit=2)
    sys.setprofile(count)
    try:
        found = simulated.ask(query)
    finally:
        sys.setprofile(None)
    assert found == [f"rooms/r{number:04}" for number in ((9, 8) if descending else (1990, 1991))]
    assert reads <= 4


def filtered(path: str, op: int) -> Any:
    """A filter that compares a field with 1."""
    found = _firestore.StructuredQuery.Filter()
    found.field_filter.field.field_path, found.field_filter.op, found.field_filter.value.integer_value = path, op, 1
    return found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.from_.add(collection_id="b"), "more than one collection selector"),
        (lambda s: setattr(s.from_[0], "collection_id", "a/b"), "contains"),
        (lambda s: setattr(s, "offset", -1), "offset"),
        (lambda s: setattr(s.limit, "value", -1), "limit"),
        (lambda s: s.start_at.values.extend([encode(1), encode(2)]), "Cursor has too many values"),
        (lambda s: s.where.composite_filter.SetInParent(), "CompositeFilter operator"),
        (lambda s: s.where.field_filter.SetInParent(), "FieldFilter operator"),
        (lambda s: s.where.CopyFrom(filtered("a..b", 5)), "Invalid property path"),
    ],
)
def test_senseless_queries_are_refused_by_name(change: Any, said: str) -> None:
    """Each refusal names what is wrong."""
    source = structured_query(NaiveQuery("rooms"), PREFIX)
    change(source)
    with pytest.raises(StatusError, match=said):
        parse_query(NAME, "", source)


def test_filters_cannot_explode() -> None:
    """More than thirty alternatives are refused while they are counted, not after they filled the memory."""
    three = [("or", [("a", "==", n), ("b", "==", n), ("c", "==", n)]) for n in range(20)]
    with pytest.raises(StatusError, match=r"Too many disjunctions .* the maximum of 30"):
        parse_query(NAME, "", structured_query(NaiveQuery("rooms", where=("and", three)), PREFIX))


def test_reads_beyond_the_window_are_refused() -> None:
    """The future and what was forgotten are refused with the official codes, never answered wrongly."""
    simulated = Simulated()
    simulated.write("rooms/a", {"a": 1})
    at = simulated.database.read_time()
    with pytest.raises(StatusError, match="future"):
        simulated.database.check_read_time(at + 10_000_000)
    simulated.database.check_read_time(at)
    simulated.clock.advance(3601)
    with pytest.raises(StatusError, match="too old"):
        simulated.database.check_read_time(at)


def test_the_past_is_kept_within_its_bytes() -> None:
    """A document rewritten for ever does not fill the memory; what was dropped is refused, what is kept is right."""
    clock = Clock(frozen_at=datetime(2024, 1, 1, tzinfo=UTC))
    simulated = Simulated()
    simulated.clock = clock
    simulated.database = Database(NAME, clock, retention_bytes=20_000)
    for number in range(200):
        simulated.write("rooms/a", {"n": number})
    kept = [(at, docs) for at, docs in simulated.moments if simulated.database.can_read_at(at)]
    assert 20 < len(kept) < 100
    for at, docs in kept:
        document = simulated.database.get("rooms/a", at)
        assert document is not None
        assert document.fields()["n"].integer_value == docs["rooms/a"]["n"]
    simulated.database.check_invariants()


def at_once(replies: Iterable[bytes] | Awaitable[Iterable[bytes]]) -> Iterable[bytes]:
    """A query that waits for nothing is answered without a turn of the loop."""
    assert isinstance(replies, Iterable)
    return replies


async def test_a_large_answer_is_made_as_it_is_read() -> None:
    """Of fifty documents of 200 KB, reading the first makes the first: the rest stay where they are stored."""
    direct = Direct()
    simulated = Simulated()
    simulated.database = direct.session.database
    for number in range(50):
        simulated.write(f"rooms/{number}", {"a": "x" * 200_000})
    request = _firestore.RunQueryRequest(parent=PREFIX)
    request.structured_query.from_.add(collection_id="rooms")
    list(at_once(direct.operations.reads.run_query(request, ADMIN)))
    tracemalloc.start()
    try:
        replies = iter(at_once(direct.operations.reads.run_query(request, ADMIN)))
        next(replies)
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
        assert sum(1 for _ in replies) == 49
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()
