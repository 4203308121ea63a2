"""Functions that do what no function should: each is named, contained, and survived by all others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from afterimage_emulator.functions.instances import instances
from tests.emulator.functions.processes.test_life_of_a_codebase import is_alive
from tests.emulator.functions.running import PROJECT, Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
CODEBASE = """
import os, signal, sys, time
from firebase_functions import https_fn, options, pubsub_fn

def note(text):
    with open(os.environ["OUT_FILE"], "a") as file:
        file.write(f"{text}\\n")

@https_fn.on_request(max_instances=1)
def forks(request):
    if request.args["n"] in ("0", "1"):
        os.fork()
    def pieces():
        if request.args["n"] == "2":
            os.fork()
        yield f"answer {request.args['n']}"
    return https_fn.Response(pieces() if request.args["n"] in ("1", "2") else f"answer {request.args['n']}")

@pubsub_fn.on_message_published(topic="exit", concurrency=1)
def exits(event):
    how = event.data.message.attributes["how"]
    sys.exit({"number": 3, "text": "no way", "nothing": None}[how])

@pubsub_fn.on_message_published(topic="daemon")
def daemon(event):
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note(os.getpid())
            os.close(write)
            signal.pause()
        os._exit(0)
    os.close(write)
    os.read(read, 1)

@pubsub_fn.on_message_published(topic="brood", memory=options.MemoryOption.MB_256)
def brood(event):
    for _ in range(3):
        if os.fork() == 0:
            kept = b"x" * 100_000_000
            signal.pause()
    signal.pause()

@pubsub_fn.on_message_published(topic="swarm")
def swarm(event):
    for _ in range(8):
        if os.fork() == 0:
            signal.pause()
    signal.pause()

@pubsub_fn.on_message_published(topic="large", memory=options.MemoryOption.GB_1)
def large(event):
    note(f"large {len(event.data.message.data)}")

@pubsub_fn.on_message_published(topic="calm")
def calm(event):
    note("calm")
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bad(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    source = tmp_path_factory.mktemp("codebase")
    (source / "main.py").write_text(CODEBASE)
    async with serving(source, source / "notes") as running:
        yield running


async def test_a_forked_copy_does_not_answer_too(bad: Running) -> None:
    """Every request gets its own answer, also after one whose handler forked, before or while it answered."""
    for n in range(6):
        _, body = await bad.request(f"/{PROJECT}/us-central1/forks?n={n}")
        assert body == f"answer {n}".encode()


@pytest.mark.parametrize(
    ("how", "code", "log"), [("number", 3, []), ("text", 1, ["no way"]), ("nothing", 0, [])], ids=str
)
async def test_a_handler_that_exits_ends_its_process_and_no_other(
    bad: Running, how: str, code: int, log: list[str]
) -> None:
    """`sys.exit` in a handler is a crash with the code that it gives, and with its words."""
    gone = bad.publish("exit", attributes={"how": how})
    calm = bad.publish("calm")
    await bad.settled()
    (attempt,) = bad.attempts(gone)
    assert (attempt["outcome"], attempt["log"]) == ("crashed", log)
    assert f"exited with code {code}" in attempt["detail"]
    assert bad.attempts(calm)[0]["outcome"] == "ok"


async def test_the_memory_of_forked_copies_counts(bad: Running) -> None:
    """What a function's own processes use is used by the function; all of them end with it."""
    event_id = bad.publish("brood")
    await bad.settled()
    (attempt,) = bad.attempts(event_id)
    assert attempt["outcome"] == "out of memory", attempt
    assert "processes it started used" in attempt["detail"]
    assert "its memory limit is 256 MiB" in attempt["detail"]


async def test_a_function_that_starts_too_many_processes_is_stopped(
    bad: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fork bomb is named and ends with its process group, long before the machine does."""
    monkeypatch.setattr(instances, "PROCESSES_LIMIT", 5)
    event_id = bad.publish("swarm")
    await bad.settled()
    (attempt,) = bad.attempts(event_id)
    assert attempt["outcome"] == "crashed"
    assert "it had started 8 processes, and 5 is what a function may have here" in attempt["detail"]


async def test_a_message_of_10_mb_arrives(bad: Running) -> None:
    """The largest message that Pub/Sub takes reaches its function, and the record does not keep it."""
    data = "A" * (10 * 1024 * 1024 // 3 * 4)
    event_id = bad.publish("large", data)
    await bad.settled()
    (attempt,) = bad.attempts(event_id)
    assert attempt["outcome"] == "ok", attempt
    assert f"large {len(data)}" in bad.notes()
    assert await bad.service.replay(event_id) == 0


async def test_a_process_that_slipped_away_ends_with_the_suite(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """A daemon with a session of its own is adopted by the codebase's process and ended with it."""
    async with serving(write_codebase(CODEBASE), tmp_path / "notes") as running:
        event_id = running.publish("daemon")
        await running.settled()
        assert running.attempts(event_id)[0]["outcome"] == "ok"
        daemon = int(running.notes()[0])
        assert is_alive(daemon)
        assert os.getsid(daemon) != os.getsid(0)
    async with asyncio.timeout(10):
        while is_alive(daemon):
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import os\nkept = bytes(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') * 9 // 10)", "MemoryError"),
        ("while True: pass", "took longer than 1 s; move slow work out of the module's top level"),
        ("import os\nos.write(1, bytes(range(256)) * 5_000)\nraise RuntimeError('after the noise')", "after the noise"),
        ("import os\nif os.fork(): os.wait()\nelse: os._exit(0)\nraise RuntimeError('by the parent')", "by the parent"),
    ],
    ids=["eats memory", "never ends", "prints binary", "forks"],
)
async def test_a_codebase_that_misbehaves_in_its_import_is_named(
    write_codebase: Callable[[str], Path], tmp_path: Path, text: str, told: str
) -> None:
    """The suite starts, says why these functions do not, and waits for them to be mended."""
    source = write_codebase(text)
    if "1 s" in told:
        (source / ".env").write_text("FUNCTIONS_DISCOVERY_TIMEOUT=1\n")
    async with serving(source, tmp_path / "notes") as running:
        (line,) = running.service.summary()
        assert line.startswith("codebase default does not load: ")
        assert told in line
