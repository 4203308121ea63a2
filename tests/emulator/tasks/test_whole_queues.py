"""`check_invariants` of task queues: each fault that a mistake could leave behind is found and named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.faults import Faults
from afterimage_emulator.protos import messages
from afterimage_emulator.tasks.queues import Queues
from afterimage_emulator.tasks.service import TasksService
from tests.emulator.tasks.serving import PARENT

QUEUE = f"{PARENT}/queues/work"
TASK = f"{QUEUE}/tasks/one"
_protos = messages("google.cloud.tasks.v2")


@pytest.fixture
async def queues() -> AsyncIterator[Queues]:
    """One queue, one task that waits in it, and one that has ended."""
    service = TasksService(
        clock=Clock(frozen_at=datetime(2031, 1, 1, tzinfo=UTC)),
        activity=Activity(),
        faults=Faults(),
        record=AttemptRecord(),
    )
    service.queues.create_queue(PARENT, _protos.Queue(name=QUEUE))
    for name in (TASK, f"{TASK}-ended"):
        task = _protos.Task(name=name)
        task.http_request.url = "http://127.0.0.1:1/"
        service.queues.create_task(QUEUE, task)
    service.queues.delete_task(f"{TASK}-ended")
    service.queues.check_invariants()
    yield service.queues
    await service.close()


def misplace_a_queue(queues: Queues) -> None:
    queues._queues[f"{QUEUE}-else"] = queues._queues[QUEUE]


def misplace_a_task(queues: Queues) -> None:
    queue = queues._queues[QUEUE]
    queue._tasks[TASK].message.name = f"{QUEUE}-else/tasks/one"


def strand_a_task(queues: Queues) -> None:
    queues._queues[QUEUE]._waiting.clear()


def miscount_what_is_tried_again(queues: Queues) -> None:
    queues._queues[QUEUE]._retrying += 1


def pretend_an_attempt(queues: Queues) -> None:
    queues._queues[QUEUE]._tasks[TASK].is_under_way = True


def overfill_the_bucket(queues: Queues) -> None:
    queues._queues[QUEUE]._bucket.tokens += 1


def miscount_what_is_kept(queues: Queues) -> None:
    queues._kept_bytes += 1


FAULTS: dict[Callable[[Queues], None], str] = {
    misplace_a_queue: f"`{QUEUE}-else` holds the queue `{QUEUE}`",
    misplace_a_task: f"`{QUEUE}-else/tasks/one` waits in `{QUEUE}`",
    strand_a_task: f"`{TASK}` is neither under way nor waiting",
    miscount_what_is_tried_again: "0 tasks are tried again, 1 are counted",
    pretend_an_attempt: "1 tasks say that they are under way, 0 attempts are",
    overfill_the_bucket: "tokens are in a bucket of",
    miscount_what_is_kept: "bytes of ended tasks are counted",
}


@pytest.mark.parametrize(("harm", "named"), FAULTS.items(), ids=[harm.__name__ for harm in FAULTS])
async def test_each_fault_of_queues_is_named(queues: Queues, harm: Callable[[Queues], None], named: str) -> None:
    """A task that nobody would ever dispatch, and whatever else goes wrong, is found by its name."""
    harm(queues)
    with pytest.raises(AssertionError, match="not whole") as found:
        queues.check_invariants()
    assert named in str(found.value)
