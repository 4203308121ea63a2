"""generations.expire: what is stuck ends, what lives goes on, and no file stays that no generation names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from afterimage.jobs.expire import Expire
from afterimage.store.documents import Change, Expect
from tests.functions.jobs.job_runner import dying
from tests.functions.jobs.test_media_jobs import run_job
from tests.functions.media_world import World

STUCK_AFTER = timedelta(minutes=15)
DOCUMENT = "generations/alice/files/f1"
BEAT = f"{DOCUMENT}/worker/beat"


def at(world: World, path: str) -> datetime:
    return datetime.fromtimestamp(world.documents[path][2] / 1e9, UTC)


def job(world: World, now: datetime, page: int = 100) -> Expire:
    return Expire(
        documents=world.store,
        files=world.uploads,
        bucket="uploads",
        stuck_after=STUCK_AFTER,
        page=page,
        now=lambda: now,
    )


def run(world: World, now: datetime, body: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return run_job(world, "generations.expire", job(world, now, options.pop("page", 100)).turn, body, **options)


def opened(world: World, document: str = DOCUMENT, *, with_beat: bool = True, **fields: Any) -> None:
    world.store.put(document, {"status": "processing", "user_id": "alice", **fields})
    if with_beat:
        world.store.put(f"{document}/worker/beat", {"run": "r1"})


@pytest.mark.parametrize("with_beat", [True, False])
def test_a_generation_whose_worker_is_silent_ends_as_failed(with_beat: bool) -> None:
    """Also one of a worker that never gave a sign of life; the reason can be shown, and the sign goes with it."""
    world = World()
    opened(world, with_beat=with_beat)
    done = run(world, at(world, BEAT if with_beat else DOCUMENT) + STUCK_AFTER)
    assert done["counts"] == {"processing seen": 1, "ended as failed": 1}
    ended = world.store.fields(DOCUMENT)
    assert (ended["status"], "15 minutes" in ended["reason"]) == ("failed", True)
    assert isinstance(ended["completed_at"], datetime)
    assert BEAT not in world.documents


def test_one_that_beats_goes_on_however_old_it_is() -> None:
    """The document was opened long ago, and its worker was heard a moment too late to be taken for dead."""
    world = World()
    opened(world)
    last = at(world, BEAT)
    long_ago = int((last - timedelta(hours=5)).timestamp() * 1e9)
    world.documents[DOCUMENT] = (world.store.fields(DOCUMENT), long_ago, long_ago)
    done = run(world, last + STUCK_AFTER - timedelta(seconds=1))
    assert done["counts"] == {"processing seen": 1}
    assert world.store.fields(DOCUMENT)["status"] == "processing"
    assert BEAT in world.documents


@pytest.mark.parametrize("moved", [DOCUMENT, BEAT])
def test_a_beat_between_the_look_and_the_end_saves_it(moved: str) -> None:
    """The commit demands both as they were read: nobody who lives is ended."""
    world = World()
    opened(world)
    now = at(world, BEAT) + STUCK_AFTER

    work = job(world, now).turn

    def beats(call: str) -> None:
        if call == "commit records":
            world.before = lambda _call: None
            world.store.put(moved, {**world.store.fields(moved), "beats": 1})

    def turn(asked: Any) -> Any:
        world.before = beats
        return work(asked)

    done = run_job(world, "generations.expire", turn)
    assert done["counts"] == {"processing seen": 1, "alive after all": 1}
    assert world.store.fields(DOCUMENT)["status"] == "processing"


def test_signs_of_life_of_what_has_ended_or_is_gone_are_removed() -> None:
    """One whose generation was deleted by its user, one whose worker died after the end; a living one stays."""
    world = World()
    for name, status in (("gone", None), ("ended", "completed"), ("alive", "processing")):
        opened(world, f"generations/alice/files/{name}")
        if status is None:
            world.store.drop(f"generations/alice/files/{name}")
        else:
            world.store.put(f"generations/alice/files/{name}", {"status": status})
    # Somebody's own collection of that name, deeper down, is none of these.
    world.store.put("generations/alice/files/x/worker/beat/worker/other", {})
    done = run(world, at(world, "generations/alice/files/alive"))
    assert done["counts"] == {"processing seen": 1, "beats removed": 2}
    assert [path for path in world.documents if path.endswith("/beat")] == ["generations/alice/files/alive/worker/beat"]


def stored(world: World, name: str, **metadata: str) -> int:
    return world.upload(f"generating/alice/image/{name}", b"png", **metadata).generation


def test_files_that_no_generation_names_are_deleted_and_others_stay() -> None:
    """Named is a file's content, not only its path; what no worker has marked is somebody else's."""
    world = World()
    marked = {"generation_run": "r1", "file_uid": "f1"}
    named = stored(world, "f1_0.png", **marked)
    stored(world, "f1_1.png", **marked)
    stored(world, "f1_2.png", **(marked | {"generation_run": ""}))
    stored(world, "gone.png", **(marked | {"file_uid": "gone"}))
    stored(world, "busy.png", **(marked | {"file_uid": "busy"}))
    stored(world, "old.png", **(marked | {"file_uid": "old"}))
    world.store.put(
        DOCUMENT,
        {"status": "completed", "files": [{"path": "generating/alice/image/f1_0.png", "generation": str(named)}]},
    )
    opened(world, "generations/alice/files/busy")
    world.store.put(
        "generations/alice/files/old",
        {"status": "completed", "files": [{"path": "generating/alice/image/old.png", "generation": "1"}]},
    )
    now = at(world, DOCUMENT)
    assert "files seen" not in run(world, now)["counts"], "without being asked"
    done = run(world, now, {"files": True}, page=2)
    assert (done["counts"]["files seen"], done["counts"]["files deleted"]) == (5, 3)
    left = sorted(name.rpartition("/")[2] for _, name in world.originals)
    assert left == ["busy.png", "f1_0.png", "f1_2.png"]


@pytest.mark.parametrize("seed", range(20))
def test_interrupted_anywhere_it_ends_in_the_same_state(seed: int) -> None:
    """The job dies between any two operations and messages come twice: each generation ends once, each orphan goes."""
    world, random = World(), Random(seed)
    for number in range(5):
        opened(world, f"generations/u{number}/files/f1", with_beat=number % 2 == 0)
        world.upload(f"generating/u{number}/image/f1.png", b"png", generation_run="r", file_uid="f1")
    now = max(at(world, path) for path in world.documents) + STUCK_AFTER
    heal = dying(world, random, 0.1)
    run(world, now, {"files": True}, page=2, random=random, duplicates=2)
    heal()
    states = {world.store.fields(path)["status"] for path in world.documents if path.count("/") == 3}
    assert states == {"failed"}
    assert not [path for path in world.documents if path.endswith("/beat")]
    assert world.originals == {}


def test_a_generation_that_cannot_be_ended_keeps_no_other_waiting() -> None:
    """It is named among the failures, and the rest ends."""
    world = World()
    for user in ("a", "b"):
        opened(world, f"generations/{user}/files/f1", with_beat=False)
    now = at(world, "generations/b/files/f1") + STUCK_AFTER
    commit = world.store.commit

    def refusing(writes: Any) -> Any:
        if writes[0].path == "generations/a/files/f1":
            raise ValueError("too large")
        return commit(writes)

    object.__setattr__(world.store, "commit", refusing)
    done = run(world, now)
    assert done["counts"]["ended as failed"] == 1
    assert done["failures"] == ["generations/a/files/f1: ValueError: too large"]
    world.store.commit([Change(path="generations/b/files/f1", expected=Expect.PRESENT)])
