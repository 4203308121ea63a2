"""Killed at any step: one document, the right files, and no orphan after the expiry has looked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from afterimage.jobs.expire import Expire
from afterimage.jobs.progress import Turn
from afterimage.store.cloud_files import CloudFiles
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage_client.worker.offline.drawing import draw
from afterimage_client.worker.worker import TAKEOVER_AFTER_SECONDS
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.worker.conftest import Stage, User, environment_of

PROGRAM = Path(__file__).with_name("dying_worker.py")
STUCK_AFTER = timedelta(minutes=15)
STORED = ["opening", "opened", "uploading", "uploaded", "uploading", "uploaded", "ending", "ended"]
INLINE = ["opening", "opened", "uploading", "uploaded", "uploading", "ending", "ended", "removing", "removed"]
BROKEN = [*STORED, "removing", "removed", "removing", "removed"]


class DyingWorkers:
    """Forks of one process, one after the other."""

    def __init__(self, suite: BackgroundSuite) -> None:
        environment = {**os.environ, **environment_of(suite), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def work(self, request: dict[str, Any], *, kill_at: int = 0, breaks: bool = False) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"request": request, "kill_at": kill_at, "breaks": breaks}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def dying(suite: BackgroundSuite) -> Iterator[DyingWorkers]:
    workers = DyingWorkers(suite)
    yield workers
    workers.close()


def expire(stage: Stage, user: User) -> None:
    """What the schedule and the nightly look do, after so long that every dead worker's silence is over."""
    stage.suite.advance_clock(STUCK_AFTER.total_seconds())
    job = Expire(
        documents=FirestoreDocuments(user.firestore),
        files=CloudFiles(user.bucket.client),
        bucket=user.bucket.name,
        stuck_after=STUCK_AFTER,
    )
    cursor: str | None = ""
    while cursor is not None:
        page = job.turn(Turn(request={"files": True}, cursor=cursor, counts={}))
        assert page.failures == ()
        cursor = page.next_cursor


def full_bucket(stage: Stage) -> None:
    stage.suite.clear_faults()
    match = {"service": "storage", "method": "POST", "resource": "/upload/*"}
    stage.suite.add_fault(FaultRule(action="fail", match=match, code=Code.PERMISSION_DENIED, skip=1))


@pytest.mark.parametrize("step", range(1, len(STORED) + 1), ids=lambda step: f"{step}-{STORED[step - 1]}")
def test_killed_at_any_step_the_next_worker_makes_it_whole(
    stage: Stage, user: User, dying: DyingWorkers, step: int
) -> None:
    """The queue delivers the job anew: one document, its files, and nothing besides."""
    asked = user.asks(num_images=2, seed=3)
    assert dying.work(asked, kill_at=step) == {"steps": STORED[:step], "killed": True}
    stage.suite.advance_clock(TAKEOVER_AFTER_SECONDS)
    response = stage.worker().handle(asked, draw)
    user.check_whole(response)
    assert user.documents() == ["f1"]
    expire(stage, user)
    user.check_whole(response)


@pytest.mark.parametrize(
    ("way", "steps"), [("stored", STORED), ("inline", INLINE), ("broken", BROKEN)], ids=["stored", "inline", "broken"]
)
def test_killed_at_any_step_and_never_asked_again_it_ends_and_leaves_nothing(
    stage: Stage, user: User, dying: DyingWorkers, way: str, steps: list[str]
) -> None:
    """On each of the ways a generation can go: the expiry ends it, and deletes what no document names."""
    for step in range(1, len(steps) + 1):
        if way == "inline":
            full_bucket(stage)
        asked = user.asks(num_images=2, seed=3, file_uid=f"{way}-{step}")
        answer = dying.work(asked, kill_at=step, breaks=way == "broken")
        assert answer == {"steps": steps[:step], "killed": True}
    stage.suite.clear_faults()
    expire(stage, user)
    named: set[str] = set()
    for step in range(1, len(steps) + 1):
        file_uid, told = f"{way}-{step}", steps[:step]
        document = user.document(file_uid)
        if "opened" not in told:
            assert document is None
            continue
        assert document is not None
        expected = "completed" if "ended" in told and way != "broken" else "failed"
        assert document["status"] == expected, file_uid
        assert bool(document["reason"]) == (expected == "failed"), file_uid
        assert not user.has_beat(file_uid)
        named |= {file["path"].removeprefix(f"generating/{user.uid}/") for file in document["files"]}
    assert set(user.files()) == named
    assert named == ({"image/stored-8_0.png", "image/stored-8_1.png"} if way == "stored" else set())


def test_told_to_stop_it_ends_as_failed_before_it_goes(stage: Stage, user: User, tmp_path: Path) -> None:
    """SIGTERM is what an orchestrator sends; the exit code is the one that shells show for it."""
    program = tmp_path / "stopped.py"
    program.write_text(
        "import json, signal, sys\n"
        "from afterimage_client.worker.worker import Worker\n"
        "with Worker.from_environment().generation(json.loads(sys.argv[1])) as job:\n"
        "    print('open', flush=True)\n"
        "    signal.pause()\n"
    )
    environment = {**os.environ, **stage.environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, str(program), json.dumps(user.asks())], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    process.stdout.close()
    document = user.document()
    assert document is not None
    assert (document["status"], document["reason"]) == ("failed", "the worker was stopped")
    assert not user.has_beat()
