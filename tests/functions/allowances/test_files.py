"""What is done for one account's files in a day: counted once each, bounded, and nobody else's delay."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from PIL import Image

from afterimage.allowances.day_allowances import NOBODY, POTS, DayAllowances, UsedUpError
from afterimage.faults import TransientError
from afterimage.media.pipeline import MediaOutcome, Pipeline
from afterimage.paths import object_id
from afterimage.settings import read_settings
from afterimage.store.documents import ConflictError, UncertainError
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.interleaving import Turns
from tests.functions.media.pictures import animation, encoded
from tests.functions.media_world import Crash, World

SETTINGS = read_settings(
    {"GCLOUD_PROJECT": "demo-day", "MEDIA_PLANS": '{"*": {"thumbnails": [2], "full_webp": false}}'}
)
NOON = datetime(2026, 11, 5, 12, tzinfo=UTC)
LIMITS = {"files": 3, "bytes": 100_000, "pixels": 10_000_000, "documents": 100}
PICTURE = encoded(Image.new("RGB", (8, 6), (200, 40, 20)), "PNG")


@dataclass
class Day:
    """A world whose files are counted, and its clock."""

    world: World = field(default_factory=World)
    now: datetime = NOON
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    unnamed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.allowances = DayAllowances(
            documents=self.world.store,
            limits=self.limits,
            anonymous_accounts=POTS,
            is_anonymous=lambda account: account in self.unnamed,
            now=lambda: self.now,
            wait=lambda _seconds: None,
            dice=Random(1),
        )
        self.pipeline = Pipeline(
            stores=self.world.stores(), settings=SETTINGS, workers=1, allowances=self.allowances, now=lambda: self.now
        )

    def store(self, name: str, data: bytes = PICTURE, **metadata: str) -> MediaOutcome:
        original = self.world.upload(name, data, **metadata)
        return self.pipeline.finalized("uploads", name, original.generation)

    def again(self, name: str) -> MediaOutcome:
        return self.pipeline.finalized("uploads", name, self.world.originals["uploads", name][0].generation)

    def record(self, name: str) -> dict[str, Any]:
        owner = name.split("/")[1]
        path = (
            f"mediaObjects/{object_id('uploads', name)}"
            if name.startswith("media/")
            else (f"users/{owner}/objects/{object_id('uploads', name)}")
        )
        found = self.world.record(path)
        assert found is not None
        return found

    def used(self) -> list[dict[str, int]]:
        """What stands in the documents of accounts, not in the pots."""
        found = [fields for path, (fields, *_) in sorted(self.world.documents.items()) if path.startswith("_allow")]
        return [fields["used"] for fields in found if "is_anonymous" in fields]


def image(user: str, number: int) -> str:
    return f"users/{user}/ai_generated/images/c{number}_portrait.png"


def test_what_is_beyond_a_day_waits_says_so_and_is_taken_up_the_next() -> None:
    """Whoever else stores something meanwhile is served at once."""
    day = Day()
    assert [day.store(image("ana", number)) for number in range(4)] == [MediaOutcome.SETTLED] * 3 + [
        MediaOutcome.WAITING
    ]
    assert day.store(image("bob", 1)) is MediaOutcome.SETTLED
    waiting = day.record(image("ana", 3))
    assert (waiting["status"], waiting["variants"], waiting["work"]) == ("waiting", [], None)
    assert waiting["reason"] == (
        "the 3 files that one account may have worked on in a day are used up: it is taken up after midnight (UTC)"
    )
    operations = len(day.world.documents), day.world.store.ticks
    assert day.again(image("ana", 3)) is MediaOutcome.WAITING
    assert (len(day.world.documents), day.world.store.ticks) == operations, "a duplicate writes nothing"
    day.now += timedelta(hours=13)
    assert day.again(image("ana", 3)) is MediaOutcome.SETTLED
    assert day.record(image("ana", 3))["status"] == "ready"
    assert day.again(image("ana", 3)) is MediaOutcome.ALREADY
    assert sorted(used["files"] for used in day.used()) == [1, 1, 3]


@pytest.mark.parametrize(
    ("limits", "first", "second", "reason"),
    [
        ({"bytes": 150}, PICTURE, PICTURE, "the 0 megabytes that one account may have worked on in a day are used up"),
        ({"pixels": 50}, PICTURE, PICTURE, "the 0 megapixels that one account may have worked on in a day are used up"),
        (
            {"pixels": 2_000_100},
            animation("GIF", 5, (1000, 400)),
            encoded(Image.new("L", (20, 10)), "PNG"),
            "the 2 megapixels that one account may have worked on in a day are used up",
        ),
    ],
    ids=["bytes", "pixels", "frames"],
)
def test_every_figure_is_bounded(limits: dict[str, int], first: bytes, second: bytes, reason: str) -> None:
    """Bytes, pixels, and the pixels of each frame of what moves."""
    day = Day(limits=LIMITS | limits)
    assert day.store(image("ana", 1), first) is MediaOutcome.SETTLED
    assert day.record(image("ana", 1))["status"] == "ready"
    assert day.store(image("ana", 2), second) is MediaOutcome.WAITING
    assert day.record(image("ana", 2))["reason"].startswith(reason)


def test_what_no_day_has_room_for_is_unsupported() -> None:
    """It does not wait for ever."""
    day = Day(limits=LIMITS | {"pixels": 47})
    assert day.store(image("ana", 1)) is MediaOutcome.SETTLED
    found = day.record(image("ana", 1))
    assert (found["status"], found["reason"]) == (
        "unsupported",
        "more than the 0 megapixels that one account may have worked on in a day",
    )


def test_what_operators_want_made_anew_is_in_nobodys_day() -> None:
    """Neither a failed file that is tried again nor a new plan takes from what users have."""
    day = Day()
    day.store(image("ana", 1))
    before = day.used()
    other = read_settings({"GCLOUD_PROJECT": "demo-day", "MEDIA_PLANS": '{"*": {"thumbnails": [4]}}'})
    renewed = Pipeline(
        stores=day.world.stores(), settings=other, workers=1, allowances=day.allowances, now=lambda: day.now
    )
    name = image("ana", 1)
    generation = day.world.originals["uploads", name][0].generation
    assert renewed.finalized("uploads", name, generation) is MediaOutcome.SETTLED
    assert day.used() == before


def test_unnamed_accounts_have_a_share_together_and_take_nothing_from_others() -> None:
    """However many there are; what leaves no owner shares with them."""
    day = Day(unnamed={f"guest{number}" for number in range(200)})
    outcomes = [day.store(image(f"guest{number % 200}", number)) for number in range(60)]
    outcomes += [day.store(f"media/asset{number}/a.png") for number in range(10)]
    assert outcomes.count(MediaOutcome.SETTLED) == LIMITS["files"] * POTS
    assert day.store(image("named", 1)) is MediaOutcome.SETTLED
    refused = day.record("media/asset9/a.png")
    assert refused["reason"].startswith("what all unnamed accounts together may have worked on in a day is used up")
    pots = [f["used"]["files"] for p, (f, *_) in day.world.documents.items() if "pot-" in p]
    assert sum(pots) == LIMITS["files"] * POTS


def test_an_account_of_which_nothing_can_be_told_now_is_served_out_of_what_unnamed_ones_have() -> None:
    """As soon as it can be told that it has a name, it has a day of its own."""
    day, answers = Day(), [None, False]
    vars(day.allowances)["is_anonymous"] = lambda _account: answers.pop(0)
    assert day.store(image("ana", 1)) is MediaOutcome.SETTLED
    pots = {path for path in day.world.documents if "pot-" in path}
    assert len(pots) == 1
    before = day.world.store.fields(min(pots))["used"]
    assert [day.store(image("ana", number)) for number in (2, 3)] == [MediaOutcome.SETTLED] * 2
    assert answers == []
    assert day.world.store.fields(min(pots))["used"] == before


def test_an_unnamed_account_is_bounded_by_itself_too() -> None:
    """One of them cannot use up what all have."""
    day = Day(unnamed={"guest"})
    outcomes = [day.store(image("guest", number)) for number in range(5)]
    assert outcomes == [MediaOutcome.SETTLED] * 3 + [MediaOutcome.WAITING] * 2


@pytest.mark.parametrize("seed", range(40))
def test_each_file_is_counted_once_whatever_happens_to_its_events(seed: int) -> None:
    """Duplicates, kills between any two steps, lost answers, and all at once: as many are done as a day has."""
    dice, day, turns = Random(seed), Day(unnamed={"guest"}), Turns()
    names = [image(user, number) for user in ("ana", "guest") for number in range(5)]
    waiting = [name for name in names for _ in range(dice.choice((1, 2, 3)))]
    for name in names:
        day.world.upload(name, PICTURE)
    day.world.before = turns.pause
    lost = [dice.randrange(3, 40) for _ in range(3)]

    def lose(operation: str) -> None:
        if operation.startswith("commit"):
            lost[:] = [left - 1 for left in lost]
            if 0 in lost:
                raise UncertainError("the answer is lost")

    day.world.after = lose
    while waiting or turns.running:
        if waiting and dice.random() < 0.3:
            deliver(day, turns, waiting, waiting.pop(dice.randrange(len(waiting))))
        elif turns.running:
            index = dice.randrange(len(turns.running))
            (turns.kill if dice.random() < 0.03 else turns.step)(index)
    statuses = {name: day.record(name)["status"] for name in names}
    for user in ("ana", "guest"):
        done = [status for name, status in statuses.items() if name.startswith(f"users/{user}/")]
        assert sorted(done) == ["ready"] * 3 + ["waiting"] * 2, f"seed {seed}"
    assert [(used["files"], used["pixels"]) for used in day.used()] == [(3, 3 * 48)] * 2, f"seed {seed}"


def deliver(day: Day, turns: Turns, waiting: list[str], name: str) -> None:
    def work() -> None:
        try:
            day.again(name)
        except (TransientError, ConflictError, Crash):
            waiting.append(name)

    turns.start(work)


def test_a_day_of_many_at_once_never_ends_above_its_bound() -> None:
    """What is granted to unnamed accounts and what they use, under contention, in every figure."""
    dice, store = Random(3), MemoryDocuments()
    allowances = DayAllowances(
        documents=store,
        limits={"files": 10, "bytes": 1000, "pixels": 500, "documents": 100},
        anonymous_accounts=POTS,
        is_anonymous=lambda _account: True,
        now=lambda: NOON,
        wait=lambda _seconds: None,
        dice=Random(3),
    )
    served = {"files": 0, "bytes": 0, "pixels": 0}
    for _ in range(600):
        use = {"files": 1, "bytes": dice.randrange(100), "pixels": dice.randrange(120)}
        try:
            allowances.charge(dice.choice([NOBODY, *(f"g{number}" for number in range(50))]), use)
        except UsedUpError:
            continue
        served = {name: amount + use[name] for name, amount in served.items()}
    assert served["files"] <= 10 * POTS
    assert served["bytes"] <= 1000 * POTS
    assert 0.8 * 500 * POTS <= served["pixels"] <= 500 * POTS


def test_a_file_that_was_looked_at_and_put_off_is_counted_and_one_that_was_not_even_read_is_not() -> None:
    """What lacks pixels has been read; what lacks files is put off before that."""
    day = Day(limits=LIMITS | {"files": 2, "pixels": 50})
    assert [day.store(image("ana", number)) for number in range(3)] == [
        MediaOutcome.SETTLED, MediaOutcome.WAITING, MediaOutcome.WAITING,
    ]  # fmt: skip
    [used] = day.used()
    assert (used["files"], used["bytes"], used["pixels"]) == (2, 2 * len(PICTURE), 48)


def test_whether_an_account_has_a_name_is_asked_once_for_a_check_and_its_charge() -> None:
    """A check that no charge followed is forgotten: the account may have a name by then."""
    day, answers = Day(), [True, False]
    vars(day.allowances)["is_anonymous"] = lambda _account: answers.pop(0)
    day.allowances.check("ana", {"files": 1})
    day.allowances.check("ana", {"files": 1})
    assert answers == []
    day.allowances.charge("ana", {"files": 1})
    assert not [path for path in day.world.documents if "pot-" in path]
