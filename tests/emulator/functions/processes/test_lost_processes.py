"""Processes that are killed, resources that run out: what is sent is delivered or recorded; functions come back."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.attempts import AttemptRecord
from afterimage_emulator.clock import Clock
from afterimage_emulator.functions.codebases.codebase_process import CodebaseProcess
from afterimage_emulator.functions.codebases.manifest import FunctionSpec, HttpTrigger
from afterimage_emulator.functions.codebases.revivals import (
    FAILED_LOADS_LIMIT,
    LONGEST_WAIT_SECONDS,
    STEADY_SECONDS,
    Revivals,
)
from afterimage_emulator.functions.deliveries.deliveries import FunctionCalls
from afterimage_emulator.functions.instances.function_pool import FunctionFailedError, FunctionPool, PoolRetiredError
from afterimage_emulator.functions.instances.instance_requests import InstanceRequest, request_head
from afterimage_emulator.functions.instances.instances import Instance
from tests.emulator.functions.processes.test_life_of_a_codebase import all_processes, codebase_of, is_alive
from tests.emulator.functions.running import PATIENCE_SECONDS, PROJECT, Running, message_event, serving

CODEBASE = """
import os, signal, stat
from firebase_functions import https_fn, pubsub_fn

MARKER = os.environ["OUT_FILE"] + ".dies"
if os.path.exists(MARKER):
    with open(MARKER, "a") as file:
        file.write("imported\\n")
    os.kill(os.getpid(), signal.SIGKILL)

if os.path.exists(os.environ["OUT_FILE"] + ".stillborn"):
    def die():
        with open(os.environ["OUT_FILE"], "a") as file:
            file.write("stillborn\\n")
        os._exit(7)
    os.register_at_fork(after_in_child=die)

def note(event):
    with open(os.environ["OUT_FILE"], "a") as file:
        file.write(f"{event.data.message.message_id}\\n")
    gate = event.data.message.attributes.get("gate")
    if gate and os.path.exists(gate):
        open(gate).read()

@pubsub_fn.on_message_published(topic="once")
def once(event):
    note(event)

@pubsub_fn.on_message_published(topic="again", retry=True)
def again(event):
    note(event)

@pubsub_fn.on_message_published(topic="narrow", max_instances=1, concurrency=1)
def narrow(event):
    note(event)

@pubsub_fn.on_message_published(topic="garbage")
def garbage(event):
    for name in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.write(int(name), b"nonsense\\r\\n\\r\\n")
        except OSError:
            pass

@https_fn.on_request()
def hello(request):
    return "hello"
"""


def host_pid(running: Running) -> int:
    loaded = codebase_of(running).loaded
    assert loaded is not None
    assert loaded.host.pid is not None
    return loaded.host.pid


def outcomes(running: Running, event_id: str) -> list[str]:
    return [attempt["outcome"] for attempt in running.attempts(event_id)]


def consequences(running: Running, event_id: str) -> list[str]:
    return [attempt["consequence"] for attempt in running.attempts(event_id) if attempt["consequence"]]


def unsettled(running: Running) -> list[dict[str, Any]]:
    return [record for record in running.service.records(failed_only=False) if record["outcome"] == "running"]


def kill(pid: int, dying: Iterable[int]) -> None:
    """Returns when all are dead, and before the suite has had a chance to hear of it."""
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(is_alive, dying)):
        assert time.monotonic() < deadline, "a killed process lives on"
        os.sched_yield()


@contextmanager
def gate_at(path: Path) -> Iterator[Path]:
    """A handler that is given it stays in it, until it is gone or the handler is."""
    os.mkfifo(path)
    yield path


async def test_a_killed_host_comes_back_at_once_and_what_is_sent_meanwhile_arrives(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """Killed again and again, with warm instances and without: every event is handled, in one attempt; requests too."""
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        sent: list[str] = []
        for round_number in range(4):
            before = host_pid(running)
            kill(before, all_processes(running))
            sent += [running.publish(topic) for topic in ("once", "again", "narrow") for _ in range(5)]
            answer, body = await running.request(f"/{PROJECT}/us-central1/hello")
            assert (answer.status, body) == (200, b"hello"), round_number
            await running.settled()
            assert host_pid(running) != before
            assert not is_alive(before)
        assert {event_id: outcomes(running, event_id) for event_id in sent} == {event_id: ["ok"] for event_id in sent}
        assert sorted(running.notes()) == sorted(sent)
        processes = all_processes(running)
    await running.until(lambda: not any(map(is_alive, processes)))


async def test_what_a_killed_host_was_at_work_on_is_a_failed_attempt(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """A handler that had begun fails with its process: tried again where the trigger says so, dropped if not."""
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        with gate_at(tmp_path / "gate") as gate:
            dropped, kept = (running.publish(topic, attributes={"gate": str(gate)}) for topic in ("once", "again"))
            await running.until(lambda: len(running.notes()) == 2)
            gate.rename(tmp_path / "opened")  # whoever comes again does not wait
            os.kill(host_pid(running), signal.SIGKILL)
            await running.settled()
        assert outcomes(running, dropped) == ["crashed"]
        assert running.attempts(dropped)[0]["consequence"] == "dropped, as its trigger does not ask for retries"
        assert outcomes(running, kept) == ["crashed", "ok"]


async def test_a_killed_instance_is_replaced_and_loses_nothing_that_it_had_not_begun(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """An idle process is killed: the next event goes to another one in the same attempt."""
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        sent: list[str] = []
        for _ in range(5):
            sent += [running.publish("narrow"), running.publish("narrow")]
            await running.settled()
            for pid in all_processes(running)[1:]:
                kill(pid, [pid])
        sent.append(running.publish("narrow"))
        await running.settled()
        assert [outcomes(running, event_id) for event_id in sent] == [["ok"]] * len(sent)
        assert sorted(running.notes()) == sorted(sent)


async def test_an_instance_that_ends_before_it_serves_anybody_is_not_replaced_again_and_again(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """Code that ends each fresh process costs one process an attempt, and the record has its exit code."""
    (tmp_path / "notes.stillborn").touch()
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        event_id = running.publish("once")
        await running.settled()
        (attempt,) = running.attempts(event_id)
        assert attempt["outcome"] == "crashed"
        assert "exited with code 7" in attempt["detail"]
        assert running.notes() == ["stillborn"]


async def test_a_host_that_dies_at_every_import_is_given_up_until_a_file_is_saved(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """So many starts and no more; what waited is recorded with the reason; code that works is taken at once."""
    source = write_codebase(CODEBASE)
    marker = tmp_path / "notes.dies"
    async with serving(source, tmp_path / "notes") as running:
        marker.touch()
        os.kill(host_pid(running), signal.SIGKILL)
        waited = running.publish("once")
        answer, body = await running.request(f"/{PROJECT}/us-central1/hello")
        await running.settled()
        late = running.publish("once")
        await running.settled()
        assert marker.read_text().splitlines() == ["imported"] * FAILED_LOADS_LIMIT
        assert (answer.status, b"does not come back" in body) == (502, True)
        for event_id in (waited, late):
            (attempt,) = running.attempts(event_id)
            assert attempt["outcome"] == "crashed"
            assert "does not come back; save a file of it to have it loaded again" in attempt["detail"]
            assert attempt["consequence"].startswith("dropped")
        assert "was killed" in "".join(running.service.summary())
        marker.unlink()
        (source / "main.py").write_text(CODEBASE + "\n# saved\n")
        await running.until(lambda: not codebase_of(running).error)
        again = running.publish("once")
        await running.settled()
        assert outcomes(running, again) == ["ok"]


def test_starts_come_at_once_then_more_slowly_and_end() -> None:
    """The first is immediate, waits double up to the longest, a steady life or a save forgets what was."""
    revivals = Revivals()
    waits = [revivals.wait_seconds(now=0.0) for _ in range(10)]
    assert waits[:5] == [0.0, 0.1, 0.2, 0.4, 0.8]
    assert waits[-1] == LONGEST_WAIT_SECONDS
    assert revivals.wait_seconds(now=LONGEST_WAIT_SECONDS + STEADY_SECONDS + 1) == 0.0
    assert revivals.wait_seconds(now=LONGEST_WAIT_SECONDS + STEADY_SECONDS + 2) == 0.1
    revivals.reset()
    assert revivals.wait_seconds(now=LONGEST_WAIT_SECONDS + STEADY_SECONDS + 3) == 0.0
    assert [revivals.load_failed() for _ in range(FAILED_LOADS_LIMIT)] == [True] * (FAILED_LOADS_LIMIT - 1) + [False]
    revivals.loaded()
    assert revivals.load_failed()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """This process may open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_temporary_folder(running: Running) -> Iterator[None]:
    """The folder of sockets is gone, and nothing can be made in its place."""
    sockets = running.service._sockets
    assert sockets is not None
    sockets.rename(sockets.with_name(f"{sockets.name}-away"))
    sockets.touch()
    try:
        yield
    finally:
        sockets.unlink()
        sockets.with_name(f"{sockets.name}-away").rmdir()


@pytest.mark.parametrize("lack", ["descriptors", "temporary folder"])
async def test_a_delivery_that_cannot_begin_is_a_failed_attempt(
    write_codebase: Callable[[str], Path], tmp_path: Path, lack: str
) -> None:
    """Whatever the machine lacks: recorded with its reason, tried again where the trigger says so; nobody waits on."""
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        running.clock.freeze()
        with no_descriptors() if lack == "descriptors" else no_temporary_folder(running):
            dropped = [running.publish("once"), *(running.publish("narrow") for _ in range(4))]
            kept = running.publish("again")
            await running.until(lambda: all(consequences(running, event_id) for event_id in [*dropped, kept]))
            assert unsettled(running) == []
            for event_id in dropped:
                (attempt,) = running.attempts(event_id)
                assert attempt["outcome"] == "crashed"
                assert "no instance could be started: [Errno" in attempt["detail"]
                assert attempt["consequence"].startswith("dropped")
        running.clock.advance(1)
        await running.settled()
        assert outcomes(running, kept) == ["crashed", "ok"]


async def test_an_answer_that_is_no_http_is_a_failed_attempt(plain_garbage: Running) -> None:
    """A handler that writes to the suite's own connection breaks its own attempt, and the record says how."""
    event_id = plain_garbage.publish("garbage")
    await plain_garbage.settled()
    (attempt,) = plain_garbage.attempts(event_id)
    assert attempt["outcome"] == "crashed"
    assert "its answer is not HTTP" in attempt["detail"]


@pytest.fixture
async def plain_garbage(write_codebase: Callable[[str], Path], tmp_path: Path) -> Any:
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        yield running


async def test_an_event_that_fits_no_request_is_recorded(plain_garbage: Running) -> None:
    """An event made by hand with half a character in its subject: the record names it, and the next one arrives."""
    event = message_event("once", "half-a-character")
    plain_garbage.service.send(replace(event, subject="\ud800"))
    whole = plain_garbage.publish("once")
    await plain_garbage.settled()
    (attempt,) = plain_garbage.attempts(event.id)
    assert (attempt["outcome"], attempt["consequence"]) == ("failed", "dropped, as it would fail again")
    assert "it cannot be sent" in attempt["detail"]
    assert outcomes(plain_garbage, whole) == ["ok"]


async def test_a_process_that_only_stands_ready_may_die_without_a_word(tmp_path: Path) -> None:
    """Nobody waits for it, and the next load starts another one: nothing is told as an error that nobody caught."""
    (tmp_path / "main.py").touch()
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    process = CodebaseProcess(source=tmp_path, python=Path(sys.executable), show=lambda line: None)
    lost = asyncio.Event()
    process.when_lost = lost.set
    process.spawn(dict(os.environ), early=True)
    process.kill()
    await asyncio.wait_for(lost.wait(), PATIENCE_SECONDS)
    await process.close()
    del process
    gc.collect()
    assert told == []


@pytest.mark.parametrize("first_ends", ["fails", "is cancelled"])
async def test_who_waits_for_a_start_that_fails_gets_one_of_its_own(first_ends: str) -> None:
    """Of several calls that wait for the same first instance, none waits on when it does not come."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def start(spec: FunctionSpec, gone: Callable[[Instance], None]) -> Instance:
        begun.set()
        await go_on.wait()
        raise OSError("no more processes")

    spec = FunctionSpec(name="f", entry_point="f", trigger=HttpTrigger(callable=False))
    pool = FunctionPool(spec, start=start, limit=1)
    request = InstanceRequest(head=request_head("GET", "/", [], 0))
    calls = [asyncio.ensure_future(pool.call(request)) for _ in range(4)]
    await begun.wait()
    if first_ends == "is cancelled":
        calls[0].cancel()
    go_on.set()
    ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), PATIENCE_SECONDS)
    assert isinstance(ends[0], asyncio.CancelledError if first_ends == "is cancelled" else FunctionFailedError)
    assert [str(end) for end in ends[1:]] == ["no instance could be started: no more processes"] * 3


async def test_an_instance_that_comes_after_its_pool_was_handed_over_is_ended() -> None:
    """A start takes a while; what arrives when the codebase is another one already serves nobody and is not kept."""
    go_on = asyncio.Event()
    spec = FunctionSpec(name="f", entry_point="f", trigger=HttpTrigger(callable=False))
    late = Instance(number=0, spec=spec, show=lambda line: None, gone=lambda instance: None)

    async def start(spec: FunctionSpec, gone: Callable[[Instance], None]) -> Instance:
        await go_on.wait()
        return late

    pool = FunctionPool(spec, start=start)
    call = asyncio.ensure_future(pool.call(InstanceRequest(head=request_head("GET", "/", [], 0))))
    await asyncio.sleep(0)
    pool.hand_over()
    go_on.set()
    with pytest.raises(PoolRetiredError):
        await call
    assert (pool.instances, late.fate) == ([], "its codebase was reloaded")
    await pool.close()


async def test_no_failure_of_the_suite_itself_leaves_an_attempt_running() -> None:
    """Whatever goes wrong between the event and its function ends the attempt, with the reason."""

    async def start(spec: FunctionSpec, gone: Callable[[Instance], None]) -> Instance:
        raise RuntimeError("a fault of the suite")

    async def never() -> None:
        await asyncio.Event().wait()

    spec = FunctionSpec(name="f", entry_point="f", trigger=HttpTrigger(callable=False))
    pool = FunctionPool(spec, start=start)
    calls = FunctionCalls(clock=Clock(), record=AttemptRecord(), find=lambda name: pool, replaced=never)
    request = InstanceRequest(head=request_head("GET", "/", [], 0))
    attempt, answer = await calls.call("f", request, what="GET /", work_id="request-1")
    assert answer is None
    assert attempt.outcome == "failed"
    assert "a fault of the suite" in attempt.detail


ORPHANED = """
import os, socket, sys
from afterimage_emulator.functions.host import instance
instance.become = lambda *_arguments: os.write(1, b"serves")
host = os.fork()
if host == 0:
    host = os.getpid()
    if os.fork() == 0:
        while os.getppid() == host:  # until whoever forked it is gone
            os.sched_yield()
        instance.become_forked(None, {}, -1, -1, socket.socket(), host=host)
    os._exit(0)
os.waitpid(host, 0)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a process is not told of its parent's end")
def test_an_instance_whose_host_is_killed_as_it_is_forked_does_not_stay() -> None:
    """It compares with the host that forked it, and not with whoever has taken it over by the time it looks."""
    ended = subprocess.run([sys.executable, "-c", ORPHANED], stdout=subprocess.PIPE, timeout=60, check=True)
    assert ended.stdout == b""
