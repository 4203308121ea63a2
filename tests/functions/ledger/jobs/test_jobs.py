"""Jobs over the books: roll-up, the operators' view, closed days, compaction, re-pricing, replay, page by page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.faults import PermanentError, is_transient
from afterimage.jobs import ledger_jobs
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger.audit import Auditor
from afterimage.ledger.book_documents import TOUCH_LANES
from afterimage.ledger.closing import COMPACT_AFTER, LIVE_DAYS, Closing
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.roll_up import RollUp
from afterimage.paths import OPERATIONS_TOTALS, books_path, operations_day
from afterimage.store.documents import UncertainError, Version, Write
from afterimage.store.memory_documents import EPOCH
from tests.functions.ledger.bucket import Bucket
from tests.functions.ledger.simulation import PRICES, USERS, World
from tests.thoroughness import examples

DAY = "2026-11-01"
DAY_TICKS = 24 * 3600 * 1000


def output(**changes: Any) -> dict[str, Any]:
    base = {"model": "house-model", "cost_usd": 0.25, "cached": True, "cache_hit_count": 0, "latency_ms": 480}
    return {key: value for key, value in (base | changes).items() if value is not ...}


def all_turns(turn: Any, request: dict[str, Any]) -> list[Page]:
    pages = [turn(Turn(request=request, cursor="", counts={}))]
    while pages[-1].next_cursor is not None:
        pages.append(turn(Turn(request=request, cursor=pages[-1].next_cursor, counts={})))
    return pages


def auditor(world: World, **options: Any) -> Auditor:
    return Auditor(keeper=world.keeper, prices=PRICES, **options)


def operators(world: World) -> dict[str, dict[str, int]]:
    return {
        path: {name: amount for name, amount in fields.get("totals", {}).items() if amount}
        for path, (fields, _, _) in world.store.documents.items()
        if path.startswith("operations/")
    }


def sum_over_users(world: World, scope: str) -> dict[str, int]:
    due: dict[str, int] = {}
    for user in USERS:
        for key, amount in world.books(user).items():
            place, _, name = key.rpartition("/")
            if place == scope:
                due[name] = due.get(name, 0) + amount
    return {name: amount for name, amount in due.items() if amount}


@settings(max_examples=examples(50), deadline=None)
@given(seed=st.integers(0, 2**32), is_hot=st.booleans())
def test_the_operators_view_is_the_sum_of_all_users(seed: int, is_hot: bool) -> None:
    """Published bit by bit and more than once, with days closed in between and answers lost: it stays the sum."""
    world = World(seed, is_hot=is_hot)
    roll_up = RollUp(store=world.store, wait=lambda _seconds: None)
    for turn in range(3):
        world.run(steps=5)
        world.faults.share = 0.1
        for attempt in (roll_up.empty_buckets, lambda: roll_up.publish(since=EPOCH)):
            try:
                attempt()
            except UncertainError:
                continue
        world.faults.share = 0.0
        if turn == 1:
            for user in USERS:
                Closing(store=world.store).close_days(user, EPOCH + timedelta(days=LIVE_DAYS + 2))
    roll_up.empty_buckets()
    until = roll_up.publish(since=EPOCH).until
    found = operators(world)
    assert found.get(operations_day(DAY), {}) == sum_over_users(world, f"days/{DAY}")
    assert found.get(OPERATIONS_TOTALS, {}) == sum_over_users(world, "totals")
    assert max(until) > EPOCH
    assert world.mismatches() == []


def test_operators_see_what_failed_and_what_was_not_understood() -> None:
    """A worker's failed document and a rejected output book no money, and count in the operators' view, day by day."""
    world = World(1)
    world.deliver(world.write("generations/ana/files/f", {"status": "failed"}, is_first=True))
    world.deliver(world.write("ai_outputs/ana/dialogues/c_1", output(cost_usd="free"), is_first=True))
    RollUp(store=world.store).publish(since=EPOCH)
    assert operators(world) == {
        path: {"failures": 1, "rejected": 1} for path in (OPERATIONS_TOTALS, operations_day(DAY))
    }


def test_publishing_what_has_not_changed_writes_nothing() -> None:
    """The same roll-up twice does the work once."""
    world = World(1)
    world.run()
    roll_up = RollUp(store=world.store)
    roll_up.publish(since=EPOCH)
    world.store.bill.taken()
    roll_up.publish(since=EPOCH)
    assert world.store.bill.taken()[1:] == (0, 0)


def test_days_that_are_over_leave_the_live_books_and_stay_in_the_sum() -> None:
    """After 35 days a day stands in its own document; a hit that comes later is added to it by the next close."""
    world = World(2)
    path = "ai_outputs/ana/dialogues/c_1"
    world.deliver(world.write(path, output(), is_first=True))
    closing = Closing(store=world.store)
    later = EPOCH + timedelta(days=LIVE_DAYS + 1)
    assert closing.close_days("ana", EPOCH) == 0
    assert closing.close_days("ana", later) == 1
    assert world.store.fields(books_path("ana"))["days"] == {}
    assert world.store.fields(f"usage/ana/days/{DAY}")["closed"]["generations"] == 1
    world.deliver(world.write(path, output(cache_hit_count=1)))
    assert closing.close_days("ana", later) == 1
    assert world.store.fields(f"usage/ana/days/{DAY}")["closed"]["cache_hits"] == 1
    assert closing.close_days("ana", later) == 0
    assert world.mismatches() == []
    assert all(world.audit())


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_compaction_keeps_every_nano_dollar(seed: int) -> None:
    """Records of what is long deleted go, late events about it are refused, and the audit still proves the books."""
    world = World(seed)
    world.run(steps=20)
    before = {user: world.books(user) for user in USERS}
    gone = [path for path in world.store.documents if "/records/" in path]
    world.store.ticks += (COMPACT_AFTER.days + 1) * DAY_TICKS
    now = EPOCH + timedelta(milliseconds=world.store.ticks)
    compacted = sum(Closing(store=world.store).compact(user, now).gone for user in USERS)
    assert compacted == len(gone) - len([path for path in world.store.documents if "/records/" in path])
    for event in world.events:
        world.deliver(event)
    assert all(world.audit())
    assert {user: world.books(user) for user in USERS} == before
    assert sum(Closing(store=world.store).compact(user, now).gone for user in USERS) == 0


def test_without_the_age_limit_compaction_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard that refuses late events is needed: with it off, a late one is booked a second time."""
    from afterimage.ledger import bookkeeper

    monkeypatch.setattr(bookkeeper, "LATE_AFTER", timedelta(days=36500))
    world = World(3)
    path = "ai_outputs/ana/dialogues/c_1"
    world.deliver(world.write(path, output(), is_first=True))
    world.deliver(world.delete(path))
    world.store.ticks += (COMPACT_AFTER.days + 1) * DAY_TICKS
    Closing(store=world.store).compact("ana", EPOCH + timedelta(milliseconds=world.store.ticks))
    world.deliver(world.events[0])
    assert world.books("ana")["totals/generations"] == 2


def test_an_audit_of_all_goes_from_user_to_user_and_finds_those_without_books() -> None:
    """Page by page, in the order of ids; users whose every event was lost are found by their documents."""
    world = World(4)
    for number in range(7):
        world.write(f"ai_outputs/u{number}/dialogues/d", output(), is_first=True)
    job = ledger_jobs.PerUser(
        name="ledger.audit",
        store=world.store,
        work=ledger_jobs.audit_of(auditor(world)),
        options={"repair": bool},
        page=3,
    )
    pages = all_turns(job.turn, {})
    assert [page.counts["users"] for page in pages] == [3, 3, 1]
    assert sum(page.counts["missed"] for page in pages) == 7
    assert sum(page.counts["clean"] for page in all_turns(job.turn, {})) == 7
    assert world.store.fields(books_path("u6"))["total_generations"] == 1


def test_a_rebuild_brings_books_and_records_back_from_documents() -> None:
    """Everything the ledger knows of a user is gone; live documents and objects suffice."""
    world = World(5)
    world.deliver(world.write("ai_outputs/ana/dialogues/c_1", output(cache_hit_count=4), is_first=True))
    before = world.books("ana")
    for path in [path for path in world.store.documents if path.startswith("usage/")]:
        world.store.drop(path)
    rebuild = ledger_jobs.rebuild_of(auditor(world), RollUp(store=world.store))
    job = ledger_jobs.PerUser(name="ledger.rebuild", store=world.store, work=rebuild, options={})
    assert all_turns(job.turn, {"user": "ana"})[0].counts == {"users": 1, "rebuilt": 1}
    assert world.books("ana") == before
    assert all_turns(job.turn, {"user": "ana"})[0].counts["rebuilt"] == 0


def test_the_audit_counts_bytes_by_what_is_in_the_bucket() -> None:
    """Objects whose events were lost are added, objects that are gone are released, and then all is clean."""
    world = World(6)
    bucket = Bucket("users/ana/ai_generated/videos/a.mp4", "generating/ana/image/f_0.png")
    assert not auditor(world, objects=bucket).audit("ana").is_clean
    assert world.books("ana") == {
        "storage/bytes/videos": 100, "storage/objects/videos": 1,
        "storage/bytes/images": 100, "storage/objects/images": 1,
    }  # fmt: skip
    bucket.remove("generating/ana/image/f_0.png")
    assert len(auditor(world, objects=bucket).audit("ana").missed) == 1
    assert world.books("ana") == {"storage/bytes/videos": 100, "storage/objects/videos": 1}
    assert auditor(world, objects=bucket).audit("ana").is_clean


def test_unpriced_outputs_are_priced_when_the_table_learns() -> None:
    """Only they are touched, unless the request says `again`; the same message twice changes nothing."""
    world = World(7)
    waiting = {"model": "novel", "output_tokens": 10, "cost_usd": ...}
    blind = Prices(version=1, tokens=lambda _usage, _at: None)
    object.__setattr__(blind, "rows", ())
    event = world.write("ai_outputs/ana/dialogues/c_1", output(**waiting), is_first=True)
    from afterimage.ledger.observing import observe_document

    seen = observe_document(
        event.path, event.fields, created=event.created, version=event.version, is_deleted=False, prices=blind
    )
    assert seen is not None
    world.keeper.book(seen)
    assert world.books("ana")["totals/unpriced"] == 1
    learned = Prices(version=2, tokens=lambda _usage, _at: Decimal("0.5"))
    job = ledger_jobs.PerUser(
        name="ledger.reprice",
        store=world.store,
        work=ledger_jobs.reprice_of(Auditor(keeper=world.keeper, prices=learned)),
        options={"again": bool},
    )
    assert all_turns(job.turn, {})[0].counts["re-priced"] == 1
    assert world.books("ana")["totals/cost_nano_usd"] == 500_000_000
    assert "totals/unpriced" not in world.books("ana")
    assert "re-priced" not in all_turns(job.turn, {"again": True})[0].counts


def test_recorded_events_are_replayed() -> None:
    """A letter is closed when its event is booked; one that fails again stays; other rooms' letters are left alone."""
    world = World(8)
    attributes = {
        "id": "1", "type": "google.cloud.storage.object.v1.finalized", "source": "s", "time": "2026-11-01T00:00:00Z",
    }  # fmt: skip
    name = "users/ana/ai_generated/videos/a.mp4"
    stored = {"bucket": "b", "name": name, "generation": "5", "size": "70"}

    def letter(trigger: str, data: object) -> DeadLetter:
        return DeadLetter.of(trigger=trigger, attributes=attributes, data=data, reason="test", at=datetime.now(UTC))

    letters = DeadLetters(world.store)
    letters.record(letter("ledger_object_finalized", json.dumps(stored)))
    letters.record(letter("ledger_output_written", "not an event"))
    letters.record(letter("media_finalized", json.dumps(stored)))
    job = ledger_jobs.LedgerReplay(auditor=auditor(world), letters=letters, page=2)
    pages = all_turns(job.turn, {})
    assert sum(page.counts.get("letters", 0) for page in pages) == 2
    assert sum(page.counts.get("failed again", 0) for page in pages) == 1
    still_open = [found for found in letters.open_letters(after="", limit=9) if isinstance(found, DeadLetter)]
    assert {found.trigger for found in still_open} == {"ledger_output_written", "media_finalized"}
    assert world.books("ana")["storage/bytes/videos"] == 70


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"users": "ana"}, "ledger.audit knows no `users`; it knows repair, user"),
        ({"user": "a/b"}, "ledger.audit `user` is `a/b`; it must be the id of one user"),
        ({"repair": "no"}, "ledger.audit `repair` is `no`; it must be a bool"),
    ],
)
def test_a_request_that_says_something_unknown_is_refused(request_: dict[str, Any], message: str) -> None:
    """What was meant to change something must not be passed over."""
    with pytest.raises(PermanentError, match=message):
        ledger_jobs.checked_request("ledger.audit", request_, {"user": str, "repair": bool})


def test_one_users_broken_record_leaves_the_others_audited() -> None:
    """A record that cannot be read ends the audit of its user alone: named, counted, and the walk goes on."""
    world = World(9)
    for user in ("ana", "bob", "cora"):
        world.deliver(world.write(f"ai_outputs/{user}/dialogues/d", output(), is_first=True))
        world.write(f"ai_outputs/{user}/dialogues/lost", output(), is_first=True)
    world.store.put("usage/bob/records/dialogues~d", {"kind": "dialogues"})
    job = ledger_jobs.PerUser(
        name="ledger.audit", store=world.store, work=ledger_jobs.audit_of(auditor(world)), options={"repair": bool}
    )
    [page] = all_turns(job.turn, {})
    assert (page.counts["users"], page.counts["users passed over"], page.counts["missed"]) == (3, 1, 2)
    assert [failure.partition(":")[0] for failure in page.failures] == ["bob"]


def test_an_outage_is_not_taken_for_a_users_fault() -> None:
    """Then the turn is delivered again, and nobody is passed over."""
    world = World(10)
    world.deliver(world.write("ai_outputs/ana/dialogues/d", output(), is_first=True))
    job = ledger_jobs.PerUser(
        name="ledger.audit", store=world.store, work=ledger_jobs.audit_of(auditor(world)), options={"repair": bool}
    )

    def down(call: str) -> None:
        if call == "frozen":
            raise UncertainError(call)

    world.store.before = down
    with pytest.raises(UncertainError) as caught:
        all_turns(job.turn, {})
    assert is_transient(caught.value)


@pytest.mark.parametrize("topic", ["ledger.close-day", "ledger.reprice"])
def test_a_user_with_very_many_records_takes_turns(topic: str) -> None:
    """A turn whose time is over says where the next goes on: one user's records never outlast a function's life."""
    world = World(11)
    for number in range(4):
        world.deliver(world.write(f"ai_outputs/ana/dialogues/d{number}", output(), is_first=True))
        world.deliver(world.delete(f"ai_outputs/ana/dialogues/d{number}"))
    world.deliver(world.write("ai_outputs/bob/dialogues/d", output(), is_first=True))
    world.store.put("usage/ana/records/dialogues~d1x", {"kind": "dialogues"})
    world.store.ticks += (COMPACT_AFTER.days + 1) * DAY_TICKS
    now = EPOCH + timedelta(milliseconds=world.store.ticks)
    roll_up = RollUp(store=world.store)
    work = {
        "ledger.close-day": ledger_jobs.close_day_of(Closing(store=world.store), roll_up, now=lambda: now),
        "ledger.reprice": ledger_jobs.reprice_of(auditor(world)),
    }[topic]
    job = ledger_jobs.PerUser(
        name=topic, store=world.store, work=work, options={"again": bool}, seconds=0.0, monotonic=lambda: 0.0
    )
    pages = all_turns(job.turn, {})
    assert len(pages) > 5
    assert sum(page.counts.get("users", 0) for page in pages) == 2
    assert [failure for page in pages for failure in page.failures if "dialogues~d1x" in failure]
    if topic == "ledger.close-day":
        assert sum(page.counts.get("records compacted", 0) for page in pages) == 4
        world.store.drop("usage/ana/records/dialogues~d1x")
        assert all(world.audit())


def test_buckets_take_turns_when_time_is_short() -> None:
    """MinuteRounds that end after one bucket begin behind it: users whose buckets fill at once keep nobody waiting."""
    world = World(12)
    roll_up, rest, order = RollUp(store=world.store), "", []
    for user in ("ana", "bob", "cora"):
        world.store.put(f"usage/{user}/buckets/00", {"totals": {"generations": 1}})
    for _ in range(6):
        before = {path for path in world.store.documents if "/buckets/" in path}
        emptied = roll_up.empty_buckets(after=rest, is_over=lambda: True)
        rest = emptied.rest
        order += [path.split("/")[1] for path in before - set(world.store.documents)]
        world.store.put("usage/ana/buckets/00", {"totals": {"generations": 1}})
    assert order[:4] == ["ana", "bob", "cora", "ana"]
    assert len(order) == 6


def test_a_round_that_began_in_the_middle_comes_to_all_buckets_once() -> None:
    """Behind the place where the last round ended first, then those before it."""
    world = World(13)
    for user in ("ana", "bob", "cora"):
        world.store.put(f"usage/{user}/buckets/00", {"totals": {"generations": 1}})
    asked: list[str] = []
    world.store.before = asked.append
    emptied = RollUp(store=world.store).empty_buckets(after="usage/ana/buckets/31")
    assert (emptied.moved, emptied.rest) == (3, "")
    assert asked.count("beneath") == 2


def test_the_operators_view_is_written_once_for_many_users_and_no_faster_than_once_a_second() -> None:
    """Five users, two at a time: three writes of the totals, each a second after the one before."""
    world = World(16)
    for number in range(5):
        world.deliver(world.write(f"ai_outputs/u{number}/dialogues/d", output(), is_first=True))
    now, written = [100.0], list[float]()

    def wait(seconds: float) -> None:
        now[0] += seconds

    commit = world.store.commit

    def noting(writes: Sequence[Write]) -> list[Version]:
        written.extend(now[0] for write in writes if write.path == OPERATIONS_TOTALS)
        return commit(writes)

    vars(world.store).update(commit=noting)
    roll_up = RollUp(store=world.store, together=2, monotonic=lambda: now[0], wait=wait)
    assert roll_up.publish(since=EPOCH).users == 5
    assert written == [100.0, 101.0, 102.0]
    assert operators(world)[OPERATIONS_TOTALS]["generations"] == 5


def test_users_of_more_days_than_a_commit_takes_are_published_one_by_one() -> None:
    """What an audit found of years ago stands under its days; the operators' view has every one of them."""
    world = World(18)
    for number, user in enumerate(("ana", "bob")):
        days = {str(EPOCH.date() - timedelta(days=300 * number + day)): {"generations": 1} for day in range(300)}
        world.store.put(
            f"usage/{user}", {"totals": {"generations": 300}, "days": days, "touched_at": EPOCH, "touch_shard": 0}
        )
    published = RollUp(store=world.store, wait=lambda _seconds: None).publish(since=EPOCH)
    assert (published.users, published.faults) == (2, 0)
    assert operators(world)[OPERATIONS_TOTALS]["generations"] == 600
    assert len([path for path in world.store.documents if path.startswith("operations/days/")]) == 600


def test_books_that_cannot_be_published_leave_the_others_of_their_batch_published() -> None:
    """A day that is no name of a document: its user is at fault, and the view has the others."""
    world = World(20)
    for user in ("ana", "bob", "cora"):
        world.deliver(world.write(f"ai_outputs/{user}/dialogues/d", output(), is_first=True))
    world.store.fields("usage/bob")["days"] = {"<a/b>": {"generations": 1}}
    commit = world.store.commit

    def as_the_service(writes: Sequence[Write]) -> list[Version]:
        if any("<a/b>" in write.path for write in writes):
            raise ValueError("a name of a collection, where one of a document belongs")
        return commit(writes)

    vars(world.store).update(commit=as_the_service)
    published = RollUp(store=world.store, wait=lambda _seconds: None).publish(since=EPOCH)
    assert (published.users, published.faults) == (3, 1)
    assert operators(world)[OPERATIONS_TOTALS]["generations"] == 2
    world.store.drop("usage/bob")


def test_all_buckets_of_a_user_are_moved_in_one_write_of_the_books() -> None:
    """Twenty instances booked; the books' own document is written once, and every bucket is gone."""
    world = World(17)
    for number in range(20):
        world.store.put(f"usage/ana/buckets/{number:03d}", {"totals": {"generations": 1}})
    world.store.bill.taken()
    emptied = RollUp(store=world.store).empty_buckets()
    assert (emptied.moved, emptied.faults) == (20, 0)
    reads, writes, deletes = world.store.bill.taken()
    assert (writes, deletes) == (1, 20)
    assert reads <= 22
    assert world.store.fields("usage/ana")["totals"]["generations"] == 20


def test_publishing_goes_on_where_time_was_over_and_passes_over_what_it_cannot_publish() -> None:
    """Each run comes further than the one before, however little time it has."""
    world = World(14)
    for user in ("ana", "bob", "cora"):
        world.deliver(world.write(f"ai_outputs/{user}/dialogues/d", output(), is_first=True))
    world.store.put("usage/bob/published/operations", {"totals": 7, "days": {"x": 5}})
    roll_up, faults, runs = RollUp(store=world.store, together=1, wait=lambda _seconds: None), 0, 0
    mark: Sequence[datetime] = (EPOCH,) * len(TOUCH_LANES)
    is_behind = True
    while is_behind:
        run = roll_up.publish(since=mark, is_over=lambda: True)
        mark, is_behind, faults, runs = run.until, run.is_behind, faults + run.faults, runs + 1
    assert (runs, faults) == (4, 2), "each run begins with the last one of the run before"
    assert operators(world)[OPERATIONS_TOTALS]["generations"] == 2


def test_more_files_than_can_be_compared_are_said_and_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their user's audit says so; what is not compared is not taken for gone."""
    from afterimage.ledger import survey

    monkeypatch.setattr(survey, "MOST_OBJECTS", 3)
    world = World(15)
    bucket = Bucket(*(f"users/ana/ai_generated/videos/{number}.mp4" for number in range(3)))
    assert not auditor(world, objects=bucket).audit("ana").has_too_many_objects
    assert world.books("ana")["storage/objects/videos"] == 3
    bucket.store(*(f"generating/ana/image/{number}_0.png" for number in range(3)))
    report = auditor(world, objects=bucket).audit("ana")
    assert report.has_too_many_objects
    assert not report.is_clean
    assert world.books("ana")["storage/objects/videos"] == 3
    done = ledger_jobs.audit_of(auditor(world, objects=bucket))("ana", {}, "", lambda: False)
    assert "ana: more than" in done.failures[0]
