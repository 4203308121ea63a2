"""The books against the oracle: integer equality, whatever the events and the database do."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage.delivery.gathering import Gathering
from afterimage.faults import TransientError
from afterimage.ledger import bookkeeper, records
from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Awaiting, BookingOutcome
from afterimage.ledger.hits import Hits, Run
from afterimage.paths import books_path
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.ledger.simulation import PRICES, USERS, World, first_failure
from tests.thoroughness import examples

SEEDS = st.integers(min_value=0, max_value=2**32)
PATH = "ai_outputs/ana/dialogues/c_1"


def output(**changes: Any) -> dict[str, Any]:
    base = {"model": "house-model", "cost_usd": 0.25, "cached": True, "cache_hit_count": 0, "latency_ms": 480}
    return base | changes


@settings(max_examples=examples(150), deadline=None)
@given(seed=SEEDS, is_hot=st.booleans(), faults=st.sampled_from([0.0, 0.05, 0.3]))
def test_books_are_exact_under_duplicates_disorder_and_lost_answers(seed: int, is_hot: bool, faults: float) -> None:
    """Any history, any order, any number of deliveries, any failing call: the books are right to the nano-dollar."""
    world = World(seed, fault_share=faults, is_hot=is_hot)
    world.run()
    assert world.mismatches() == []
    world.roll_up()
    assert world.mismatches() == []


@settings(max_examples=examples(100), deadline=None)
@given(seed=SEEDS, is_hot=st.booleans())
def test_lost_events_are_healed_by_the_audit(seed: int, is_hot: bool) -> None:
    """With half of all events lost, one audit makes the books right, and a second one finds and writes nothing."""
    world = World(seed, is_hot=is_hot)
    world.run(drop=0.5)
    world.audit()
    assert world.mismatches(heard_of_all=False) == []
    world.store.bill.taken()
    assert all(world.audit())
    assert world.store.bill.taken()[1:] == (0, 0)


@settings(max_examples=examples(60), deadline=None)
@given(seed=SEEDS)
def test_events_that_come_after_the_repair_change_nothing(seed: int) -> None:
    """What was lost and then repaired may still be delivered: the books stay as they are."""
    world = World(seed)
    world.run(drop=0.6)
    world.audit()
    for event in world.events:
        world.deliver(event)
    assert world.mismatches() == []
    assert all(world.audit())


HISTORY = ("create", "hit", "reprice", "delete", "create again", "hit again")


def history(world: World) -> None:
    world.write(PATH, output(), is_first=True)
    world.write(PATH, output(cache_hit_count=1))
    world.write(PATH, output(cache_hit_count=1, model="another one", cost_usd=0.5))
    world.delete(PATH)
    world.write(PATH, output(cost_usd=2), is_first=True)
    world.write(PATH, output(cost_usd=2, cache_hit_count=1))


def test_every_order_of_six_events_ends_in_the_same_books() -> None:
    """All 720 orders of created, read, edited, deleted, created again, read again."""
    first = World(0)
    history(first)
    ends = set()
    for order in itertools.permutations(range(len(HISTORY))):
        world = World(0)
        history(world)
        for index in order:
            world.deliver(world.events[index])
        assert world.mismatches() == [], order
        ends.add(str(sorted(world.books("ana").items())))
    assert len(ends) == 1


@settings(max_examples=examples(150), deadline=None)
@given(seed=SEEDS, at=st.sampled_from(["read", "commit"]))
def test_deliveries_that_cross_each_other_book_once(seed: int, at: str) -> None:
    """While one delivery is between reading and committing, another one runs from beginning to end."""
    world = World(seed)
    crossing = {"depth": 0}

    def cross(call: str) -> None:
        if call == at and world.events and crossing["depth"] < 3 and world.dice.random() < 0.4:
            crossing["depth"] += 1
            world.deliver(world.dice.choice(world.events))
            crossing["depth"] -= 1

    world.store.before = cross
    world.run()
    assert world.mismatches() == []


def test_eighty_deliveries_of_one_document_book_it_once() -> None:
    """Eighty at once, each reading before any commits."""
    world = World(1)
    event = world.write(PATH, output(), is_first=True)
    depth = {"now": 0}

    def pile_up(call: str) -> None:
        if call == "commit" and depth["now"] < 80:
            depth["now"] += 1
            world.deliver(event)

    world.store.before = pile_up
    world.deliver(event)
    assert world.books("ana")["totals/generations"] == 1
    assert world.mismatches() == []


@settings(max_examples=examples(100), deadline=None)
@given(seed=SEEDS)
def test_an_audit_that_races_live_events_repairs_right(seed: int) -> None:
    """Events are delivered at every call that the audit makes of the database."""
    world = World(seed)
    world.run(drop=0.5)
    if seed % 2 and books_path("ana") in world.store.documents:
        world.store.fields(books_path("ana")).setdefault("totals", {})["generations"] = 17
    racing = {"on": True}

    def race(call: str) -> None:
        if racing["on"] and call in {"frozen", "commit"} and world.dice.random() < 0.5:
            racing["on"] = False
            world.deliver(world.client_writes())
            racing["on"] = True

    world.store.before = race
    world.audit()
    world.store.before = lambda _call: None
    assert world.mismatches(heard_of_all=False) == []


def two_audits(at: int) -> list[str]:
    """A second audit runs whole ahead of one of the first one's calls; says what is wrong afterwards."""
    world = World(5)
    world.deliver(world.write(PATH, output(), is_first=True))
    world.store.fields(books_path("ana"))["totals"]["cost_nano_usd"] = 1
    calls = {"left": at}

    def audit_inside(_call: str) -> None:
        calls["left"] -= 1
        if calls["left"] == -1:
            Auditor(keeper=world.keeper, prices=PRICES).audit("ana")

    world.store.before = audit_inside
    world.audit()
    world.store.before = lambda _call: None
    return world.mismatches()


def test_two_audits_at_once_repair_once() -> None:
    """Whenever the second one comes, the drift is added once."""
    assert [at for at in range(25) if two_audits(at)] == []


def test_without_its_marker_a_repair_is_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marker's precondition is needed: with it off, two audits add the same drift."""
    commit = MemoryDocuments.commit

    def without_marker(store: MemoryDocuments, writes: Any) -> None:
        commit(store, [write for write in writes if not write.path.startswith("usage/ana/repairs/")])

    monkeypatch.setattr(MemoryDocuments, "commit", without_marker)
    assert [at for at in range(25) if two_audits(at)]


def test_a_report_names_what_was_wrong() -> None:
    """Without repair an audit only tells: which outputs were missed, and by how much the books are off."""
    world = World(5)
    world.deliver(world.write(PATH, output(), is_first=True))
    world.write("ai_outputs/ana/dialogues/lost", output(), is_first=True)
    world.store.fields(books_path("ana"))["totals"]["cost_nano_usd"] = 1
    report = Auditor(keeper=world.keeper, prices=PRICES).audit("ana", repair=False)
    assert report.missed == ["usage/ana/records/dialogues~lost"]
    assert report.drift == {("totals", "cost_nano_usd"): 249_999_999}
    assert world.store.fields(books_path("ana"))["totals"]["cost_nano_usd"] == 1


def test_hits_never_fall() -> None:
    """A client that saves the output anew sets its counter to nought; what was booked stays, later hits add."""
    world = World(2)
    for fields in (output(), output(cache_hit_count=3), output(cache_hit_count=0), output(cache_hit_count=2)):
        world.deliver(world.write(PATH, fields))
    assert world.books("ana")["totals/cache_hits"] == 5
    assert world.books("ana")["totals/saved_whole_usd"] == 1
    assert world.books("ana")["totals/saved_nano_usd"] == 250_000_000


def test_shown_figures_are_the_seeds_and_follow_the_totals() -> None:
    """One get answers `total_generations`, `total_cost_usd`, `cache_rate` and `avg_cost_per_generation`."""
    world = World(3)
    for number, cached in enumerate([True, False, False, True]):
        fields = output(cost_usd=0.1 * number, cached=cached)
        world.deliver(world.write(f"ai_outputs/ana/dialogues/d_{number}", fields, is_first=True))
    world.roll_up()
    found = world.store.fields(books_path("ana"))
    assert found["total_generations"] == 4
    assert found["total_cost_usd"] == 0.6
    assert found["cache_rate"] == 0.5
    assert found["avg_cost_per_generation"] == 0.15


def test_an_edit_that_moves_whole_dollars_alone_moves_what_is_shown() -> None:
    """A dollar more is shown with the very commit that books it, as a cent more is."""
    world = World(4)
    world.deliver(world.write(PATH, output(cost_usd=1), is_first=True))
    world.deliver(world.write(PATH, output(cost_usd=2)))
    assert world.store.fields(books_path("ana"))["total_cost_usd"] == 2


@settings(max_examples=examples(60), deadline=None)
@given(seed=SEEDS, is_hot=st.booleans())
def test_shown_figures_are_never_behind_the_totals_beside_them(seed: int, is_hot: bool) -> None:
    """In every state of the books' document, what is shown is what its totals say."""
    world = World(seed, is_hot=is_hot, fault_share=0.1)
    world.run()
    for user in USERS:
        found = world.store.documents.get(books_path(user), ({},))[0]
        if "total_generations" in found:
            totals = found["totals"]
            assert found["total_generations"] == totals.get("generations", 0)
            assert (
                found["total_cost_usd"]
                == (totals.get("cost_whole_usd", 0) * 10**9 + totals.get("cost_nano_usd", 0)) / 1e9
            )


OPERATIONS = {
    "new": (1, 2, 0),
    "duplicate of new": (2, 0, 0),
    "hit": (1, 2, 0),
    "duplicate": (1, 0, 0),
    "text edited": (1, 1, 0),
    "cost edited": (2, 2, 0),
    "deleted": (1, 1, 0),
}


def test_operations_of_every_class_of_event() -> None:
    """One read and two writes for what is booked, no write for a duplicate; moving money reads the books too."""
    world = World(4)
    world.deliver(world.write("ai_outputs/ana/dialogues/before", output(), is_first=True))
    world.store.bill.taken()
    counted = {}

    def deliver(name: str, event: Any) -> None:
        world.deliver(event)
        counted[name] = world.store.bill.taken()

    new = world.write(PATH, output(), is_first=True)
    deliver("new", new)
    deliver("duplicate of new", new)
    hit = world.write(PATH, output(cache_hit_count=1))
    deliver("hit", hit)
    deliver("duplicate", hit)
    deliver("text edited", world.write(PATH, output(cache_hit_count=1, text="other")))
    deliver("cost edited", world.write(PATH, output(cache_hit_count=1, cost_usd=7)))
    deliver("deleted", world.delete(PATH))
    assert counted == OPERATIONS


def test_a_hot_user_is_spread_over_buckets_and_comes_together_again() -> None:
    """Two hundred outputs in one second: the books' own document is written once, and after the roll-up holds all."""
    world = World(6, is_hot=True)
    for number in range(200):
        world.deliver(world.write(f"ai_outputs/ana/dialogues/h_{number}", output(), is_first=True))
    assert world.store.fields(books_path("ana"))["totals"]["generations"] == 1
    assert world.mismatches() == []
    world.roll_up()
    assert world.store.fields(books_path("ana"))["total_generations"] == 200
    assert [path for path in world.store.documents if "/buckets/" in path] == []


def test_only_a_sustained_rate_makes_a_user_hot() -> None:
    """Five writes at once go to the books themselves, then one a second; who is hot stays so until there is a pause."""
    users = bookkeeper.HotUsers()

    def heat(*moments: float) -> list[bool]:
        return [users.is_hot("ana", moment) for moment in moments]

    assert heat(0, 0, 0, 0, 0, 0) == [False] * 5 + [True]
    assert heat(0.9, 1.0, 9.0, 18.0) == [True] * 4
    assert heat(28.0) == [False]
    assert not users.is_hot("борис", 0.0)
    assert heat(*(30.0 + 1.5 * number for number in range(100))) == [False] * 100


def test_what_an_instance_hears_of_a_hot_user_together_is_one_write_of_the_books() -> None:
    """Sixteen new outputs: one read, seventeen writes; their hits: seventeen of each; repeated, they write nothing."""
    world = World(9, is_hot=True)
    world.deliver(world.write(PATH, output(), is_first=True))
    paths = [f"ai_outputs/ana/dialogues/t_{number}" for number in range(16)]
    new = [world.write(path, output(), is_first=True) for path in paths]
    world.store.bill.taken()
    world.deliver_together(new)
    assert world.store.bill.taken() == (1, 17, 0)
    hits = [world.write(path, output(cache_hit_count=1)) for path in paths]
    world.deliver_together(hits)
    assert world.store.bill.taken() == (17, 17, 0)
    world.deliver_together(hits)
    assert world.store.bill.taken() == (17, 0, 0)
    world.deliver_together(new)
    assert world.store.bill.taken()[1:] == (0, 0)
    assert world.mismatches() == []


def test_whoever_has_one_after_the_other_waits_for_no_company() -> None:
    """A replay of a hot user's letters: with an hour between groups, each is booked at once, into a bucket."""
    world = World(19, is_hot=True)
    world.keeper.gathering = Gathering(apart_seconds=3600.0)
    for number in range(20):
        event = world.write(f"ai_outputs/ana/dialogues/a_{number}", output(), is_first=True)
        assert world.keeper.book(event.seen(), is_first=True) is BookingOutcome.BOOKED
    assert world.books("ana")["totals/generations"] == 20
    assert world.store.fields(books_path("ana"))["totals"]["generations"] == 1


def test_a_record_that_cannot_be_read_holds_up_its_own_event_alone() -> None:
    """The others of its group are booked; its own event is recorded, as it is by itself."""
    world = World(10, is_hot=True)
    paths = [f"ai_outputs/ana/dialogues/p_{number}" for number in range(4)]
    for path in paths:
        world.deliver(world.write(path, output(), is_first=True))
    broken = world.write(paths[0], output(cache_hit_count=1))
    world.store.fields(broken.seen().record_path)["lives"] = "what is this"
    hits = [world.write(path, output(cache_hit_count=1)) for path in paths[1:]]
    world.deliver_together([*hits, broken])
    [letter] = world.delivered.open_letters()
    assert letter.startswith(f"{paths[0]}: permanent: AttributeError")
    assert world.books("ana")["totals/cache_hits"] == 3


def test_an_instance_writes_no_bucket_twice_within_a_second() -> None:
    """It takes one that has rested, and another one only where none has."""
    users = bookkeeper.HotUsers()
    numbers = iter(range(100))

    def bucket(moment: float) -> str:
        return users.bucket("ana", moment, lambda _count: next(numbers)).rpartition("/")[2]

    assert [bucket(moment) for moment in (0.0, 0.4, 0.9, 1.0, 1.5, 2.0, 3.5)] == [
        "000000", "000001", "000002", "000000", "000001", "000000", "000000",
    ]  # fmt: skip


def test_models_beyond_the_cap_fold_into_other() -> None:
    """Sixty models, forty names: an output that changes its model leaves the name that it was booked under."""
    for is_hot in (False, True):
        world = World(7, is_hot=is_hot)
        for number in range(60):
            fields = output(model=f"model-{number}")
            world.deliver(world.write(f"ai_outputs/ana/dialogues/m_{number}", fields, is_first=True))
        world.roll_up()
        models = world.store.fields(books_path("ana"))["models"]
        assert len(models) == 41
        assert models["other"]["generations"] == 20
        world.deliver(world.write("ai_outputs/ana/dialogues/m_59", output(model="model-3")))
        world.roll_up()
        models = world.store.fields(books_path("ana"))["models"]
        assert models["other"]["generations"] == 19
        assert models["model-3"]["generations"] == 2


def test_an_old_event_without_a_record_is_left_to_the_audit() -> None:
    """After 35 days the record may have been compacted: booking again would count twice."""
    world = World(8)
    event = world.write(PATH, output(), is_first=True)
    world.store.ticks += 36 * 24 * 3600 * 1000
    assert world.keeper.book(event.seen(), is_first=True) is BookingOutcome.LATE
    together = [Awaiting(seen=event.seen(), is_first=True) for _ in range(2)]
    world.keeper.book_together(together)
    assert [each.outcome for each in together] == [BookingOutcome.LATE] * 2
    world.audit()
    assert world.books("ana")["totals/generations"] == 1


def test_many_lives_of_one_path_stay_in_the_books_and_out_of_the_record() -> None:
    """Created and deleted fifty times: the record keeps twenty lives, the books and the audit know all fifty."""
    world = World(9)
    for _ in range(50):
        world.deliver(world.write(PATH, output(), is_first=True))
        world.deliver(world.delete(PATH))
    assert len(world.store.fields("usage/ana/records/dialogues~c_1")["lives"]) == records.MOST_LIVES
    for event in world.events:
        world.deliver(event)
    assert world.books("ana")["totals/generations"] == 50
    assert all(world.audit())


class Died(BaseException):
    """The process is gone: nothing catches it."""


@pytest.mark.parametrize("is_hot", [False, True])
def test_a_process_may_die_at_every_call_of_the_database(is_hot: bool) -> None:
    """Before and after each call of each event: the delivery that follows ends in the right books."""
    deaths = 0
    for at, moment in itertools.product(range(30), ("before", "after")):
        world = World(0, is_hot=is_hot)
        history(world)
        calls = {"left": at}

        def die(_call: str, calls: dict[str, int] = calls) -> None:
            calls["left"] -= 1
            if calls["left"] == -1:
                raise Died

        setattr(world.store, moment, die)
        for event in world.events:
            try:
                world.deliver(event)
            except Died:
                deaths += 1
                world.deliver(event)
        setattr(world.store, moment, lambda _call: None)
        assert world.mismatches() == [], (at, moment)
    assert deaths >= 2 * len(HISTORY)


GUARDS = {
    "the order of versions": (records, "is_newer", lambda _seen, _known, reprice=False: True),
    "the precondition on what was read": (None, "ignores_preconditions", True),
    "one life apart from the next": (records, "joined", None),
    "the counts of older versions": (Hits, "with_count", lambda _hits, at, n: Hits((Run(at, n, at, n, 0),))),
}


def test_with_all_guards_the_worlds_are_right() -> None:
    """The runs that show each guard's worth find nothing wrong while all guards stand."""
    assert first_failure(lambda _world: None) is None


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_the_books_go_wrong(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each guard is needed: with it off, the same runs find wrong books."""
    place, name, without = GUARDS[guard]
    if guard == "one life apart from the next":
        true_joined = records.joined

        def one_life(record: records.Record, seen: records.Observation, *, reprice: bool = False) -> records.Record:
            return true_joined(record, replace(seen, created=1_700_000_000_000_000_000), reprice=reprice)

        without = one_life
    if place is not None:
        monkeypatch.setattr(place, name, without, raising=False)

    def prepare(world: World) -> None:
        if place is None:
            setattr(world.store, name, without)

    assert first_failure(prepare) is not None, f"nothing noticed that {guard} was off"


def test_without_the_record_in_the_commit_the_books_go_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Books moved by increments alone, apart from the record, are counted twice when an answer is lost."""

    def prepare(world: World) -> None:
        commit = world.store.commit

        def apart(writes: Any) -> None:
            for write in reversed(writes):
                commit([write])

        monkeypatch.setattr(world.store, "commit", apart)

    assert first_failure(prepare) is not None


def test_a_booking_that_never_succeeds_is_raised_for_another_delivery() -> None:
    """When the database stays away, the handler fails, and nothing is half done."""
    world = World(10)
    event = world.write(PATH, output(), is_first=True)
    world.faults.share = 1.0
    with pytest.raises(TransientError, match="could not book `usage/ana/records/dialogues~c_1`"):
        world.keeper.book(event.seen(), is_first=True)
    world.faults.share = 0.0
    world.deliver(event)
    assert world.mismatches() == []
