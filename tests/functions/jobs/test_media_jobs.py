"""The media jobs: what events missed is found, what is orphaned goes, and nothing is done unasked."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from afterimage.delivery.dead_letters import DeadLetter, DeadLetters
from afterimage.faults import PermanentError
from afterimage.jobs.backfill import Backfill
from afterimage.jobs.erase import Erase
from afterimage.jobs.progress import Turn
from afterimage.jobs.replay import Replay
from afterimage.jobs.sweep import Sweep
from afterimage.media.pipeline import Pipeline
from afterimage.publications.publications import Publications
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.jobs.job_runner import Topic, dying
from tests.functions.media.test_once import NAMES, PICTURES, oracle, settled
from tests.functions.media.test_once import SETTINGS as ONCE
from tests.functions.media_world import Crash, World

SETTINGS = replace(ONCE, originals_bucket="uploads")
OTHER_PLAN = replace(SETTINGS, plan_overrides={"*": {"thumbnails": [3]}})


def pipeline_of(world: World, settings: Any = SETTINGS) -> Pipeline:
    return Pipeline(stores=world.stores(), settings=settings, workers=1)


def publications_of(world: World) -> Publications:
    return Publications(documents=world.store, has_cdn=True)


def run_job(world: World, kind: str, work: Any, body: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    topic = Topic(world=world, kind=kind, messages=[(body or {}, "m0")])
    topic.run(work, **options)
    job = topic.job()
    for path in [path for path in world.documents if path.startswith("_jobs/")]:
        del world.documents[path]
    return job


@pytest.mark.parametrize("seed", range(40))
def test_the_sweep_repairs_whatever_lost_events_and_deaths_have_left(seed: int) -> None:
    """Events get lost and functions die at any step; after one sweep (that dies too) the state is the oracle's."""
    world, random = World(), Random(seed)
    pipeline = pipeline_of(world)
    clock = [datetime(2026, 11, 2, tzinfo=UTC)]
    object.__setattr__(pipeline, "now", lambda: clock[0])
    heal = dying(world, random, 0.08)
    for _ in range(12):
        name = random.choice(NAMES)
        events = []
        old = world.originals.get(("uploads", name))
        if old and random.random() < 0.4:
            events.append(("deleted", world.remove(name).generation))
        else:
            events.append(("finalized", world.upload(name, random.choice(PICTURES)).generation))
            if old:
                events.append(("deleted", old[0].generation))
        for kind, generation in events:
            if random.random() < 0.6:
                with suppress(Crash):
                    getattr(pipeline, kind)("uploads", name, generation)
    clock[0] += timedelta(hours=1)
    sweep = Sweep(pipeline=pipeline, page=2, now=lambda: clock[0])
    run_job(world, "media.sweep", sweep.turn, random=random, duplicates=2)
    heal()
    assert (settled(world), world.derived) == oracle(world)


def test_a_second_sweep_finds_nothing_to_do() -> None:
    """What is settled is left alone: no write, no delete, no derivation."""
    world = World()
    for index, name in enumerate(NAMES):
        world.upload(name, PICTURES[index + 1])
    run_job(world, "media.sweep", Sweep(pipeline=pipeline_of(world)).turn)
    writes: list[str] = []
    world.after = writes.append
    topic = Topic(world=world, kind="media.sweep", messages=[({}, "m0")])
    topic.run(Sweep(pipeline=pipeline_of(world)).turn)
    assert set(writes) <= {"commit records"}, "only the job's own document is written"
    assert topic.job()["counts"]["originals seen"] == 3
    assert not {"settled", "orphans deleted", "records taken back"} & set(topic.job()["counts"])


def test_files_of_a_replaced_plan_go_after_a_while() -> None:
    """Clients may hold their paths for a day; then the sweep deletes them, and only them."""
    world = World()
    original = world.upload(NAMES[0], PICTURES[1])
    pipeline_of(world).finalized("uploads", NAMES[0], original.generation)
    old_files = set(world.derived)
    pipeline = pipeline_of(world, OTHER_PLAN)
    assert run_job(world, "media.backfill", Backfill(pipeline=pipeline).turn)["counts"]["settled"] == 1
    assert old_files < set(world.derived)
    young = Sweep(pipeline=pipeline, now=lambda: datetime(2026, 11, 1, 12, tzinfo=UTC))
    run_job(world, "media.sweep", young.turn)
    assert old_files < set(world.derived)
    run_job(world, "media.sweep", Sweep(pipeline=pipeline).turn)
    assert world.derived
    assert not old_files & set(world.derived)


def test_what_is_not_ours_in_the_derived_bucket_is_left_alone() -> None:
    """The sweep deletes only what has the form of a derived path."""
    world = World()
    world.derive("readme.txt", b"x", "text/plain")
    world.derive("uploads/media/gone.png/5/abcdef/thumb_2.webp", b"x", "image/webp")
    run_job(world, "media.sweep", Sweep(pipeline=pipeline_of(world)).turn)
    assert set(world.derived) == {"readme.txt"}


def test_a_dry_run_counts_and_changes_nothing() -> None:
    """How many, how many bytes, about how much money; no file, no record."""
    world = World()
    for index in range(7):
        world.upload(f"media/a{index}/x.png", PICTURES[1 + index % 3])
    world.upload("elsewhere/x.png", PICTURES[1])
    job = run_job(world, "media.backfill", Backfill(pipeline=pipeline_of(world), page=3).turn, {"dry_run": True})
    assert (job["counts"]["would derive"], job["counts"]["seen"]) == (7, 8)
    assert job["counts"]["bytes to read"] > 0
    assert job["counts"]["estimated micro-dollars"] > 0
    assert (settled(world), world.derived) == ({}, {})


def test_a_backfill_stops_at_its_cap_and_goes_on_when_asked_again() -> None:
    """`most` is the hard limit of what a slip can cost; what is done already does not count."""
    world = World()
    for index in range(9):
        world.upload(f"media/a{index}/x.png", PICTURES[1])
    backfill = Backfill(pipeline=pipeline_of(world), page=2)
    assert run_job(world, "media.backfill", backfill.turn, {"most": 4})["counts"]["settled"] == 4
    assert len(settled(world)) == 4
    assert run_job(world, "media.backfill", backfill.turn, {})["counts"]["settled"] == 5
    assert run_job(world, "media.backfill", backfill.turn, {})["counts"] == {"seen": 9, "as it should be": 9}


@pytest.mark.parametrize("request_", [{"prefx": "a"}, {"most": "9"}, {"dry_run": 1}])
def test_a_misspelt_request_is_refused(request_: dict[str, Any]) -> None:
    """An option nobody knows was meant to limit something: better to do nothing."""
    with pytest.raises(PermanentError, match=r"media\.backfill"):
        Backfill(pipeline=pipeline_of(World())).turn(Turn(request=request_, cursor="", counts={}))


def test_erasing_a_user_leaves_nothing_of_them_and_everything_of_others() -> None:
    """Files, derived files and documents go, however often the job dies; a neighbour with a longer id is spared."""
    world, random = World(), Random(7)
    pipeline = pipeline_of(world)
    for uid in ("ann", "anna"):
        for name in (f"users/{uid}/ai_generated/images/a_x.png", f"generating/{uid}/image/f_0.png"):
            pipeline.finalized("uploads", name, world.upload(name, PICTURES[1]).generation)
        for index in range(3):
            name = f"media/a{index}/{uid}.png"
            pipeline.finalized("uploads", name, world.upload(name, PICTURES[1], owner=uid).generation)
        world.store.put(f"ai_outputs/{uid}/dialogues/d", {})
        world.store.put(f"usage/{uid}", {})
    world.upload("media/a1/nobodys.png", PICTURES[1])
    heal = dying(world, random, 0.15)
    erase = Erase(pipeline=pipeline, documents=world.store, publications=publications_of(world), page=2, shared_page=2)
    job = run_job(world, "user.erase", erase.turn, {"uid": "ann"}, random=random, duplicates=2)
    heal()
    assert set(world.record("usage/ann") or {}) == {"erased_at", "expires_at"}
    del world.documents["usage/ann"]
    left = [*world.documents, *world.derived, *(name for _, name in world.originals)]
    assert not [path for path in left if "/ann/" in path or path.endswith(("/ann", "/ann.png"))]
    assert not [1 for fields, *_ in world.documents.values() if fields.get("owner") == "ann"]
    assert len([path for path in left if "/anna/" in path or path.endswith("/anna")]) > 5
    assert len([name for _, name in world.originals if name.startswith("media/")]) == 4
    assert len([path for path in world.documents if path.startswith("mediaObjects/")]) == 3
    assert (job["state"], job["counts"]["shared files deleted"]) == ("done", 3)
    pages: list[str] = []
    world.before = lambda operation: pages.append(operation) if operation == "page" else None
    again = run_job(world, "user.erase", erase.turn, {"uid": "ann"})
    assert len(pages) == 3 + 2, "the user's three folders, and all of media/ once, two files a page"
    assert (again["state"], again["counts"]) == ("done", {})


def test_erase_wants_exactly_one_user() -> None:
    """No uid, or something that would reach further than one user, is refused."""
    world = World()
    erase = Erase(pipeline=pipeline_of(world), documents=world.store, publications=publications_of(world))
    for uid in (None, "", "a/b", "..", 7):
        with pytest.raises(PermanentError):
            erase.turn(Turn(request={"uid": uid}, cursor="", counts={}))


def letter(name: str, generation: int, trigger: str = "media_finalized") -> DeadLetter:
    attributes = {"id": name, "type": "t", "source": "s", "time": "2026-11-01T00:00:00Z"}
    data = {"bucket": "uploads", "name": name, "generation": str(generation)}
    return DeadLetter.of(trigger=trigger, attributes=attributes, data=data, reason="r", at=datetime.now(UTC))


def test_replay_does_what_was_left_undone_and_closes_the_letters() -> None:
    """Old events are handled by the rules of new ones; letters of other triggers are left to their own jobs."""
    world = World()
    pipeline = pipeline_of(world)
    live = world.upload(NAMES[0], PICTURES[1])
    dead = world.upload(NAMES[1], PICTURES[1])
    pipeline.finalized("uploads", NAMES[1], dead.generation)
    world.remove(NAMES[1])
    kept = MemoryDocuments()
    letters = DeadLetters(kept)
    for one in (
        letter(NAMES[0], live.generation), letter(NAMES[1], dead.generation, "media_deleted"),
        letter(NAMES[2], 3), letter("x", 1, "ledger_written"),
    ):  # fmt: skip
        letters.record(one)
    job = run_job(world, "media.replay", Replay(pipeline=pipeline, letters=letters, page=2).turn)
    assert [fields["status"] for fields, *_ in kept.documents.values()].count("closed") == 3
    assert job["counts"] == {"letters": 3, "settled": 1, "taken back": 1, "gone": 1}
    assert (settled(world), world.derived) == oracle(world)
