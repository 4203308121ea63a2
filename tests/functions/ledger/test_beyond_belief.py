"""What one user claims: exact in that user's own books however much it is, and never the operators' figures."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from afterimage.faults import TransientError
from afterimage.jobs.erase import Erase
from afterimage.jobs.progress import Turn
from afterimage.ledger import books
from afterimage.ledger.audit import Auditor
from afterimage.ledger.closing import LIVE_DAYS, Closing
from afterimage.ledger.contribution import (
    MOST_HITS,
    MOST_LATENCY_MS,
    CostSource,
    Facts,
    OutputStatus,
)
from afterimage.ledger.observing import observe_object
from afterimage.ledger.prices.money import MOST_COST_NANO_USD, MOST_SAVED_NANO_USD, NANO
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.tombstones import ERASED_AT, EXPIRES_AT, KEPT_FOR
from afterimage.media.pipeline import Pipeline
from afterimage.paths import OPERATIONS_TOTALS, books_path, operations_day
from afterimage.publications.publications import Publications
from afterimage.settings import read_settings
from afterimage.store.documents import ConflictError
from afterimage.store.memory_documents import EPOCH
from tests.functions.ledger.simulation import PRICES, KilledError, World
from tests.functions.media_world import World as MediaWorld

DAY = "2026-11-01"
LARGEST = {"model": "m", "cost_usd": 1000, "cached": True, "cache_hit_count": 1_000_000, "latency_ms": 86_400_000}
HONEST = {"model": "m", "cost_usd": 0.25, "cached": True, "cache_hit_count": 2, "latency_ms": 480}
CLAIMS = 500
CLAIMS_THAT_FILLED_AN_INTEGER = 9_310
"""As many as it took to fill one integer of 64 bits, when hits could save a million dollars each time."""


def claimed(world: World, user: str, count: int, fields: dict[str, Any]) -> None:
    for number in range(count):
        world.deliver(world.write(f"ai_outputs/{user}/dialogues/d_{number}", fields, is_first=True))


def operators(world: World, path: str) -> dict[str, int]:
    return {name: n for name, n in world.store.fields(path).get("totals", {}).items() if n}


def test_a_thousand_million_of_the_largest_claims_fit() -> None:
    """Every sum that an output moves, money above all, stays inside of Firestore's integers."""
    for nano in (MOST_COST_NANO_USD, MOST_COST_NANO_USD - 1, NANO - 1):
        facts = Facts(
            status=OutputStatus.BOOKED,
            cost_nano_usd=nano,
            cost_source=CostSource.REPORTED,
            is_cached=True,
            latency_ms=MOST_LATENCY_MS,
        )
        for hits in (MOST_HITS, 7, 0):
            for name, value in books.figures(facts, hits).items():
                assert value * 10**9 < 2**63, name


def test_money_in_two_integers_is_the_same_money() -> None:
    """What a reader puts together is the cost to the nano-dollar, and what hits save ends where it must."""
    facts = Facts(status=OutputStatus.BOOKED, cost_nano_usd=1_999_999_999, cost_source=CostSource.REPORTED)
    amounts = books.spread("m", DAY, books.figures(facts, 3))
    for scope in ((books.TOTALS,), (books.MODELS, "m"), (books.DAYS, DAY)):
        assert books.nano_usd_in(amounts, scope, "cost") == 1_999_999_999
        assert books.nano_usd_in(amounts, scope, "saved") == 5_999_999_997
    dearest = Facts(status=OutputStatus.BOOKED, cost_nano_usd=MOST_COST_NANO_USD, cost_source=CostSource.REPORTED)
    assert books.saved_nano_usd(dearest, 10) == MOST_SAVED_NANO_USD == books.saved_nano_usd(dearest, MOST_HITS)


@pytest.mark.parametrize("claims", [CLAIMS, pytest.param(CLAIMS_THAT_FILLED_AN_INTEGER, marks=pytest.mark.soak)])
def test_absurd_claims_are_exact_in_ones_own_books_and_nothing_to_the_operators(claims: int) -> None:
    """Legal documents that claim the most, by the hundred: their audit is clean, and others' sums stand as they are."""
    world = World(1)
    roll_up = RollUp(store=world.store)
    claimed(world, "ana", 3, HONEST)
    roll_up.publish(since=EPOCH)
    before = {path: operators(world, path) for path in (OPERATIONS_TOTALS, operations_day(DAY))}
    for number in range(claims):
        world.write(f"ai_outputs/mal/dialogues/d_{number}", LARGEST, is_first=True)
    assert len(Auditor(keeper=world.keeper, prices=PRICES).audit("mal").missed) == claims
    roll_up.publish(since=EPOCH)
    held = world.store.fields(books_path("mal"))
    assert held["total_cost_usd"] == 1000 * claims
    assert held["totals"]["saved_whole_usd"] == 10_000 * claims
    assert held["totals"]["cache_hits"] == 1_000_000 * claims
    for _ in range(2):
        world.store.bill.taken()
        assert Auditor(keeper=world.keeper, prices=PRICES).audit("mal").is_clean
        assert world.store.bill.taken()[1:] == (0, 0)
    after = {path: operators(world, path) for path in before}
    assert after[OPERATIONS_TOTALS].pop("users_set_aside") == 1
    assert after == before
    world.store.bill.taken()
    roll_up.publish(since=EPOCH)
    assert world.store.bill.taken()[1:] == (0, 0)


def test_erasing_a_user_mends_the_operators_view() -> None:
    """Its sums are of those who are there, whatever the erased had claimed or stored; what they spent stands apart.

    The job is killed between any two writes, runs again, runs twice, and the roll-up runs whenever it likes.
    """
    world = World(1)
    roll_up = RollUp(store=world.store, wait=lambda _seconds: None)
    claimed(world, "ana", 3, HONEST)
    roll_up.publish(since=EPOCH)
    before = operators_view(world)
    claimed(world, "bob", 5, HONEST)
    claimed(world, "liar", 2, LARGEST)
    claimed(world, "mal", 101, LARGEST)
    stored = observe_object(
        "b", "users/bob/ai_generated/images/a_portrait.webp", generation=world.store.moment() // 1000, size=700,
        happened=world.store.at, is_deleted=False,
    )  # fmt: skip
    assert stored is not None
    world.keeper.book(stored)
    roll_up.publish(since=EPOCH)
    assert world.store.fields(OPERATIONS_TOTALS)["storage"]["bytes"] == {"images": 700}
    media = MediaWorld()
    settings = read_settings({"GCLOUD_PROJECT": "p"})
    pipeline = Pipeline(stores=media.stores(), settings=settings, workers=1)
    erase = Erase(
        pipeline=pipeline, documents=world.store, publications=Publications(documents=world.store, has_cdn=False)
    )
    assert world.store.fields(OPERATIONS_TOTALS)["totals"]["users_set_aside"] == 1
    world.store.put(books_path("bob"), {ERASED_AT: world.store.at, EXPIRES_AT: world.store.at + KEPT_FOR})
    assert not roll_up.publish_user("bob"), "one who had read the books before, when they are buried"
    world.faults.share = world.faults.kills = 0.1
    for uid in ("bob", "liar", "mal", "bob"):
        cursor: str | None = ""
        while cursor is not None:
            try:
                cursor = erase.turn(Turn(request={"uid": uid}, cursor=cursor, counts={})).next_cursor
                roll_up.publish(since=EPOCH)
            except (TransientError, ConflictError, KilledError):
                continue
    world.faults.share = world.faults.kills = 0.0
    roll_up.publish(since=EPOCH)
    assert operators_view(world) == before
    spent = world.store.fields(OPERATIONS_TOTALS)["erased"]
    assert (spent["generations"], spent["reported_whole_usd"], spent["reported_nano_usd"]) == (7, 2000, 1_250_000_000)
    assert world.store.fields(operations_day(DAY))["erased"]["generations"] == 7


def operators_view(world: World) -> dict[str, Any]:
    """The sums of each of its documents, without what is nought."""
    return {
        path: books.amounts_in(fields, (books.TOTALS, books.STORAGE))
        for path, (fields, _, _) in world.store.documents.items()
        if path.startswith("operations/")
    }


def test_books_that_were_filled_to_the_end_come_right_at_one_audit() -> None:
    """From when money stood in one integer: the first audit repairs, the second writes nothing."""
    world = World(2)
    claimed(world, "ana", 3, HONEST)
    totals = world.store.fields(books_path("ana"))["totals"]
    totals["saved_nano_usd"] = 2**63 - 1
    del totals["cost_nano_usd"]
    first = Auditor(keeper=world.keeper, prices=PRICES).audit("ana")
    assert first.repaired
    world.store.bill.taken()
    assert Auditor(keeper=world.keeper, prices=PRICES).audit("ana").is_clean
    assert world.store.bill.taken()[1:] == (0, 0)
    assert world.mismatches() == []


@pytest.mark.parametrize("is_set_aside_first", [True, False])
def test_days_close_and_the_operators_view_still_leaves_the_user_out(is_set_aside_first: bool) -> None:
    """Whether the days leave the live books before or after the user was set aside, others' days stand as they are."""
    world = World(3)
    roll_up = RollUp(store=world.store)
    claimed(world, "ana", 3, HONEST)
    claimed(world, "mal", 5, HONEST)
    roll_up.publish(since=EPOCH)
    claimed(world, "mal", 1_001, LARGEST)
    world.roll_up()
    if is_set_aside_first:
        roll_up.publish_user("mal")
    closing = Closing(store=world.store)
    later = EPOCH + timedelta(days=LIVE_DAYS + 1)
    assert closing.close_days("mal", later) == 1
    roll_up.publish_user("mal")
    assert operators(world, operations_day(DAY))["generations"] == 3
    assert operators(world, OPERATIONS_TOTALS)["generations"] == 3
    assert operators(world, OPERATIONS_TOTALS)["users_set_aside"] == 1
    assert closing.close_days("ana", later) == 1
    roll_up.publish_user("ana")
    assert operators(world, operations_day(DAY))["generations"] == 3
    assert Auditor(keeper=world.keeper, prices=PRICES).audit("mal").is_clean


def test_who_becomes_believable_again_is_counted_again() -> None:
    """An output that was corrected takes its claim back: the view holds the user's figures as of anybody's."""
    world = World(4)
    roll_up = RollUp(store=world.store)
    claimed(world, "mal", 101, LARGEST)
    world.roll_up()
    roll_up.publish_user("mal")
    assert operators(world, OPERATIONS_TOTALS) == {"users_set_aside": 1}
    for number in range(101):
        world.deliver(world.write(f"ai_outputs/mal/dialogues/d_{number}", HONEST | {"cost_usd": 0}))
    world.roll_up()
    roll_up.publish_user("mal")
    found = operators(world, OPERATIONS_TOTALS)
    assert (found["generations"], found.get("users_set_aside")) == (101, None)


def test_files_are_measured_and_count_whatever_else_a_user_claims() -> None:
    """Bytes are no claim: of a user who is set aside the view keeps them."""
    amounts = {(books.TOTALS, "cache_hits"): books.MOST_BELIEVED_HITS + 1, (books.STORAGE, "bytes", "images"): 7}
    assert books.for_operators(amounts) == {
        (books.STORAGE, "bytes", "images"): 7,
        (books.TOTALS, "users_set_aside"): 1,
    }
    waited: dict[tuple[str, ...], int] = {(books.TOTALS, "latency_ms"): books.MOST_BELIEVED_LATENCY_MS + 1}
    assert books.beyond_belief(waited)
    assert books.for_operators({(books.TOTALS, "latency_ms"): 5}) == {(books.TOTALS, "latency_ms"): 5}
