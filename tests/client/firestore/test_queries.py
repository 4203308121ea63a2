"""Queries over the wire: operators, order, cursors, limits, groups and aggregations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import pytest

from afterimage_client import FirebaseApp, FirestoreError
from afterimage_client.firestore import (
    DOCUMENT_ID,
    And,
    Average,
    CollectionReference,
    Count,
    FieldFilter,
    Or,
    Query,
    Sum,
)
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps

Own = Callable[[str], str]
PEOPLE: dict[str, dict[str, Any]] = {
    "ann": {"age": 30, "tags": ["a", "b"], "town": "Bern", "score": 1.5},
    "bob": {"age": 20, "tags": ["b"], "town": "Bern", "score": None},
    "cat": {"age": 40, "tags": [], "town": "Chur", "score": math.nan},
    "dan": {"age": 30, "tags": ["c"], "town": "Genf"},
}


@pytest.fixture
async def people(app: FirebaseApp, own: Own) -> CollectionReference:
    collection = app.firestore.collection(own("people"))
    batch = app.firestore.batch()
    for name, data in PEOPLE.items():
        batch.set(collection.document(name), data)
    await batch.commit()
    return collection


async def ids(query: Query) -> list[str]:
    found = [document.id for document in await query.get()]
    assert [document.id async for document in query.stream()] == found
    return found


@pytest.mark.parametrize(
    ("field", "operator", "value", "found"),
    [
        ("age", "<", 30, ["bob"]),
        ("age", "<=", 30, ["bob", "ann", "dan"]),
        ("age", "==", 30, ["ann", "dan"]),
        ("age", ">", 30, ["cat"]),
        ("age", ">=", 30, ["ann", "dan", "cat"]),
        ("age", "!=", 30, ["bob", "cat"]),
        ("age", "in", [20, 40], ["bob", "cat"]),
        ("age", "not-in", [20, 40], ["ann", "dan"]),
        ("tags", "array-contains", "b", ["ann", "bob"]),
        ("tags", "array-contains-any", ["a", "c"], ["ann", "dan"]),
        ("score", "==", None, ["bob"]),
        ("score", "==", math.nan, ["cat"]),
        ("score", "!=", None, ["cat", "ann"]),
        (DOCUMENT_ID, ">=", "cat", ["cat", "dan"]),
        (DOCUMENT_ID, "in", ["dan", "ann"], ["ann", "dan"]),
    ],
)
async def test_every_operator(
    field: str, operator: Any, value: Any, found: list[str], people: CollectionReference
) -> None:
    """Each finds what it should, also for null, NaN and names."""
    assert await ids(people.where(field, operator, value)) == found


async def test_filters_combine(people: CollectionReference) -> None:
    """One after the other is "and"; Or and And nest."""
    assert await ids(people.where("town", "==", "Bern").where("age", ">", 20)) == ["ann"]
    either = Or(
        [FieldFilter("town", "==", "Chur"), And([FieldFilter("town", "==", "Bern"), FieldFilter("age", "==", 20)])]
    )
    assert await ids(people.where(either)) == ["bob", "cat"]


async def test_order_limits_and_offsets(people: CollectionReference) -> None:
    """Names break ties, in the direction of the last order."""
    by_age = people.order_by("age", "descending")
    assert await ids(by_age) == ["cat", "dan", "ann", "bob"]
    assert await ids(by_age.limit(2)) == ["cat", "dan"]
    assert await ids(by_age.offset(1).limit(2)) == ["dan", "ann"]
    assert [each.id for each in await by_age.limit_to_last(2).get()] == ["ann", "bob"]
    assert [each.id for each in await by_age.end_at(30).limit_to_last(2).get()] == ["dan", "ann"]


async def test_cursors_by_values_and_by_snapshots(people: CollectionReference) -> None:
    """A snapshot names one place exactly, also among equals."""
    by_age = people.order_by("age")
    assert await ids(by_age.start_at(30)) == ["ann", "dan", "cat"]
    assert await ids(by_age.start_after(30)) == ["cat"]
    assert await ids(by_age.end_before(30)) == ["bob"]
    ann = await people.document("ann").get()
    assert await ids(by_age.start_after(ann)) == ["dan", "cat"]
    assert await ids(by_age.end_at(ann)) == ["bob", "ann"]
    assert await ids(people.where("age", ">=", 30).start_after(ann)) == ["dan", "cat"]
    assert await ids(people.start_at(await people.document("cat").get())) == ["cat", "dan"]


async def test_projections(people: CollectionReference) -> None:
    """Only the fields that are named; no name at all gives none."""
    (first, *_) = await people.select("age").get()
    assert first.to_dict() == {"age": 30}
    (first, *_) = await people.select().get()
    assert first.to_dict() == {}


async def test_aggregations_are_computed_by_the_server(people: CollectionReference) -> None:
    """Several in one question; the mean of nothing is None."""
    assert await people.aggregate(n=Count(), some=Count(up_to=2), years=Sum("age"), mean=Average("age")) == {
        "n": 4,
        "some": 2,
        "years": 120,
        "mean": 30.0,
    }
    assert await people.where("age", ">", 20).count() == 3
    assert await people.sum("age") == 120
    assert await people.where("age", ">", 90).average("age") is None


async def test_collection_groups_are_under_the_rules_too(app: FirebaseApp, people: CollectionReference) -> None:
    """A group reaches everybody's collections, so rules for one's own do not allow it."""
    with pytest.raises(FirestoreError, match="permission-denied"):
        await app.firestore.collection_group("people").get()


async def test_a_broken_stream_goes_on_behind_the_last_document(
    app: FirebaseApp, people: CollectionReference, apps: Apps
) -> None:
    """A read that fails is begun again, and nothing comes twice."""
    apps.suite.add_fault(FaultRule(action="fail", match={"method": "RunQuery"}, times=3, code=Code.UNAVAILABLE))
    try:
        assert [each.id async for each in people.stream()] == sorted(PEOPLE)
        apps.suite.add_fault(FaultRule(action="fail", match={"method": "RunQuery"}, times=3, code=Code.UNAVAILABLE))
        assert [each.id for each in await people.get()] == sorted(PEOPLE)
    finally:
        apps.suite.clear_faults()


async def test_what_is_no_query_is_named(people: CollectionReference) -> None:
    """Before it is sent, in words that say what to do."""
    wrongs: list[Callable[[], Query]] = [
        lambda: people.limit(0),
        lambda: people.limit_to_last(1),
        lambda: people.where("age", cast(Any, "~"), 1),
        lambda: people.where("age", "in", 3),
        lambda: people.where("age"),
        lambda: people.order_by("age").start_at(),
        lambda: people.start_at(1).order_by("age"),
        lambda: people.order_by("age", cast(Any, "up")),
    ]
    for wrong in wrongs:
        with pytest.raises(FirestoreError, match="invalid-argument"):
            wrong()
    with pytest.raises(FirestoreError, match="2 values"):
        await people.order_by("age").start_at(1, 2).get()
