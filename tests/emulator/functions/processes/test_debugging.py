"""`--inspect-functions`: a debugger attaches, stops in a handler, looks around and lets it go on."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.commands.command_line import command_parser
from afterimage_emulator.configuration import Codebase, Configuration
from afterimage_emulator.suite import Suite
from tests.emulator.functions.processes.debug_adapter_client import DebugAdapterClient
from tests.emulator.functions.running import PATIENCE_SECONDS, message_event

PROJECT = "demo-debugging"
CODEBASE = """
import time
from firebase_functions import pubsub_fn

@pubsub_fn.on_message_published(topic="news", timeout_sec=1)
def news(event):
    text = event.data.message.attributes["text"].upper()
    print("heard", text)  # a breakpoint here

@pubsub_fn.on_message_published(topic="other")
def other(event):
    print("not inspected")
"""
LINE = CODEBASE.splitlines().index('    print("heard", text)  # a breakpoint here') + 1


class ToldPort(logging.Handler):
    """Hears from the suite's log where a debugger is awaited, as a person would read it on the terminal."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, int] = {}
        self._condition = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"\[(\w+)\] waiting for a debugger on 127\.0\.0\.1:(\d+)", record.getMessage())
        if found:
            with self._condition:
                self._told[found[1]] = int(found[2])
                self._condition.notify_all()

    def wait(self, function: str = "news") -> int:
        with self._condition:
            assert self._condition.wait_for(lambda: function in self._told, PATIENCE_SECONDS)
            return self._told[function]


@pytest.fixture
def told_port() -> Iterator[ToldPort]:
    handler, logger = ToldPort(), logging.getLogger("afterimage_emulator.functions")
    level = logger.level
    logger.setLevel("INFO")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def inspecting(write_codebase: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], BackgroundSuite]]:
    """Starts a suite that inspects the function of that name, or all for an empty name."""
    with contextlib.ExitStack() as stack:

        def start(name: str) -> BackgroundSuite:
            configuration = Configuration(
                root=tmp_path,
                project_id=PROJECT,
                codebases=(Codebase(name="default", source=write_codebase(CODEBASE)),),
            )
            suite = Suite(configuration, only=("functions",), free_ports=True, inspect=name)
            return stack.enter_context(BackgroundSuite(suite))

        yield start


def publish(running: BackgroundSuite, topic: str, text: str) -> None:
    event = message_event(topic, f"{topic}-{text}", project=PROJECT, attributes={"text": text})
    running.call(lambda: running.suite.events.publish(event))


def outcomes(running: BackgroundSuite) -> dict[str, str]:
    records = running.call(lambda: running.suite.records(failed_only=False))
    return {record["id"]: record["outcome"] for record in records}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


def debuggers(port: int) -> list[str]:
    """The processes that debugpy has started for a port."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = file.read_bytes().decode(errors="replace").split("\0")
            if str(port) in words and any("debugpy" in word for word in words):
                found.append(" ".join(words))
    return found


def test_a_debugger_stops_in_a_handler_and_lets_it_go_on(
    inspecting: Callable[[str], BackgroundSuite], tmp_path: Path, told_port: ToldPort
) -> None:
    """A breakpoint holds the handler for longer than its timeout; its variables can be read and changed there.

    Functions that are not inspected run on meanwhile, the event completes, and no process of the debugger stays behind.
    """
    running = inspecting("news")
    publish(running, "news", "hello")
    port = told_port.wait()
    assert debuggers(port)
    with DebugAdapterClient(port) as debugger:
        debugger.attach({str(tmp_path / "codebase" / "main.py"): [LINE]})
        stopped = debugger.event("stopped")
        assert stopped["reason"] == "breakpoint"
        top = debugger.request("stackTrace", threadId=stopped["threadId"])["stackFrames"][0]
        assert (top["name"], top["line"]) == ("news", LINE)
        assert debugger.local_variables(top["id"])["text"] == "'HELLO'"
        # The process itself waits: what must not happen is that the suite kills it at its timeout.
        debugger.request("evaluate", frameId=top["id"], expression="time.sleep(1.1)", context="repl")
        publish(running, "other", "meanwhile")
        until(lambda: outcomes(running).get("other-meanwhile") == "ok")
        assert outcomes(running)["news-hello"] == "running"
        debugger.set_local_variable(top["id"], "text", "'changed by hand'")
        debugger.request("continue", threadId=stopped["threadId"])
        running.settled()
        publish(running, "news", "again")
        debugger.request("continue", threadId=debugger.event("stopped")["threadId"])
        running.settled()
    records = running.call(lambda: running.suite.records(failed_only=False))
    assert [(record["id"], record["outcome"], record["log"][-1]) for record in records] == [
        ("news-hello", "ok", "heard changed by hand"),
        ("other-meanwhile", "ok", "not inspected"),
        ("news-again", "ok", "heard AGAIN"),
    ]
    running.stop()
    until(lambda: not debuggers(port))


def test_a_suite_stops_while_nobody_has_attached(
    inspecting: Callable[[str], BackgroundSuite], told_port: ToldPort
) -> None:
    """Without a name every function waits, each on a port of its own; the suite ends all the same, with all of it."""
    running = inspecting("")
    publish(running, "news", "hello")
    publish(running, "other", "hello")
    ports = told_port.wait("news"), told_port.wait("other")
    assert len(set(ports)) == 2
    assert all(map(debuggers, ports))
    running.stop()
    until(lambda: not any(map(debuggers, ports)))


@pytest.mark.parametrize(
    ("typed", "meant"), [(["--inspect-functions", "news"], "news"), (["--inspect"], ""), ([], None)]
)
def test_inspecting_is_asked_for_on_the_command_line(typed: list[str], meant: str | None) -> None:
    """With a function's name or without, written out or short."""
    assert command_parser().parse_args(["start", *typed]).inspect == meant
