"""From the first load to the last process: broken code, reloads, fresh processes, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from afterimage_emulator.environment import NO_DATABASE
from afterimage_emulator.functions.codebases.running_codebase import RunningCodebase
from tests.emulator.functions.running import PATIENCE_SECONDS, PROJECT, Running, new_service, serving

WRITTEN = """
import os
from firebase_functions import https_fn, pubsub_fn
from firebase_functions.params import IntParam, SecretParam, StringParam

GREETING = StringParam("GREETING", default="{{{{ params.PROJECT_ID }}}} says")
SECRET = SecretParam("TOKEN")
PLACES = IntParam("PLACES", default=3)
BORN = os.getpid()
{extra}

@pubsub_fn.on_message_published(topic="{topic}", concurrency=PLACES, secrets=["TOKEN"])
def heard(event):
    with open(os.environ["OUT_FILE"], "a") as file:
        file.write("{version}\\n")

@https_fn.on_request(secrets=[SECRET])
def tell(request):
    return https_fn.Response(f"{{GREETING.value}}|{{SECRET.value}}|{{os.environ['K_SERVICE']}}|{{BORN == os.getpid()}}")
"""


def written(version: str = "one", topic: str = "news", extra: str = "") -> str:
    return WRITTEN.format(version=version, topic=topic, extra=extra)


def codebase_of(running: Running) -> RunningCodebase:
    return running.service._running[0]


def all_processes(running: Running) -> list[int]:
    loaded = codebase_of(running).loaded
    assert loaded is not None
    assert loaded.host.pid is not None
    return [loaded.host.pid, *(pid for i in codebase_of(running).instances() if (pid := i._pid) is not None)]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_a_codebase_that_does_not_import_is_shown_and_loads_when_mended(
    write_codebase: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The traceback names the user's own line; saving a version that works is all it takes."""
    source = write_codebase("import os\n\ndef broken(:\n    pass\n")
    async with serving(source, tmp_path / "notes") as running:
        assert "SyntaxError" in running.service.summary()[0]
        assert "main.py" in caplog.text
        write_codebase("raise KeyError('no such setting')")
        await running.until(lambda: "KeyError" in running.service.summary()[0])
        assert "wsgi_server" not in caplog.text
        assert "host/" not in caplog.text
        write_codebase(written())
        await running.until(lambda: "heard" in running.service.functions())
        await running.settled()
        running.publish("news")
        await running.settled()
        assert running.notes() == ["one"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; sys.exit(4)", "SystemExit: 4"),
        ("import os; os._exit(4)", "ended with exit code 4"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
    ],
    ids=["sys.exit", "os._exit", "killed"],
)
async def test_a_codebase_that_ends_the_process_in_its_import_is_named(
    write_codebase: Callable[[str], Path], tmp_path: Path, text: str, told: str
) -> None:
    """However the import ends, the suite goes on and says how it ended."""
    async with serving(write_codebase(text), tmp_path / "notes") as running:
        assert told in running.service.summary()[0]


async def test_a_save_reloads_and_what_waits_is_served_by_the_new_code(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """New triggers count from the reload on; old ones are gone; a broken save leaves the last good version serving."""
    async with serving(write_codebase(written("one", "news")), tmp_path / "notes") as running:
        running.publish("news")
        await running.settled()
        write_codebase(written("two", "olds"))
        await running.until(lambda: " olds" in "".join(running.service.summary()))
        running.publish("news")
        running.publish("olds")
        await running.settled()
        assert running.notes() == ["one", "two"]
        write_codebase("raise RuntimeError('half typed')")
        await running.until(lambda: "RuntimeError" in "".join(running.service.summary()))
        running.publish("olds")
        await running.settled()
        assert running.notes() == ["one", "two", "two"]


async def test_a_reload_takes_the_process_that_waits_for_it(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """What takes long, starting Python and importing the frameworks, is done before the save; the new code runs."""
    source = write_codebase(written("one"))
    async with serving(source, tmp_path / "notes") as running:
        codebase = codebase_of(running)
        codebase.prepare()
        assert codebase._prepared is not None
        waiting = codebase._prepared.pid
        (source / ".env.local").write_text("GREETING=later\n")
        write_codebase(written("two", "olds"))
        await running.until(lambda: " olds" in "".join(running.service.summary()))
        assert codebase.loaded is not None
        assert codebase.loaded.host.pid == waiting
        running.publish("olds")
        await running.settled()
        assert running.notes() == ["two"]
        assert (await running.request(f"/{PROJECT}/us-central1/tell"))[1].startswith(b"later|")
        codebase.prepare()
        spare = codebase._prepared
        assert spare is not None
        assert spare.pid is not None
    assert not is_alive(spare.pid)


async def test_a_waiting_process_of_another_interpreter_is_not_taken(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """A virtual environment made while the suite runs counts from the next reload on."""
    source = write_codebase(written("one"))
    async with serving(source, tmp_path / "notes") as running:
        codebase = codebase_of(running)
        codebase.prepare()
        spare = codebase._prepared
        assert spare is not None
        assert spare.pid is not None
        (source / "venv" / "bin").mkdir(parents=True)
        (source / "venv" / "bin" / "python").write_text(f'#!/bin/sh\nOWN=yes exec {sys.executable} "$@"\n')
        (source / "venv" / "bin" / "python").chmod(0o755)
        write_codebase(
            "import os\nfrom firebase_functions import https_fn\n"
            "@https_fn.on_request()\ndef own(request):\n    return os.environ['OWN']\n"
        )
        await running.until(lambda: "own" in running.service.functions())
        assert (await running.request(f"/{PROJECT}/us-central1/own"))[1] == b"yes"
        assert not is_alive(spare.pid)


async def test_a_reload_lets_the_work_under_way_finish(write_codebase: Callable[[str], Path], tmp_path: Path) -> None:
    """An event that is being handled while its code is replaced is handled to its end."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    opening = '    with open(os.environ["OUT_FILE"]'
    source = write_codebase(written("old").replace(opening, f"    open({str(gate)!r}).read()\n{opening}"))
    async with serving(source, tmp_path / "notes") as running:
        event_id = running.publish("news")
        writer = await asyncio.to_thread(os.open, gate, os.O_WRONLY)  # returns when the function has begun to read
        write_codebase(written("new", "olds"))
        await running.until(lambda: " olds" in "".join(running.service.summary()))
        assert running.attempts(event_id)[0]["outcome"] == "running"
        os.close(writer)
        await running.settled()
        assert running.attempts(event_id)[0]["outcome"] == "ok"
        assert running.notes() == ["old"]


async def test_parameters_and_secrets_come_from_the_env_files(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """Later files win, `.secret.local` holds secrets, defaults are resolved, options take parameters."""
    source = write_codebase(written())
    (source / ".env").write_text("PLACES=1\nUNUSED=1\n")
    (source / f".env.{PROJECT}").write_text("PLACES=2\n")
    (source / ".secret.local").write_text('TOKEN="s3cret # not a comment"\n')
    async with serving(source, tmp_path / "notes") as running:
        assert running.service.functions()["heard"].concurrency == 2
        _, body = await running.request(f"/{PROJECT}/us-central1/tell")
        assert body == f"{PROJECT} says|s3cret # not a comment|tell|False".encode()


async def test_a_codebase_that_cannot_be_forked_runs_in_fresh_processes(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """Threads do not survive a fork, so code that starts some in its import is imported by each instance itself."""
    extra = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "@https_fn.on_request()\ndef peek(request):\n    return str(os.environ.get('TOKEN'))"
    )
    source = write_codebase(written(extra=extra))
    (source / ".secret.local").write_text("TOKEN=s3cret\n")
    async with serving(source, tmp_path / "notes") as running:
        _, body = await running.request(f"/{PROJECT}/us-central1/tell")
        assert body.endswith(b"|s3cret|tell|True")
        assert (await running.request(f"/{PROJECT}/us-central1/peek"))[1] == b"None"
        processes = [pid for i in codebase_of(running).instances() if (pid := i._pid) is not None]
        assert processes
        assert all(map(is_alive, processes))
    assert not any(map(is_alive, processes))


async def test_a_static_manifest_takes_the_place_of_discovery(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """functions.yaml is what the platform would be told, so it is what counts here."""
    source = write_codebase(written())
    (source / "functions.yaml").write_text(
        "specVersion: v1alpha1\nendpoints:\n  renamed:\n    entryPoint: tell\n    httpsTrigger: {}\n"
        "    vpc:\n      connector: c\n"
        "  queue:\n    entryPoint: tell\n    blockingTrigger:\n      eventType: user.beforeSendSms\n"
        "  database:\n    entryPoint: tell\n"
        "    eventTrigger:\n      eventType: google.firebase.database.ref.v1.written\n"
    )
    async with serving(source, tmp_path / "notes") as running:
        assert set(running.service.functions()) == {"renamed", "database"}
        assert running.service.summary()[2:] == [
            "not run: queue: blocking functions for `user.beforeSendSms` are not implemented here",
            f"only by hand: database; {NO_DATABASE}",
            "without effect here: vpc of renamed",
        ]
        answer, _ = await running.request(f"/{PROJECT}/us-central1/renamed")
        assert answer.status == 200


def with_child(then: str = "") -> str:
    """Code whose function starts a process of its own and notes its id."""
    opening = '    with open(os.environ["OUT_FILE"], "a")'
    started = (
        '    child = subprocess.Popen(["sleep", "600"])\n'
        f'    open(os.environ["OUT_FILE"], "w").write(f"{{child.pid}}\\n")\n{then}'
    )
    return written(extra="import subprocess, time").replace(opening, started + opening)


async def test_nothing_is_left_when_the_service_closes(write_codebase: Callable[[str], Path], tmp_path: Path) -> None:
    """Host, instances, and what a function itself has started: all gone, also while it is busy; well within 2 s."""
    text = with_child("    time.sleep(600)\n")
    async with serving(write_codebase(text), tmp_path / "notes") as running:
        running.publish("news")
        await running.until(lambda: running.notes())
        processes = [*all_processes(running), int(running.notes()[0])]
        assert len(processes) == 3
        sockets = running.service._sockets
        assert sockets is not None
        async with asyncio.timeout(2):
            await running.service.close()
    await running.until(lambda: not any(map(is_alive, processes)))
    assert not sockets.exists()


async def test_what_was_prepared_and_never_started_goes_too(
    write_codebase: Callable[[str], Path], tmp_path: Path
) -> None:
    """A suite that fails to start closes its functions before they were loaded."""
    running = new_service(write_codebase(written()), tmp_path / "notes")
    running.service.prepare()
    prepared = codebase_of(running)._prepared
    assert prepared is not None
    pid = prepared.pid
    assert pid is not None
    assert is_alive(pid)
    await running.service.close()
    assert not is_alive(pid)


ORPHANED = """
import asyncio, sys
from pathlib import Path
from tests.emulator.functions.running import serving
from tests.emulator.functions.processes.test_life_of_a_codebase import all_processes

async def main():
    async with serving(Path(sys.argv[1]), Path(sys.argv[2])) as running:
        running.publish("news")
        await running.settled()
        print(*all_processes(running), running.notes()[0], flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def test_nothing_is_left_when_the_suite_is_killed(write_codebase: Callable[[str], Path], tmp_path: Path) -> None:
    """Even a suite that is killed without warning takes its hosts and their instances along."""
    arguments = [sys.executable, "-c", ORPHANED, str(write_codebase(with_child())), str(tmp_path / "notes")]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[4]) as suite:
        try:
            assert suite.stdout is not None
            processes = [int(word) for word in suite.stdout.readline().split()]
            assert len(processes) == 3
            assert all(map(is_alive, processes))
        finally:
            suite.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(is_alive, processes)):
        assert time.monotonic() < deadline, "processes outlive the suite"
        os.sched_yield()
