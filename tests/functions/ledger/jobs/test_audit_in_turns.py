"""An audit that takes several turns: compared at one moment, exact whatever happens in between, and never endless."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage.jobs import ledger_jobs
from afterimage.jobs.ledger_cursor import Standing, packed, standing, unpacked
from afterimage.jobs.progress import Page, Turn
from afterimage.ledger import survey
from afterimage.ledger.audit import MOST_BEGINNINGS, OLDEST_MOMENT, Auditor, Progress, Report
from afterimage.ledger.prices.pricing import Prices
from afterimage.ledger.roll_up import RollUp
from afterimage.ledger.survey import WalkPosition
from afterimage.ledger.tombstones import ERASED_AT, EXPIRES_AT, KEPT_FOR
from afterimage.paths import books_path
from afterimage.store.memory_documents import EPOCH
from tests.functions.ledger.bucket import Bucket
from tests.functions.ledger.simulation import PRICES, World
from tests.thoroughness import examples

OUTPUT = {"model": "house-model", "cost_usd": 0.5, "cached": False, "cache_hit_count": 0, "latency_ms": 7}
BETWEEN = Callable[[], object]


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is looked at after every second document, not after every hundredth."""
    monkeypatch.setattr(survey, "LOOKS_AT_THE_CLOCK_EVERY", 2)


def audit(world: World, between: BETWEEN = lambda: None, **options: Any) -> list[Report]:
    """All turns of one user's audit, each as short as can be; what is carried over goes through its text."""
    auditor = Auditor(keeper=world.keeper, prices=PRICES, **options)
    reports = [auditor.audit("ana", is_over=lambda: True)]
    while rest := reports[-1].rest:
        assert len(reports) < 200, "the audit never ends"
        between()
        reports.append(auditor.audit("ana", progress=unpacked(packed(rest)), is_over=lambda: True))
    return reports


def lost(number: int) -> World:
    """A world in which outputs were made and no event came."""
    world = World(1)
    for each in range(number):
        world.write(f"ai_outputs/ana/dialogues/d_{each:02}", dict(OUTPUT), is_first=True)
    return world


@settings(max_examples=examples(150), deadline=None)
@given(seed=st.integers(0, 2**32), is_hot=st.booleans(), is_wrong=st.booleans())
def test_books_are_exact_after_the_last_turn_whatever_came_between(seed: int, is_hot: bool, is_wrong: bool) -> None:
    """Events lost before, books spoiled, and clients that go on writing between the turns: right to the nano-dollar."""
    world = World(seed, is_hot=is_hot)
    world.run(steps=30, drop=0.5, documents=12)
    if is_wrong and books_path("ana") in world.store.documents:
        world.store.fields(books_path("ana")).setdefault("totals", {})["generations"] = 17
    audit(world, lambda: world.deliver(world.client_writes(documents=12)))
    # What came between was heard of by its events; the other user was not audited.
    assert [found for found in world.mismatches(heard_of_all=False) if found.startswith("ana")] == []
    world.audit()
    world.store.bill.taken()
    assert all(report.is_clean or report.rest for report in audit(world))
    assert world.store.bill.taken()[1:] == (0, 0)


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 2**32))
def test_two_audits_in_turns_repair_once(seed: int) -> None:
    """A second one runs from beginning to end between two turns of the first: what was off is added once."""
    world = World(seed)
    world.run(steps=30, documents=12)
    held = world.store.documents.get(books_path("ana"))
    if held is not None:
        held[0].setdefault("totals", {})["cost_nano_usd"] = 1
    audit(world, lambda: Auditor(keeper=world.keeper, prices=PRICES).audit("ana"))
    assert world.mismatches() == []


def test_no_turn_does_all_the_work() -> None:
    """Forty missed outputs in turns of two: each turn books its own, the report of the last one knows of all."""
    world = lost(40)
    reports = audit(world)
    assert [len(report.missed) for report in reports] == [2] * 20
    assert reports[-1].missed_before == 38
    assert not reports[-1].is_clean
    assert [bool(report.rest) for report in reports] == [True] * 19 + [False]
    assert world.books("ana")["totals/generations"] == 40
    assert all(report.rest for report in audit(world)[:-1])


def test_a_walk_goes_on_at_its_own_moment() -> None:
    """What is created between two turns was not there at the moment: it is neither missed nor owed."""
    world = lost(10)
    later = iter(f"ai_outputs/ana/dialogues/z_{number}" for number in count())
    reports = audit(world, lambda: world.write(next(later), dict(OUTPUT), is_first=True))
    assert sum(len(report.missed) for report in reports) == 10
    assert world.books("ana")["totals/generations"] == 10


def test_objects_are_compared_in_the_last_turn_with_all_their_records() -> None:
    """Those whose records an earlier turn walked past are known too: none is booked again, and a gone one is found."""
    world = lost(6)
    bucket = Bucket(*(f"users/ana/ai_generated/videos/{name}.mp4" for name in "abcdefgh"))
    Auditor(keeper=world.keeper, prices=PRICES, objects=bucket).audit("ana")
    assert sum(len(report.missed) for report in audit(world, objects=bucket)) == 0
    bucket.remove(*(f"users/ana/ai_generated/videos/{name}.mp4" for name in "ah"))
    assert sum(len(report.missed) for report in audit(world, objects=bucket)) == 2
    assert world.books("ana")["storage/objects/videos"] == 6


def test_a_moment_that_is_too_long_ago_begins_anew() -> None:
    """Firestore reads the past for an hour: then the walk starts again, and finds done what it did before."""
    world = lost(10)
    hours = iter([OLDEST_MOMENT + timedelta(minutes=1)])

    def wait() -> None:
        world.store.ticks += int(next(hours, timedelta(0)) / timedelta(milliseconds=1))

    reports = audit(world, wait)
    assert [len(report.missed) for report in reports] == [2, 0, 2, 2, 2, 2]
    assert [report.rest.beginnings for report in reports if report.rest] == [1, 2, 2, 2, 2]
    assert world.mismatches() == []


def test_an_audit_that_never_comes_to_an_end_says_so() -> None:
    """Each turn an hour late: it gives up after a few beginnings, and is not called clean."""
    world = lost(20)

    def wait() -> None:
        world.store.ticks += int(timedelta(hours=1) / timedelta(milliseconds=1))

    reports = audit(world, wait)
    assert len(reports) == MOST_BEGINNINGS + 1
    assert reports[-1].gave_up
    assert not reports[-1].is_clean


def test_a_user_who_is_erased_between_two_turns_stays_erased() -> None:
    """What the moment still shows is nobody's: neither missed outputs nor a difference bring the books back."""
    world = lost(10)
    world.store.put(books_path("ana"), {"totals": {"generations": 3}})

    def erase() -> None:
        for path in [path for path in world.store.documents if "/ana" in path]:
            world.store.drop(path)
        now = datetime.fromtimestamp(world.store.moment() / 1e9, UTC)
        world.store.put(books_path("ana"), {ERASED_AT: now, EXPIRES_AT: now + KEPT_FOR})

    assert audit(world, erase)[-1].drift == {}
    left = [path for path in world.store.documents if "/ana" in path]
    assert left == [books_path("ana")]
    assert set(world.store.fields(books_path("ana"))) == {ERASED_AT, EXPIRES_AT}


def turns(job: ledger_jobs.PerUser, request: dict[str, Any]) -> list[Page]:
    pages = [job.turn(Turn(request=request, cursor="", counts={}))]
    while (cursor := pages[-1].next_cursor) is not None:
        assert len(pages) < 200
        pages.append(job.turn(Turn(request=request, cursor=cursor, counts={})))
    return pages


def job_of(world: World, work: ledger_jobs.Checked, **options: type) -> ledger_jobs.PerUser:
    """Its time is always over."""
    return ledger_jobs.PerUser(name="job", store=world.store, work=work, options=options, page=3, seconds=0.0)


@pytest.mark.parametrize("request_", [{}, {"user": "ana"}])
def test_the_job_goes_on_with_the_same_user(request_: dict[str, Any]) -> None:
    """Every user is audited to the end, in as many turns as it takes; counted once."""
    world = lost(9)
    for user in ("bea", "cid", "dan", "eve"):
        for number in range(3):
            world.write(f"ai_outputs/{user}/dialogues/d_{number}", dict(OUTPUT), is_first=True)
    auditor = Auditor(keeper=world.keeper, prices=PRICES)
    pages = turns(job_of(world, ledger_jobs.audit_of(auditor), repair=bool), request_)
    users = 1 if request_ else 5
    assert sum(page.counts["users"] for page in pages if "users" in page.counts) == users
    assert sum(page.counts["missed"] for page in pages) == 9 + 3 * (users - 1)
    assert len(pages) == 5 + 2 * (users - 1)
    again = turns(job_of(world, ledger_jobs.audit_of(auditor), repair=bool), request_)
    assert sum(page.counts["clean"] for page in again) == users


def test_a_rebuild_goes_on_with_the_same_user() -> None:
    """Books and records are back after the last turn, and only then published."""
    world = lost(9)
    work = ledger_jobs.rebuild_of(Auditor(keeper=world.keeper, prices=PRICES), RollUp(store=world.store))
    pages = turns(job_of(world, work), {"user": "ana"})
    assert [page.counts.get("rebuilt") for page in pages] == [None] * 4 + [1]
    assert world.books("ana")["totals/generations"] == 9


def test_repricing_goes_on_behind_the_last_record() -> None:
    """One output a turn, none twice."""
    world = lost(0)
    for number in range(4):
        fields = OUTPUT | {"model": "novel", "output_tokens": 10}
        del fields["cost_usd"]
        world.write(f"ai_outputs/ana/dialogues/d_{number}", fields, is_first=True)
    blind = Prices(version=1, tokens=lambda _usage, _at: None)
    Auditor(keeper=world.keeper, prices=blind).audit("ana")
    learned = Prices(version=2, tokens=lambda _usage, _at: Decimal("0.5"))
    work = ledger_jobs.reprice_of(Auditor(keeper=world.keeper, prices=learned))
    pages = turns(job_of(world, work, again=bool), {"user": "ana"})
    assert [page.counts.get("re-priced") for page in pages] == [1, 1, 1, 1]
    assert world.books("ana")["totals/cost_nano_usd"] == 2_000_000_000


@pytest.mark.parametrize(
    "stands", [Standing(), Standing(done="ana"), Standing(done="ana", under_way="bo{r", carried="a/b=")]
)
def test_a_cursor_says_where_the_job_stands(stands: Standing) -> None:
    """Nobody yet, one user done, or the next one half done: what is written is what is read."""
    assert standing(stands.as_text()) == stands


def test_what_is_carried_over_fits_the_jobs_document() -> None:
    """Three years of days and forty models, all their figures: far below a document's mebibyte."""
    names = [f"figure_number_{number}" for number in range(18)]
    days = [str((EPOCH - timedelta(days=number)).date()) for number in range(1100)]
    dice = World(3).dice
    owed = {
        (*scope, name): dice.randrange(10**12)
        for scope in [("totals",), *(("models", f"model-{n}") for n in range(40)), *(("days", day) for day in days)]
        for name in names
    }
    progress = Progress(
        at=EPOCH, place=WalkPosition(record="dialogues~é/x", document=("audio", "ю")), owed=owed, missed=7, beginnings=2
    )
    assert unpacked(packed(progress)) == progress
    assert len(packed(progress)) < 400_000
