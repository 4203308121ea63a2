"""Functions: from an event to its handler, throughput, cold starts, schedules, reloads.

The floor is one round trip from this process to functions-framework itself, with nothing of the suite between.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import Codebase
from afterimage_emulator.events import CloudEvent, EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.functions.service import FunctionsService
from bench.measuring import Figure, percentile, show, takes_no_options

PROJECT = "demo-bench-functions"
EVENTS = 300
BURST = 5_000
SCHEDULES = 500
GROWTH_EVENTS = int(os.environ.get("GROWTH_EVENTS", "20000"))
CODEBASE = """
import os, time
from firebase_functions import pubsub_fn, scheduler_fn

@pubsub_fn.on_message_published(topic="timed")
def timed(event):
    with open(os.environ["TIMES"], "a") as file:
        file.write(f"{event.data.message.message_id} {time.time_ns()}\\n")

@pubsub_fn.on_message_published(topic="nothing")
def nothing(event):
    pass

@pubsub_fn.on_message_published(topic="cold", concurrency=1)
def cold(event):
    pass

def declare(number):
    @scheduler_fn.on_schedule(schedule="0 4 * * *", max_instances=1)
    def due(event):
        pass
    due.__firebase_endpoint__ = __import__("dataclasses").replace(due.__firebase_endpoint__, entryPoint=f"due{number}")
    globals()[f"due{number}"] = due
"""
BARE = """
import functions_framework
@functions_framework.cloud_event
def nothing(event):
    pass
"""


@dataclass(slots=True)
class Bench:
    """A running service over one codebase."""

    service: FunctionsService
    events: EventBus
    activity: Activity
    clock: Clock
    source: Path
    times: Path
    start_seconds: float

    def publish(self, topic: str, number: int) -> int:
        """The time at which the event was raised."""
        moment = "2026-01-01T00:00:00.000Z"
        message = {"data": "", "message_id": str(number), "publish_time": moment}
        event = CloudEvent(
            id=f"{topic}-{number}",
            source=f"//pubsub.googleapis.com/projects/{PROJECT}/topics/{topic}",
            type="google.cloud.pubsub.topic.v1.messagePublished",
            time=moment,
            data=json.dumps({"message": message, "subscription": "s"}).encode(),
            attributes={"topic": topic, "project": PROJECT},
        )
        raised_ns = time.time_ns()
        self.events.publish(event)
        return raised_ns

    def latencies_ms(self, raised: dict[int, int]) -> list[float]:
        lines = [line.split() for line in self.times.read_text().splitlines()]
        entered = {int(number): int(moment) for number, moment in lines}
        return [(entered[number] - raised_ns) / 1e6 for number, raised_ns in raised.items()]


@asynccontextmanager
async def serving(code: str) -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "functions"
        source.mkdir()
        (source / "main.py").write_text(code)
        clock, activity = Clock(), Activity()
        events = EventBus(clock=clock, faults=Faults(), activity=activity)
        service = FunctionsService(
            codebases=[Codebase(name="default", source=source)],
            project_id=PROJECT,
            clock=clock,
            events=events,
            activity=activity,
        )
        times = Path(folder) / "times"
        started = time.perf_counter()
        config = json.dumps({"projectId": PROJECT, "storageBucket": "b"})
        await service.start({"GCLOUD_PROJECT": PROJECT, "FIREBASE_CONFIG": config, "TIMES": str(times)})
        try:
            yield Bench(service, events, activity, clock, source, times, time.perf_counter() - started)
        finally:
            await service.close()


async def idle(bench: Bench) -> list[float]:
    raised = {}
    for number in range(EVENTS):
        raised[number] = bench.publish("timed", number)
        await bench.activity.settled()
    return bench.latencies_ms(raised)[20:]


async def at_rate(bench: Bench, per_second: int) -> list[float]:
    raised, loop = {}, asyncio.get_running_loop()
    started = loop.time()
    for number in range(1_000, 1_000 + per_second * 2):
        await asyncio.sleep(max(0.0, started + (number - 1_000) / per_second - loop.time()))
        raised[number] = bench.publish("timed", number)
    await bench.activity.settled()
    return bench.latencies_ms(raised)


async def throughput(bench: Bench, count: int = BURST) -> float:
    started = time.perf_counter()
    for first in range(0, count, 500):
        for number in range(first, min(first + 500, count)):
            bench.publish("nothing", number)
        await bench.activity.settled(60)
    return count / (time.perf_counter() - started)


async def cold_starts(bench: Bench) -> float:
    """The median first event of a process; instances end in between."""
    taken = []
    for number in range(12):
        started = time.perf_counter()
        bench.publish("cold", number)
        await bench.activity.settled()
        taken.append(time.perf_counter() - started)
        pool = bench.service._pools["cold"]
        for instance in tuple(pool.instances):
            instance.kill("bench")
        while pool.instances:  # noqa: ASYNC110 — nothing tells of a process that has gone
            await asyncio.sleep(0.001)
    return statistics.median(taken)


async def reload(bench: Bench) -> float:
    """From the save to the new function being there."""
    started = time.perf_counter()
    (bench.source / "main.py").write_text(CODEBASE.replace('topic="cold"', 'topic="warm"'))
    while " warm" not in "".join(bench.service.summary()):  # noqa: ASYNC110 — as a person would look
        await asyncio.sleep(0.005)
    return time.perf_counter() - started


async def schedules() -> float:
    async with serving(CODEBASE + f"\nfor number in range({SCHEDULES}): declare(number)\n") as bench:
        started = time.perf_counter()
        bench.clock.advance(24 * 3600)
        await bench.activity.settled(300)
        ran = [record for record in bench.service.records(failed_only=False) if record["type"] == "schedule"]
        assert len(ran) == SCHEDULES, len(ran)
        failed = [record for record in ran if record["outcome"] != "ok"]
        assert not failed, failed[0]
        return time.perf_counter() - started


def bare_round_trip_ms() -> float:
    """The floor: an event to functions-framework itself, over a connection that is kept."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "main.py"
        source.write_text(BARE)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "nothing",
             "--signature-type", "cloudevent", "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.01)
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
                return statistics.median(_bare_event(connection) for _ in range(300)) * 1000
        finally:
            process.terminate()
            process.wait(10)


def _bare_event(connection: http.client.HTTPConnection) -> float:
    headers = {"ce-id": "1", "ce-source": "//bench", "ce-type": "bench", "ce-specversion": "1.0",
               "content-type": "application/json"}  # fmt: skip
    started = time.perf_counter()
    connection.request("POST", "/", b"{}", headers)
    connection.getresponse().read()
    return time.perf_counter() - started


def memory_mib(pids: Iterable[int | str]) -> float:
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm") as file:
            total += int(file.read().split()[1])
    return total * resource.getpagesize() / 2**20


async def growth(bench: Bench, events: int) -> tuple[float, float]:
    """Memory of the suite's process, and of the codebase's processes that live from the first to the last event."""
    (running,) = bench.service._running
    assert running.loaded is not None
    pids = [running.loaded.host.pid, *(instance._pid for instance in bench.service._pools["nothing"].instances)]
    theirs = [pid for pid in pids if pid is not None]
    before_here, before_there = memory_mib(["self"]), memory_mib(theirs)
    await throughput(bench, events)
    return memory_mib(["self"]) - before_here, memory_mib(theirs) - before_there


async def measure() -> list[Figure]:
    floor = bare_round_trip_ms()
    async with serving(CODEBASE) as bench:
        first = await asyncio.wait_for(_timed(lambda: _one(bench, "nothing")), 30)
        quiet = await idle(bench)
        busy = await at_rate(bench, 200)
        cold = await cold_starts(bench)
        rate = await throughput(bench)
        grown_here, grown_there = await growth(bench, GROWTH_EVENTS)
        reloaded = await reload(bench)
        started = bench.start_seconds
    due = await schedules()
    return [
        Figure("codebase loaded and ready", started * 1000, "ms"),
        Figure("its very first event", first * 1000, "ms", note="goal 50"),
        Figure("cold function, first event (median)", cold * 1000, "ms", note="goal 50"),
        Figure("event → handler, idle, median", statistics.median(quiet), "ms", floor, "goal: 3 over the floor"),
        Figure("event → handler, idle, p99", percentile(quiet, 0.99), "ms", floor),
        Figure("event → handler at 200/s, median", statistics.median(busy), "ms", floor),
        Figure("event → handler at 200/s, p99", percentile(busy, 0.99), "ms", floor),
        Figure("events/s through a no-op", rate, "/s"),
        Figure(f"memory growth of the suite over {GROWTH_EVENTS:,} events", grown_here, "MiB"),
        Figure("… and of the codebase's processes", grown_there, "MiB"),
        Figure("save → reloaded", reloaded * 1000, "ms", note="goal 1,000"),
        Figure(f"{SCHEDULES} schedules due at once, all run, all cold", due, "s"),
    ]


async def _one(bench: Bench, topic: str) -> None:
    bench.publish(topic, 0)
    await bench.activity.settled()


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await work()
    return time.perf_counter() - started


def main() -> None:
    show("functions (floor: a bare functions-framework round trip)", asyncio.run(measure()))


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
