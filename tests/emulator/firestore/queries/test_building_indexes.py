"""Indexes over many documents are made in turns: others are served meanwhile, and nothing of theirs is missed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest

from afterimage_emulator.firestore.documents import indexes
from afterimage_emulator.firestore.documents.indexes import BUILT_AT_ONCE
from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import firestore_v1
from tests.emulator.firestore.transactions.test_transactions import DATABASE, ROOT, Direct

COUNT = BUILT_AT_ONCE + 500


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> Iterator[Direct]:
    """A turn ends at each look at the clock, and lists are sorted in small parts: as if there were far more."""
    monkeypatch.setattr("afterimage_emulator.turns.TURN_SECONDS", 0.0)
    monkeypatch.setattr(indexes, "SORTED_AT_ONCE", 300)
    made = Direct()
    request = firestore_v1.CommitRequest(database=DATABASE)
    for number in range(COUNT):
        request.writes.add().update.CopyFrom(document(number, number))
    made.operations.commit(request, ADMIN)
    yield made
    made.session.database.check_invariants()


def document(number: int, value: int) -> firestore_v1.Document:
    made = firestore_v1.Document(name=f"{ROOT}/c/{number:06}")
    made.fields["n"].integer_value = value
    made.fields["k"].integer_value = value % 7
    return made


def asked(order: str = "n") -> firestore_v1.RunQueryRequest:
    request = firestore_v1.RunQueryRequest(parent=ROOT)
    request.structured_query.from_.add(collection_id="c")
    request.structured_query.order_by.add().field.field_path = order
    return request


async def found(answer: Any) -> list[int]:
    replies = await answer if isinstance(answer, Awaitable) else answer
    messages = [firestore_v1.RunQueryResponse.FromString(reply) for reply in replies]
    return [each.document.fields["n"].integer_value for each in messages if each.HasField("document")]


async def test_what_is_committed_while_an_index_is_made_is_in_it(direct: Direct) -> None:
    """A new document, a changed one and a deleted one between the turns; two who want the index share it."""
    first = asyncio.ensure_future(found(direct.operations.reads.run_query(asked(), ADMIN)))
    second = asyncio.ensure_future(found(direct.operations.reads.run_query(asked(), ADMIN)))
    for step in range(3):
        await asyncio.sleep(0)
        assert not first.done()
        request = firestore_v1.CommitRequest(database=DATABASE)
        request.writes.add().update.CopyFrom(document(COUNT + step, COUNT + step))
        request.writes.add().update.CopyFrom(document(step, -step - 1))
        request.writes.add(delete=f"{ROOT}/c/{COUNT - 1 - step:06}")
        direct.operations.commit(request, ADMIN)
    values = [-3, -2, -1, *range(3, COUNT - 3), *range(COUNT, COUNT + 3)]
    assert await first == values
    assert await second == values


async def test_a_query_whose_index_stands_is_answered_at_once(direct: Direct) -> None:
    """Only the first waits; a database that was emptied meanwhile answers with nothing."""
    await found(direct.operations.reads.run_query(asked(), ADMIN))
    assert not isinstance(direct.operations.reads.run_query(asked(), ADMIN), Awaitable)
    waiting = asyncio.ensure_future(found(direct.operations.reads.run_query(asked("k"), ADMIN)))
    await asyncio.sleep(0)
    direct.service.reset()
    assert await waiting == []


async def test_who_gives_up_leaves_the_index_to_those_who_still_wait(direct: Direct) -> None:
    """A client that hangs up does not take the index with it."""
    first = asyncio.ensure_future(found(direct.operations.reads.run_query(asked(), ADMIN)))
    second = asyncio.ensure_future(found(direct.operations.reads.run_query(asked(), ADMIN)))
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    assert await second == list(range(COUNT))


async def test_counts_and_lists_wait_in_turns_too(direct: Direct) -> None:
    """Sums, counts and pages of documents need indexes as queries do."""
    request = firestore_v1.RunAggregationQueryRequest(parent=ROOT)
    request.structured_aggregation_query.structured_query.from_.add(collection_id="c")
    request.structured_aggregation_query.aggregations.add().sum.field.field_path = "n"
    answer = direct.operations.reads.run_aggregation(request, ADMIN)
    assert isinstance(answer, Awaitable)
    (reply,) = await answer
    total = firestore_v1.RunAggregationQueryResponse.FromString(reply).result.aggregate_fields["field_1"]
    assert total.integer_value == sum(range(COUNT))
    listed = direct.operations.listing.list_documents(
        firestore_v1.ListDocumentsRequest(parent=ROOT, collection_id="c", page_size=3), ADMIN
    )
    assert isinstance(listed, Awaitable)
    page = firestore_v1.ListDocumentsResponse.FromString(await listed)
    assert [each.fields["n"].integer_value for each in page.documents] == [0, 1, 2]
