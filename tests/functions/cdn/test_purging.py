"""Purging: what was taken back is forgotten by caches, whatever fails at first, and it can be shown that it was."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from afterimage.edges.cdn.port import PurgeLimits
from afterimage.edges.cdn.purge_job import PurgeJob, asked_for
from afterimage.edges.cdn.purging import Purger
from afterimage.edges.cdn.tokens import SharedTokens
from afterimage.edges.cdn.usage import book_usage
from afterimage.faults import PermanentError, TransientError
from afterimage.jobs.progress import Jobs
from afterimage.paths import CDN_TOKENS, cdn_day, purge_path, rate_limit_path
from afterimage.publications.purge_notes import SECOND_PASS_AFTER, cache_tag, purge_note
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.cdn.conftest import Network
from tests.functions.cdn.contract_server import NOON
from tests.functions.media_world import Crash


class Edge:
    """A network whose caches are full, notes of what they are to forget, and one clock for all."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.documents = MemoryDocuments()
        self.purger = Purger(documents=self.documents, provider=network.provider, now=lambda: self.now)

    @property
    def now(self) -> datetime:
        return self.network.here.now

    def withdraw(self, *publics: str) -> None:
        for public in publics:
            self.network.here.kept[f"/a/{public}"] = {cache_tag(public), cache_tag("everything")}
            self.documents.put(purge_path(public), purge_note(public, "gone", self.now))

    def note(self, public: str) -> dict[str, Any]:
        return self.documents.fields(purge_path(public))

    def jobs(self, waiting: list[dict[str, Any]]) -> Jobs:
        def publish(topic: str, body: Mapping[str, Any]) -> None:
            assert topic == "cdn.purge"
            waiting.append(dict(body))

        return Jobs(kind="cdn.purge", documents=self.documents, publish=publish)

    def run_job(self, body: dict[str, Any]) -> dict[str, Any]:
        """All turns of one job, as its topic would deliver them; returns its document."""
        topic = [body]
        while topic:
            self.jobs(topic).receive(topic.pop(0), "m", PurgeJob(purger=self.purger).turn)
        [job] = [fields for path, (fields, *_) in self.documents.documents.items() if path.startswith("_jobs/")]
        del self.documents.documents[next(path for path in self.documents.documents if path.startswith("_jobs/"))]
        return job


@pytest.fixture
def edge(network_here: Network) -> Edge:
    return Edge(network_here)


def publics(count: int) -> list[str]:
    return [f"{number:040x}" for number in range(count)]


def test_one_request_forgets_all_that_is_due(edge: Edge) -> None:
    """Fifty files taken back at once are one request, not fifty."""
    edge.withdraw(*publics(50))
    assert edge.purger.run().purged == 50
    assert edge.network.here.kept == {}
    assert len(edge.network.here.asked) == 1
    note = edge.note(publics(1)[0])
    assert (note["passes"], note["purged_at"]) == (1, NOON)
    assert note["receipts"][0].startswith(edge.network.provider.name)


def test_a_copy_that_reached_a_cache_behind_the_first_purge_is_forgotten_by_the_second(edge: Edge) -> None:
    """The origin had begun to answer before the file was taken back; its answer arrives after the purge."""
    [public] = publics(1)
    edge.withdraw(public)
    edge.purger.run()
    edge.network.here.kept["/late"] = {cache_tag(public)}
    assert edge.purger.run().found == 0, "not before such an answer must be over"
    edge.network.here.pass_time(SECOND_PASS_AFTER.total_seconds())
    edge.purger.run()
    assert edge.network.here.kept == {}
    assert edge.note(public)["state"] == "done"
    edge.network.here.pass_time(86_400)
    assert edge.purger.run().found == 0


def test_a_purge_that_fails_is_noted_and_comes_again_until_it_is_done(edge: Edge) -> None:
    """Nine attempts meet nothing but faults, for hours; the tenth does it, and the note shows all of it."""
    [public] = publics(1)
    edge.withdraw(public)
    edge.network.here.faults = [500] * 27
    for attempt in range(1, 10):
        assert edge.purger.run().postponed == 1
        note = edge.note(public)
        assert (note["attempts"], note["state"], note["passes"]) == (attempt, "pending", 0)
        assert "500" in note["error"]
        assert note["due_at"] > edge.now
        edge.network.here.pass_time((note["due_at"] - edge.now).total_seconds())
    assert edge.network.here.kept
    assert edge.purger.run().purged == 1
    assert edge.network.here.kept == {}
    assert edge.note(public)["error"] is None


def test_a_network_that_refuses_is_asked_again_later_too(edge: Edge) -> None:
    """A token that ran out is replaced by an operator; what was taken back meanwhile is not forgotten about."""
    [public] = publics(1)
    edge.withdraw(public)
    edge.network.here.faults = [403]
    assert edge.purger.run().postponed == 1
    edge.network.here.pass_time(3600)
    assert edge.purger.run().purged == 1


def test_the_network_is_never_asked_more_than_it_takes(edge: Edge) -> None:
    """Withdrawals in bursts, each followed by an event: all is purged in the end, and nothing was asked too often."""
    chance = random.Random(7)
    number = 0
    for _ in range(40):
        for _ in range(chance.randrange(16)):
            number += 1
            edge.withdraw(f"{number:040x}")
            edge.purger.run()
        edge.network.here.pass_time(15)
    for _ in range(5):
        edge.network.here.pass_time(3600)
        while not edge.purger.run().is_last:
            pass
    notes = [fields for path, (fields, *_) in edge.documents.documents.items() if path.startswith("_purges/")]
    assert len(notes) == number
    assert all(note["attempts"] == 0 and note["error"] is None and note["passes"] for note in notes)
    assert edge.network.here.too_many == 0
    assert edge.network.here.kept == {}


def test_one_who_takes_back_thousands_of_files_does_not_keep_another_s_waiting(edge: Edge) -> None:
    """Anybody can publish and take back more than a network takes by the tag: then all is forgotten with one."""
    *others, mine = publics(8001)
    edge.withdraw(*others)
    edge.network.here.pass_time(1)
    edge.withdraw(mine)
    minutes = 0
    while f"/a/{mine}" in edge.network.here.kept:
        while not edge.purger.run().is_last:
            pass
        edge.network.here.pass_time(60)
        minutes += 1
        assert minutes <= 4, f"{len(edge.network.here.kept)} files are still kept"
    assert edge.note(mine)["passes"] >= 1
    assert edge.network.here.too_many == 0


def test_what_is_taken_back_while_everything_is_forgotten_stays_due(edge: Edge) -> None:
    """Its copy may have come behind the purge; what was noted before is done."""
    edge.withdraw(*publics(700))
    edge.network.here.pass_time(3600)
    late, again = f"{'f' * 40}", publics(1)[0]
    commits = 0

    def withdraw_meanwhile(call: str) -> None:
        nonlocal commits
        commits += call == "commit"
        if commits == 2:
            commits += 1
            edge.withdraw(late, again)

    edge.documents.before = withdraw_meanwhile
    assert edge.purger.run().purged == 700
    edge.documents.before = lambda _call: None
    assert edge.network.here.purged == [{cache_tag("everything")}]
    assert [edge.note(each)["passes"] for each in (late, again, publics(2)[1])] == [0, 0, 1]
    assert edge.purger.run().purged == 2
    assert edge.network.here.kept == {}


def test_many_that_have_not_waited_are_forgotten_by_their_own_tags(edge: Edge) -> None:
    """One busy moment costs nobody else's copies; nor does one late file, however long the network was down."""
    edge.withdraw(*publics(700))
    edge.purger.run()
    edge.network.here.purged.clear()
    while not edge.purger.run().is_last:
        pass
    edge.withdraw("e" * 40)
    edge.network.here.pass_time(3600)
    edge.documents.documents = {
        path: held for path, held in edge.documents.documents.items() if not path.startswith("_purges/0")
    }
    assert edge.purger.run().purged == 1
    assert {cache_tag("everything")} not in edge.network.here.purged


def test_a_death_between_purge_and_note_purges_once_more(edge: Edge) -> None:
    """What was done and not noted is done again; under the same key, so a network that tells apart sees one."""
    [public] = publics(1)
    edge.withdraw(public)
    commits = 0

    def dies_at_the_second_commit(call: str) -> None:
        nonlocal commits
        commits += call == "commit"
        if commits == 2:
            commits += 1
            raise Crash

    edge.documents.before = dies_at_the_second_commit
    with pytest.raises(Crash):
        edge.purger.run()
    assert edge.note(public)["passes"] == 0
    assert edge.purger.run().purged == 1
    invalidations = getattr(edge.network.here, "invalidations", None)
    assert invalidations is None or len(invalidations) == 1


def test_a_file_taken_back_anew_while_it_is_purged_stays_due(edge: Edge) -> None:
    """Published and taken back again between two calls: the later note is about copies the purge has not met."""
    first, second = publics(2)
    edge.withdraw(first, second)
    commits = 0

    def withdraw_again(call: str) -> None:
        nonlocal commits
        commits += call == "commit"
        if commits == 2:
            commits += 1
            edge.withdraw(first)

    edge.documents.before = withdraw_again
    edge.purger.run()
    assert (edge.note(first)["passes"], edge.note(second)["passes"]) == (0, 1)
    assert edge.purger.run().purged == 1
    assert edge.network.here.kept == {}


def test_a_job_goes_on_to_the_end_and_shows_its_progress(edge: Edge) -> None:
    """A page a turn; the job's document counts what was purged, and what is left to the schedule."""
    most = min(edge.network.provider.limits.most_tags, 500)
    edge.withdraw(*publics(most + 5))
    job = edge.run_job({})
    assert job["state"] == "done"
    assert job["counts"] == {"purged": most + 5}
    edge.withdraw(*publics(3))
    edge.network.here.faults = [500, 500, 500]
    assert edge.run_job({})["counts"] == {"postponed": 3}


def test_an_operator_makes_caches_forget_everything(edge: Edge) -> None:
    """One tag stands on every answer of the origin; single files may be named as well."""
    edge.withdraw(*publics(4))
    edge.documents.documents.clear()
    job = edge.run_job({"publications": publics(1)})
    assert job["counts"] == {"noted": 1, "purged": 1}
    assert len(edge.network.here.kept) == 3
    edge.run_job({"everything": True})
    assert edge.network.here.kept == {}


@pytest.mark.parametrize(
    "request_", [{"tags": ["x"]}, {"everything": "yes"}, {"publications": "x"}, {"publications": ["../x"]},
                 {"publications": ["0" * 40] * 401}],
)  # fmt: skip
def test_a_request_that_cannot_be_meant_is_refused(request_: dict[str, Any]) -> None:
    """A misspelt request does not quietly purge nothing."""
    with pytest.raises(PermanentError):
        asked_for(request_)


def test_tokens_are_shared_by_all_instances_and_refill_with_time() -> None:
    """Two instances of one bucket take no more than one may; a clock that is behind takes nothing back."""
    now = [NOON]
    documents, limits = MemoryDocuments(), PurgeLimits(most_tags=1, burst=3, per_second=0.5)
    instances = [SharedTokens(documents=documents, provider="x", limits=limits, now=lambda: now[0]) for _ in range(2)]
    taken = [instances[turn % 2].take(1) == timedelta() for turn in range(6)]
    assert taken == [True, True, True, False, False, False]
    assert instances[0].take(1) == timedelta(seconds=2)
    now[0] -= timedelta(hours=1)
    assert instances[0].take(1) == timedelta(seconds=2)
    now[0] += timedelta(hours=1, seconds=2)
    assert [instances[0].take(1), instances[1].take(1)] == [timedelta(), timedelta(seconds=2)]
    other = SharedTokens(documents=documents, provider="y", limits=limits, now=lambda: now[0])
    assert other.take(3) == timedelta(), "another network's bucket is another's"


def test_no_user_s_own_limit_is_the_network_s() -> None:
    """Deployments choose the ids of their users; one of these may be called as anything of ours is."""
    assert rate_limit_path(CDN_TOKENS.rpartition("/")[2]) != CDN_TOKENS


def test_a_bucket_that_everybody_writes_is_given_up_on_for_now() -> None:
    """The caller is delivered again; no token is taken twice."""
    documents = MemoryDocuments()
    bucket = SharedTokens(
        documents=documents, provider="x", limits=PurgeLimits(most_tags=1, burst=3, per_second=1), now=lambda: NOON
    )

    def somebody_else(call: str) -> None:
        if call == "commit":
            documents.put(CDN_TOKENS, {"provider": "x", "tokens": 3.0, "at": NOON})

    documents.before = somebody_else
    with pytest.raises(TransientError):
        bucket.take(1)


def test_usage_reaches_the_operators_books_and_grows(edge: Edge) -> None:
    """The last two days, each a document that is written over; a network that does not tell writes none."""
    book_usage(edge.network.provider, edge.documents, NOON.date())
    written = {path for path in edge.documents.documents if path.startswith("operations/")}
    if edge.network.provider.name == "vercel":
        assert written == set()
        return
    assert written == {cdn_day("2026-11-29"), cdn_day("2026-11-28")}
    fields = edge.documents.fields(cdn_day("2026-11-29"))
    assert (fields["provider"], fields["requests"], fields["bytes"]) == (edge.network.provider.name, 1000, 5_000_000)
    assert fields["hit_rate"] == pytest.approx(0.9)
