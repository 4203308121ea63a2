"""Locks: readers share, writers wait, and waiting never goes in a circle; optimistic transactions lock nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from afterimage_emulator.front.callers import ADMIN
from afterimage_emulator.protos import messages
from afterimage_emulator.status import Code, StatusError
from tests.emulator.firestore.transactions.test_transactions import DATABASE, ROOT, Direct, numbers

_firestore: Any = messages("google.firestore.v1")
OPTIMISTIC: Any = {"read_write": {"concurrency_mode": "OPTIMISTIC"}}


async def started(work: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """The work, as far as it goes without anybody else."""
    future = asyncio.ensure_future(work)
    for _ in range(3):
        await asyncio.sleep(0)
    return future


async def is_aborted(work: asyncio.Future[Any]) -> None:
    with pytest.raises(StatusError, match="Too much contention on these documents") as error:
        await work
    assert error.value.code is Code.ABORTED


async def test_two_who_only_read_do_not_disturb_each_other() -> None:
    """Both read the same documents by name and by query, and both commit, one of them writing something else."""
    direct = Direct()
    await direct.commit({"a": 50, "b": 60})
    first, second = await direct.begin(), await direct.begin()
    for transaction in (first, second):
        assert numbers(await direct.get(["a"], transaction=transaction)) == {"a": 50}
        assert await direct.query(0, transaction=transaction) == {"a": 50, "b": 60}
    await direct.commit({}, first)
    await direct.commit({"a": 51}, second)


@pytest.mark.parametrize("way", ["name", "query"])
async def test_a_write_from_outside_waits_for_those_who_have_read(way: str) -> None:
    """It is done when the last of them has ended, and none of them sees it."""
    direct = Direct()
    await direct.commit({"a": 50})
    first, second = await direct.begin(), await direct.begin()
    for transaction in (first, second):
        if way == "name":
            await direct.get(["a"], transaction=transaction)
        else:
            await direct.query(0, transaction=transaction)
    write = await started(direct.commit({"a": 51}))
    await direct.commit({}, first)
    await asyncio.sleep(0)
    assert not write.done()
    assert numbers(await direct.get(["a"], transaction=second)) == {"a": 50}
    await direct.commit({"b": 1}, second)
    await write
    assert numbers(await direct.get(["a"])) == {"a": 51}


async def test_of_two_who_read_and_write_one_document_the_older_goes_through() -> None:
    """Whoever comes first waits; when both wait for each other, the younger is aborted, and may try again."""
    for younger_first in (True, False):
        direct = Direct()
        await direct.commit({"a": 1})
        older, younger = await direct.begin(), await direct.begin()
        for transaction in (older, younger):
            await direct.get(["a"], transaction=transaction)
        if younger_first:
            waiting = await started(direct.commit({"a": 3}, younger))
            assert not waiting.done()
            await direct.commit({"a": 2}, older)
            await is_aborted(waiting)
        else:
            going = await started(direct.commit({"a": 2}, older))
            assert not going.done()
            await is_aborted(asyncio.ensure_future(direct.commit({"a": 3}, younger)))
            await going
        again = await direct.begin(read_write={"retry_transaction": younger})
        assert numbers(await direct.get(["a"], transaction=again)) == {"a": 2}
        await direct.commit({"a": 4}, again)


async def test_a_waiting_commit_goes_through_when_the_other_ends_without_writing() -> None:
    """A reader that rolls back, or commits nothing, makes way."""
    direct = Direct()
    reader, writer = await direct.begin(), await direct.begin()
    await direct.get(["a"], transaction=reader)
    await direct.get(["a"], transaction=writer)
    waiting = await started(direct.commit({"a": 1}, writer))
    assert not waiting.done()
    direct.operations.rollback(_firestore.RollbackRequest(database=DATABASE, transaction=reader), ADMIN)
    await waiting


async def test_a_new_reader_waits_behind_a_waiting_writer() -> None:
    """So a stream of readers cannot keep a writer out for ever; it then reads what was written."""
    direct = Direct()
    await direct.commit({"a": 1})
    first, second = await direct.begin(), await direct.begin()
    await direct.get(["a"], transaction=first)
    write = await started(direct.commit({"a": 2}))
    read = await started(direct.get(["a"], transaction=second))
    assert not write.done()
    assert not read.done()
    assert numbers(await direct.get(["a"], transaction=first)) == {"a": 1}, "who holds the lock reads on"
    await direct.commit({}, first)
    await write
    assert numbers(await read) == {"a": 2}


async def test_crossed_reads_and_writes_abort_the_younger_one() -> None:
    """Each writes what the other has read: one goes through, the other is told to try again."""
    direct = Direct()
    older, younger = await direct.begin(), await direct.begin()
    await direct.get(["a"], transaction=older)
    await direct.get(["b"], transaction=younger)
    waiting = await started(direct.commit({"a": 1}, younger))
    await direct.commit({"b": 1}, older)
    await is_aborted(waiting)


async def test_a_turn_behind_a_writer_is_given_up_rather_than_a_transaction() -> None:
    """A reader that waits only for its turn is let through where the turn could never come."""
    direct = Direct()
    first, second = await direct.begin(), await direct.begin()
    await direct.get(["a"], transaction=first)
    write = await started(direct.commit({"a": 1, "b": 1}))
    await direct.get(["c"], transaction=second)
    read = await started(direct.get(["b"], transaction=second))
    assert not read.done(), "behind the writer"
    commit = await started(direct.commit({"c": 1}, first))
    assert numbers(await read) == {"b": None}
    await direct.commit({}, second)
    await commit
    await write


async def test_an_optimistic_transaction_locks_nothing_and_is_refused_when_what_it_read_changed() -> None:
    """It reads the moment of its first read; by name or by query, a change of what it read refuses its commit."""
    for by_query in (False, True):
        direct = Direct()
        await direct.commit({"a": 50, "b": 1})
        transaction = await direct.begin(**OPTIMISTIC)
        if by_query:
            assert await direct.query(10, transaction=transaction) == {"a": 50}
        else:
            assert numbers(await direct.get(["a"], transaction=transaction)) == {"a": 50}
        await direct.commit({"a": 51, "b": 2})
        assert numbers(await direct.get(["b"], transaction=transaction)) == {"b": 1}, "as of its first read"
        await is_aborted(asyncio.ensure_future(direct.commit({"c": 1}, transaction)))


async def test_an_optimistic_transaction_goes_through_when_nothing_it_read_changed() -> None:
    """Other documents may change; one that writes nothing is not even checked."""
    direct = Direct()
    await direct.commit({"a": 50})
    writer, reader = await direct.begin(**OPTIMISTIC), await direct.begin(**OPTIMISTIC)
    await direct.query(10, transaction=writer)
    await direct.get(["b"], transaction=reader)
    await direct.commit({"b": 1})
    await direct.commit({"a": 51}, writer)
    await direct.commit({}, reader)


async def test_what_is_told_of_a_transaction_that_is_over() -> None:
    """A token that never was is invalid; one that ended asks to try again; giving up twice is no fault."""
    direct = Direct()
    nobody = b"nobody's"
    with pytest.raises(StatusError, match=r"^Invalid transaction\.$") as invalid:
        await direct.get(["a"], transaction=nobody)
    assert invalid.value.code is Code.INVALID_ARGUMENT
    rolled_back, committed, expired = await direct.begin(), await direct.begin(), await direct.begin()
    await direct.commit({"a": 1}, committed)
    for _ in range(2):
        direct.operations.rollback(_firestore.RollbackRequest(database=DATABASE, transaction=rolled_back), ADMIN)
    with pytest.raises(StatusError) as refused:
        direct.operations.rollback(_firestore.RollbackRequest(database=DATABASE, transaction=committed), ADMIN)
    assert refused.value.code is Code.ABORTED
    direct.clock.advance(61)
    direct.operations.rollback(_firestore.RollbackRequest(database=DATABASE, transaction=expired), ADMIN)
    for over in (rolled_back, committed, expired):
        with pytest.raises(StatusError, match="has expired or is no longer valid") as aborted:
            await direct.get(["a"], transaction=over)
        assert aborted.value.code is Code.ABORTED
        await direct.begin(read_write={"retry_transaction": over})
    direct.clock.advance(240)
    with pytest.raises(StatusError, match="Invalid transaction"):
        await direct.get(["a"], transaction=committed)


async def test_only_transactions_that_write_are_tried_again() -> None:
    """The official words for a read-only one, and for a token that nobody has."""
    direct = Direct()
    reader = await direct.begin(read_only={})
    for token, says in ((reader, "Cannot retry a read-only transaction"), (b"x", "Invalid transaction.")):
        with pytest.raises(StatusError, match=says):
            await direct.begin(read_write={"retry_transaction": token})


async def test_a_transaction_that_a_read_begins_reads_only_unless_it_says_otherwise() -> None:
    """`new_transaction: {}` may not write; with `read_write` it may."""
    direct = Direct()
    tokens = []
    choices: tuple[Any, ...] = ({}, {"read_write": {}})
    for options in choices:
        request = _firestore.BatchGetDocumentsRequest(
            database=DATABASE, documents=[f"{ROOT}/c/a"], new_transaction=options
        )
        replies: Any = direct.operations.reads.batch_get(request, ADMIN)
        tokens.append(next(_firestore.BatchGetDocumentsResponse.FromString(reply).transaction for reply in replies))
    with pytest.raises(StatusError, match="Cannot modify entities in a read-only transaction"):
        await direct.commit({"a": 1}, tokens[0])
    await direct.commit({"a": 1}, tokens[1])
