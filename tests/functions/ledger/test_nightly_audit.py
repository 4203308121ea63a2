"""The audit of a night: who is audited, what it reads, what it says before, and where the next one goes on."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from afterimage.faults import PermanentError
from afterimage.jobs.ledger_jobs import audit_of
from afterimage.jobs.progress import Page, Turn
from afterimage.jobs.schedules.night import NightlyAudit, NightPlace
from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.paths import AUDIT_MARK
from afterimage.store.counted_reads import CountedReads
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.ledger.simulation import PRICES, World

MILLISECONDS_A_DAY = 24 * 3600 * 1000
OUTPUT = {"model": "house-model", "cost_usd": 0.25, "cached": False, "cache_hit_count": 0, "latency_ms": 9}
USERS_AT_SCALE = 10_000_000


def night_of(world: World, *, turns_of_one: bool = False, **options: Any) -> NightlyAudit:
    counted = CountedReads(world.store)
    keeper = Bookkeeper(store=counted, now=world.keeper.now)
    audit = audit_of(Auditor(keeper=keeper, prices=PRICES))
    seconds = 0.0 if turns_of_one else 1e9
    return NightlyAudit(store=counted, audit=audit, now=world.keeper.now, seconds=seconds, **options)


def run(night: NightlyAudit, **request: Any) -> tuple[Counter[str], list[str], int]:
    """A whole night as the job goes through it: what it counted, its failures, and its turns."""
    counts, failures, turns, cursor = Counter[str](), list[str](), 0, ""
    while True:
        page: Page = night.turn(Turn(request={"changed": True, **request}, cursor=cursor, counts=counts))
        counts.update(page.counts)
        failures += page.failures
        turns += 1
        if page.next_cursor is None:
            return counts, failures, turns
        cursor = page.next_cursor


def booked(world: World, user: str, count: int = 1) -> None:
    for number in range(count):
        world.deliver(world.write(f"ai_outputs/{user}/dialogues/d_{number}", dict(OUTPUT), is_first=True))


def missed(world: World, user: str) -> None:
    """A write of which no event ever comes."""
    world.store.put(f"ai_outputs/{user}/dialogues/lost", dict(OUTPUT))


def generations(world: World, user: str) -> int:
    return int(world.store.fields(f"usage/{user}")["totals"]["generations"])


@pytest.mark.parametrize("turns_of_one", [False, True])
def test_touched_users_are_audited_and_everybody_within_the_rotation(turns_of_one: bool) -> None:
    """Whose books were touched is right the next morning; whose were not, after so many nights; each night a share."""
    world = World(1)
    users = [f"u{number:02d}" for number in range(12)]
    for user in users:
        booked(world, user)
    world.store.ticks += MILLISECONDS_A_DAY // 24
    run(night_of(world))
    world.store.ticks += MILLISECONDS_A_DAY
    for user in users:
        missed(world, user)
    booked(world, "u03", 2)
    missed(world, "never-booked")
    found = []
    for night_number in range(4):
        counts, failures, turns = run(night_of(world, rotation=4, turns_of_one=turns_of_one))
        assert not failures
        found.append(counts["users"])
        assert turns > counts["users"] if turns_of_one else turns == 1
        if night_number == 0:
            assert generations(world, "u03") == 3, "touched, and so audited in the first night"
        world.store.ticks += MILLISECONDS_A_DAY
    assert [generations(world, user) for user in [*users, "never-booked"]] == [2, 2, 2, 3, *[2] * 8, 1]
    # Users whose books a night has put right are touched, and so looked at in the next.
    assert max(found) <= 9


def test_a_night_that_finds_nothing_touched_reads_its_share_alone() -> None:
    """Of forty users a fortieth; nothing is written but where the next night begins."""
    world = World(2)
    for number in range(40):
        booked(world, f"u{number:02d}", 5)
    run(night_of(world, rotation=40))
    world.store.ticks += 3 * MILLISECONDS_A_DAY
    run(night_of(world, rotation=40))
    world.store.ticks += MILLISECONDS_A_DAY
    world.store.bill.taken()
    counts, _, _ = run(night_of(world, rotation=40))
    _, writes, deletes = world.store.bill.taken()
    assert (counts["users"], writes, deletes) == (1, 1, 0)
    assert counts["reads"] < 2 * 5 + 80, "one user, and the ends of lists"


def test_what_a_night_will_read_is_said_before() -> None:
    """A dry run audits nobody, writes nothing, and is right to a tenth; a longer rotation says its fewer dollars."""
    world = World(3)
    for number in range(30):
        booked(world, f"u{number:02d}", 80)
    world.store.put(AUDIT_MARK, {"kind": "ledger.audit", "touched_to": [world.keeper.now()] * 4, "rest_after": ""})
    world.store.ticks += MILLISECONDS_A_DAY
    booked(world, "u07", 81)
    missed(world, "u07")
    world.store.bill.taken()
    said, _, _ = run(night_of(world), dry_run=True, rotation=3)
    assert world.store.bill.taken()[1:] == (0, 0)
    assert generations(world, "u07") == 81
    longer, _, _ = run(night_of(world), dry_run=True, rotation=15)
    rest = "micro-dollars expected, the rest"
    assert longer[rest] * 4 <= said[rest]
    assert longer["reads expected, touched"] == said["reads expected, touched"]
    counts, _, _ = run(night_of(world), rotation=3)
    expected = said["reads expected, touched"] + said["reads expected, the rest"]
    assert abs(counts["reads"] - expected) <= expected / 10
    assert generations(world, "u07") == 82


def test_a_night_stops_at_its_cap_and_the_next_one_goes_on() -> None:
    """It says where; in the end everybody touched was audited, and nobody is passed over for good."""
    world = World(4)
    users = [f"u{number:02d}" for number in range(20)]
    for user in users:
        booked(world, user, 10)
        missed(world, user)
    stopped = 0
    for _ in range(12):
        _, failures, _ = run(night_of(world, most_reads=200))
        stopped += any("the cap of 200 reads" in failure for failure in failures)
    assert stopped
    assert [generations(world, user) for user in users] == [11] * 20
    with pytest.raises(PermanentError, match="`most_reads` is `0`; it must be at least 1"):
        run(night_of(world), most_reads=0)
    with pytest.raises(PermanentError, match="knows no `nights`"):
        run(night_of(world), nights=3)


def test_a_user_is_left_half_done_and_taken_up_in_the_next_turn() -> None:
    """An audit that takes longer than its turn carries over how far it is, in the middle of a night, too."""
    world = World(5)
    for user in ("ana", "bob"):
        booked(world, user, 230)
        missed(world, user)
    counts, failures, turns = run(night_of(world, turns_of_one=True))
    assert (failures, counts["missed"]) == ([], 2)
    assert turns > 4
    assert world.books("ana") == world.books("bob")


def test_a_place_is_written_down_whole() -> None:
    """What a cursor says is what the next turn reads."""
    world = World(6)
    now = world.keeper.now()
    lanes = ((now, "ana"), (now + timedelta(microseconds=7), ""), (now, ""), (now, "б"))
    place = NightPlace(since=now, until=now, lanes=lanes, lane=1, rest_from="x", rest_after="y", rest_left=3)
    assert NightPlace.from_text(place.as_text()) == place
    assert place.touched_to == [now, *(moment for moment, _ in lanes[1:])]


# -- ten million users


def reads_of_one(outputs: int) -> int:
    """What the audit of one user is charged for, with real pages over the store's double, enumeration included."""
    world = World(7)
    world.store = MemoryDocuments()
    world.start()
    for number in range(outputs):
        world.store.put(f"ai_outputs/ana/{('dialogues', 'images')[number % 2]}/d_{number:06d}", dict(OUTPUT))
    Auditor(keeper=world.keeper, prices=PRICES).audit("ana")
    world.store.bill.taken()
    counts, _, _ = run(night_of(world))
    return counts["reads"]


def test_a_night_of_ten_million_users_reads_little_beside_what_it_compares() -> None:
    """Users by how many outputs they have, a fifth of them touched, and a thirtieth of the rest: at most 1.1 to one.

    The reads of a user of each size are those of the real audit; users of one night are counted, not run one by one.
    """
    shares = {10: 0.30, 50: 0.30, 200: 0.25, 1_000: 0.13, 5_000: 0.02}
    reads = compared = 0.0
    for outputs, share in shares.items():
        audited = share * USERS_AT_SCALE * (0.2 + 0.8 / 30)
        reads += audited * reads_of_one(outputs)
        compared += audited * 2 * outputs
    assert reads / compared <= 1.1, f"{reads / compared:.3f}"
