"""Transactions and lost answers: what was decided holds for what was read, and nothing happens twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from afterimage_client import FirebaseApp, FirestoreError
from afterimage_client.firestore import DocumentReference, Increment, Transaction
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.conftest import Apps

Own = Callable[[str], str]


async def number_in(reference: DocumentReference) -> object:
    return (await reference.get()).get("n")


async def test_many_at_once_count_each_of_them(app: FirebaseApp, own: Own) -> None:
    """Ten transactions on one document: each sees what it changed, so none is lost."""
    counter = app.firestore.document(own("notes/counter"))

    async def add_one(transaction: Transaction) -> int:
        before = await transaction.get(counter)
        transaction.set(counter, {"n": int(before.get("n", 0)) + 1})
        return int(before.get("n", 0))

    seen = await asyncio.gather(*(app.firestore.run_transaction(add_one, attempts=50) for _ in range(10)))
    assert sorted(seen) == list(range(10))
    assert await number_in(counter) == 10


async def test_what_was_only_read_is_checked_as_well(app: FirebaseApp, own: Own) -> None:
    """A document that changed after it was read makes the transaction run again, though it is not written."""
    limit, note = app.firestore.document(own("notes/limit")), app.firestore.document(own("notes/n"))
    await limit.set({"n": 1})
    runs = 0

    async def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        allowed = (await transaction.get(limit)).get("n")
        if runs == 1:
            await limit.set({"n": 2})
        transaction.set(note, {"n": allowed})

    await app.firestore.run_transaction(work)
    assert (runs, await number_in(note)) == (2, 2)


async def test_contention_that_does_not_end_is_an_error(app: FirebaseApp, own: Own) -> None:
    """After the attempts that were asked for, with the server's reason."""
    note = app.firestore.document(own("notes/n"))
    runs = 0

    async def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        await transaction.get(note)
        await note.set({"n": runs})
        transaction.update(note, {"n": 0})

    await note.set({"n": 0})
    with pytest.raises(FirestoreError, match="failed-precondition"):
        await app.firestore.run_transaction(work, attempts=3)
    assert (runs, await number_in(note)) == (3, 3)


async def test_a_function_that_fails_writes_nothing(app: FirebaseApp, own: Own) -> None:
    """Its own error comes out as it is."""
    note = app.firestore.document(own("notes/n"))

    async def work(transaction: Transaction) -> None:
        transaction.set(note, {"n": 1})
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await app.firestore.run_transaction(work)
    assert not (await note.get()).exists


async def test_reads_come_before_writes_and_updates_need_a_document(app: FirebaseApp, own: Own) -> None:
    """Both mistakes are named where they are made."""
    note = app.firestore.document(own("notes/n"))

    async def late(transaction: Transaction) -> None:
        transaction.delete(note)
        await transaction.get(note)

    async def missing(transaction: Transaction) -> None:
        await transaction.get(note)
        transaction.update(note, {"n": 1})

    with pytest.raises(FirestoreError, match="reads before it writes"):
        await app.firestore.run_transaction(late)
    with pytest.raises(FirestoreError, match="cannot be updated"):
        await app.firestore.run_transaction(missing)


async def test_a_denied_transaction_is_not_tried_again(app: FirebaseApp, own: Own) -> None:
    """The rules will not change their mind."""
    runs = 0

    async def work(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        transaction.set(app.firestore.document("players/other/notes/n"), {"n": 1})

    with pytest.raises(FirestoreError, match="permission-denied"):
        await app.firestore.run_transaction(work)
    assert runs == 1


@pytest.fixture
def lose_answers(apps: Apps) -> Callable[[int], None]:
    """The next commits are applied, and their answers lost."""

    def lose(times: int) -> None:
        apps.suite.add_fault(
            FaultRule(action="apply_then_fail", match={"method": "Commit"}, times=times, code=Code.UNAVAILABLE)
        )

    return lose


@pytest.fixture(autouse=True)
def _no_faults_stay(apps: Apps) -> object:
    yield
    apps.suite.clear_faults()


async def test_a_lost_answer_of_a_plain_write_is_asked_for_again(
    app: FirebaseApp, own: Own, lose_answers: Callable[[int], None]
) -> None:
    """Setting it twice is setting it once."""
    note = app.firestore.document(own("notes/n"))
    lose_answers(2)
    await note.set({"n": 7})
    assert await number_in(note) == 7


async def test_a_lost_answer_of_a_sum_is_told_and_not_repeated(
    app: FirebaseApp, own: Own, lose_answers: Callable[[int], None]
) -> None:
    """Adding twice is wrong; the error says that nobody knows."""
    note = app.firestore.document(own("notes/n"))
    await note.set({"n": 0})
    lose_answers(1)
    with pytest.raises(FirestoreError) as caught:
        await note.update({"n": Increment(1)})
    assert caught.value.is_outcome_unknown
    assert await number_in(note) == 1


async def test_a_sum_that_was_surely_not_applied_is_repeated(app: FirebaseApp, own: Own, apps: Apps) -> None:
    """Contention and quotas refuse before anything is done."""
    note = app.firestore.document(own("notes/n"))
    await note.set({"n": 0})
    apps.suite.add_fault(FaultRule(action="fail", match={"method": "Commit"}, times=2, code=Code.ABORTED))
    await note.update({"n": Increment(1)})
    assert await number_in(note) == 1


async def test_a_refused_token_is_renewed_once_and_the_write_repeated(app: FirebaseApp, own: Own, apps: Apps) -> None:
    """Refused tokens do nothing, so that even a sum is safe; a second refusal is an error."""
    note = app.firestore.document(own("notes/n"))
    await note.set({"n": 0})
    apps.suite.advance_clock(10)
    before = await app.auth.id_token()
    apps.suite.add_fault(FaultRule(action="fail", match={"method": "Commit"}, times=1, code=Code.UNAUTHENTICATED))
    await note.update({"n": Increment(1)})
    assert await number_in(note) == 1
    assert await app.auth.id_token() != before
    apps.suite.add_fault(FaultRule(action="fail", match={"method": "Commit"}, times=2, code=Code.UNAUTHENTICATED))
    with pytest.raises(FirestoreError, match="unauthenticated"):
        await note.update({"n": Increment(1)})


async def test_a_transaction_whose_answer_is_lost_never_acts_twice(
    app: FirebaseApp, own: Own, lose_answers: Callable[[int], None]
) -> None:
    """It is sent again under its conditions; where they fail then, the error says that it may have been applied."""
    counter = app.firestore.document(own("notes/counter"))
    await counter.set({"n": 5})

    async def add_one(transaction: Transaction) -> None:
        before = await transaction.get(counter)
        transaction.update(counter, {"n": before.get("n") + 1})

    lose_answers(1)
    with pytest.raises(FirestoreError) as caught:
        await app.firestore.run_transaction(add_one)
    assert caught.value.is_outcome_unknown
    assert await number_in(counter) == 6


async def test_a_transaction_that_never_arrived_is_sent_again(app: FirebaseApp, own: Own, apps: Apps) -> None:
    """The function does not even run again: its conditions show that nothing had been applied."""
    counter = app.firestore.document(own("notes/counter"))
    await counter.set({"n": 5})
    runs = 0

    async def add_one(transaction: Transaction) -> None:
        nonlocal runs
        runs += 1
        before = await transaction.get(counter)
        transaction.update(counter, {"n": before.get("n") + 1})

    apps.suite.add_fault(FaultRule(action="fail", match={"method": "Commit"}, times=1, code=Code.UNAVAILABLE))
    await app.firestore.run_transaction(add_one)
    assert (runs, await number_in(counter)) == (1, 6)


async def test_a_batch_may_ask_never_to_be_repeated(
    app: FirebaseApp, own: Own, lose_answers: Callable[[int], None]
) -> None:
    """For programs that decide themselves what a lost answer means."""
    lose_answers(1)
    batch = app.firestore.batch().set(app.firestore.document(own("notes/n")), {"n": 1})
    with pytest.raises(FirestoreError) as caught:
        await batch.commit(repeat_if_lost=False)
    assert caught.value.is_outcome_unknown
