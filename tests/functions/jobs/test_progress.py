"""Jobs take turns: every page of work is done, and the same message twice does the work once."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from afterimage.faults import PermanentError, TransientError
from afterimage.jobs.progress import Page, Turn
from tests.functions.jobs.job_runner import Topic, dying
from tests.functions.media_world import Crash, World


class Counting:
    """Work of ten pages that counts in the job's document alone."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, turn: Turn) -> Page:
        self.calls += 1
        page = int(turn.cursor or 0)
        return Page(next_cursor=str(page + 1) if page < 9 else None, counts={"pages": 1})


@pytest.mark.parametrize("seed", range(60))
def test_each_page_counts_once_whatever_is_delivered_twice_or_dies(seed: int) -> None:
    """Duplicates, reordering and deaths between any two steps: ten pages are counted, and the job ends."""
    world, random = World(), Random(seed)
    topic = Topic(world=world, kind="media.sweep", messages=[({"job": "nightly"}, "m0")])
    dying(world, random, 0.1)
    topic.run(Counting(), random=random, duplicates=3)
    assert topic.job()["state"] == "done"
    assert topic.job()["counts"] == {"pages": 10}


def test_without_trouble_each_page_is_worked_once() -> None:
    """No message is published twice, so no page is worked twice."""
    world, work = World(), Counting()
    topic = Topic(world=world, kind="media.sweep", messages=[({}, "m0")])
    topic.run(work)
    assert (work.calls, topic.published) == (10, 9)


def test_the_same_message_again_starts_no_second_job() -> None:
    """A job that was not named is named after its message; another message is another job."""
    world, work = World(), Counting()
    topic = Topic(world=world, kind="media.sweep", messages=[({"prefix": "a"}, "m0")])
    topic.run(work)
    topic.messages = [({"prefix": "a"}, "m0")]
    topic.run(work)
    assert work.calls == 10
    topic.messages = [({"prefix": "a"}, "another")]
    topic.run(work)
    assert work.calls == 20


def test_a_turn_from_the_future_waits() -> None:
    """Its message overtook the write of the document; it is asked for again."""
    world = World()
    topic = Topic(world=world, kind="media.sweep")
    topic.jobs().receive({"job": "j"}, "m0", Counting())
    with pytest.raises(TransientError):
        topic.jobs().receive({"job": "j", "turn": 5}, "m1", Counting())


def test_a_name_taken_by_another_kind_is_refused() -> None:
    """Two kinds of job cannot share a document."""
    world = World()
    Topic(world=world, kind="media.sweep").jobs().receive({"job": "j"}, "m0", Counting())
    with pytest.raises(PermanentError, match="another name"):
        Topic(world=world, kind="media.backfill").jobs().receive({"job": "j"}, "m0", Counting())
    with pytest.raises(PermanentError, match="cannot name a job"):
        Topic(world=world, kind="media.backfill").jobs().receive({"job": "a/b"}, "m0", Counting())


def test_only_a_job_that_is_done_may_expire_and_one_set_going_again_may_not() -> None:
    """The time it may go stands in its document from its last turn on, and not while there is work left."""
    world, seen = World(), list[Any]()
    counting = Counting()

    def work(turn: Turn) -> Page:
        seen.append(topic.job()["expires_at"])
        return counting(turn)

    topic = Topic(world=world, kind="media.sweep", messages=[({"job": "j"}, "m0")])
    topic.run(work)
    done = topic.job()
    assert done["expires_at"] == done["updated_at"] + topic.jobs().keep_for
    records = world.stores().records
    record = records.read("_jobs/j")
    assert record is not None
    again = {**record.fields, "state": "running", "cursor": "5"}
    records.write(record.path, again, record)
    topic.messages = [({"job": "j", "turn": done["turn"]}, "by hand")]
    seen.clear()
    topic.run(work)
    assert seen == [done["expires_at"], None, None, None, None]
    assert topic.job()["expires_at"] > done["expires_at"]


def test_a_job_that_was_stopped_stays_until_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not done: its document has no time to go."""
    monkeypatch.setattr("afterimage.jobs.progress.MOST_TURNS", 3)
    topic = Topic(world=World(), kind="media.sweep", messages=[({"job": "j"}, "m0")])
    topic.run(Counting())
    assert topic.job()["state"].startswith("stopped")
    assert topic.job()["expires_at"] is None


@pytest.mark.parametrize(("failures", "level"), [((), "INFO"), (("a file: too large",), "WARNING")])
def test_the_end_of_a_job_is_one_line_to_set_an_alert_on(
    caplog: pytest.LogCaptureFixture, failures: tuple[str, ...], level: str
) -> None:
    """Its counts stand in it; with failures it is a warning."""
    topic = Topic(world=World(), kind="ledger.audit", messages=[({"job": "nightly"}, "m0")])
    with caplog.at_level("INFO", "afterimage.jobs"):
        topic.run(lambda _turn: Page(next_cursor=None, counts={"repaired": 2}, failures=failures))
    [line] = [record for record in caplog.records if record.getMessage().startswith("job `")]
    said = f'job `nightly` is done, {len(failures)} failures: {{"repaired": 2}}'
    assert (line.levelname, line.getMessage()) == (level, said)


def test_a_turn_is_not_lost_when_the_note_that_it_was_published_comes_late() -> None:
    """The message can be faster than its publisher's note; the note then comes between reading and moving on."""
    world, counting = World(), Counting()
    topic = Topic(world=world, kind="media.sweep", messages=[({"job": "j"}, "m0")])

    def work(turn: Turn) -> Page:
        page = counting(turn)
        records = world.stores().records
        record = records.read("_jobs/j")
        assert record is not None
        records.write(record.path, {**record.fields, "next_published": True}, record)
        return page

    topic.run(work)
    assert (topic.job()["state"], topic.job()["counts"]) == ("done", {"pages": 10})


def test_a_message_of_a_past_turn_publishes_nothing_once_the_next_is_noted() -> None:
    """However often a message comes again, the next turn has one message: its note in the document says so."""
    topic = Topic(world=World(), kind="media.sweep")
    topic.jobs().receive({"job": "j"}, "m0", Counting())
    assert [body for body, _ in topic.messages] == [{"job": "j", "turn": 1}]
    for _ in range(3):
        assert topic.jobs().receive({"job": "j"}, "m0", Counting()) == "running"
    assert topic.published == 1
    assert topic.job()["next_published"] is True


def test_a_turn_whose_publishing_died_is_published_by_the_message_that_comes_again() -> None:
    """Between moving on and publishing a process may die; the same message then does what is left, and does it once."""
    world = World()
    topic = Topic(world=world, kind="media.sweep")

    def dies_publishing(operation: str) -> None:
        if operation == "publish":
            raise Crash

    world.before = dies_publishing
    with pytest.raises(Crash):
        topic.jobs().receive({"job": "j"}, "m0", Counting())
    assert (topic.published, topic.job()["turn"], topic.job()["next_published"]) == (0, 1, False)
    world.before = lambda _operation: None
    for _ in range(2):
        topic.jobs().receive({"job": "j"}, "m0", Counting())
    assert (topic.published, topic.job()["turn"], topic.job()["next_published"]) == (1, 1, True)
