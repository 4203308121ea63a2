"""The official console's sockets: requests as rules judge them and log lines, in a real browser's own WebSocket."""

from __future__ import annotations

import gc
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration, ConfigurationError, load_configuration
from afterimage_emulator.hub.websocket import QUEUE_LIMIT_BYTES, socket_frame, take_socket_frame
from afterimage_emulator.suite import Suite
from tests.browser.page import Browser
from tests.emulator.console.test_console_api import RULES, load_rules, read_note
from tests.emulator.front.guarded_ports import FOREIGN, send

LONG_RULES = 200_000
REQUESTS = 160

LISTEN = """async (url) => {
  window.heard = [];
  window.socket = new WebSocket(url);
  socket.onmessage = ({ data }) => heard.push(JSON.parse(data));
  await new Promise((resolve, reject) => { socket.onopen = resolve; socket.onerror = reject; });
}"""
HEARD = """async (condition) => {
  const holds = new Function(`return ${condition}`);
  while (!holds()) await new Promise((resume) => requestAnimationFrame(resume));
  return window.heard;
}"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    file = tmp_path_factory.mktemp("official") / "firebase.json"
    file.write_text('{"emulators": {"logging": {"port": 4500}, "firestore": {"websocketPort": 9150}}}')
    configuration = load_configuration(file, project_id=f"demo-official-{os.getpid()}")
    assert {name: at.port for name, at in configuration.official_sockets.items()} == {"logging": 4500, "requests": 9150}
    with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True, console=True)) as started:
        load_rules(started)
        yield started


def test_requests_come_with_their_past_and_as_they_are_judged(browser: Browser, running: BackgroundSuite) -> None:
    """First one array of what was judged before, then each for itself; by which line, and in whose words."""
    read_note(running, "alice", "bob")
    page = browser.open()
    page.run(LISTEN, f"ws://{running.address('requests')}/requests")
    [[past]] = page.run(HEARD, "heard.length === 1")
    assert (past["outcome"], past["rulesContext"]["method"]) == ("deny", "get")
    assert past["rulesContext"]["request"]["auth"] == {"uid": "bob"}
    assert past["rulesContext"]["path"] == "/databases/(default)/documents/notes/alice"
    assert past["granularAllowOutcomes"] == [{"line": 6, "outcome": "deny"}]
    assert past["rules"] == RULES
    read_note(running, "alice", "alice")
    later = page.run(HEARD, "heard.length === 2")[1]
    assert (later["outcome"], later["granularAllowOutcomes"]) == ("allow", [{"line": 6, "outcome": "allow"}])
    page.run("async () => { await new Promise((closed) => { socket.onclose = closed; socket.close(); }); }")


def test_log_lines_come_with_their_level_and_their_service(
    browser: Browser, running: BackgroundSuite, caplog: pytest.LogCaptureFixture
) -> None:
    """As the official suite's own log tells them; a listener that leaves takes its handler along."""
    caplog.set_level(logging.INFO, logger="afterimage_emulator")
    before = list(logging.getLogger("afterimage_emulator").handlers)
    page = browser.open()
    page.run(LISTEN, f"ws://{running.address('logging')}/")
    logging.getLogger("afterimage_emulator.functions").warning("[reader] not today")
    found = page.run(HEARD, "heard.some((one) => one.message === '[reader] not today')")
    [line] = [each for each in found if each["message"] == "[reader] not today"]
    assert line["level"] == "warn"
    assert line["data"] == {"metadata": {"emulator": {"name": "functions"}, "function": {"name": "reader"}}}
    page.close()
    while logging.getLogger("afterimage_emulator").handlers != before:
        running.call(lambda: None)


def test_the_official_page_is_told_where_everything_is(running: BackgroundSuite) -> None:
    """Without a token, as its own server asks; the address of the requests stands with Firestore's."""
    told = json.loads(send(running.address("ui"), "GET", "/api/config").body)
    host, _, port = running.address("requests").rpartition(":")
    assert (told["firestore"]["webSocketHost"], told["firestore"]["webSocketPort"]) == (host, int(port))
    assert told["logging"]["hostAndPort"] == running.address("logging")
    assert "requests" not in told


def test_foreign_pages_hear_nothing(running: BackgroundSuite) -> None:
    """A WebSocket asks nobody for leave, so the guard is asked; whatever is no WebSocket is told so."""
    upgrade = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-key": "x", "sec-websocket-version": "13"}
    for name in ("requests", "logging"):
        for origin in FOREIGN:
            assert send(running.address(name), "GET", "/requests", {**upgrade, "origin": origin}).status == 403
        assert send(running.address(name), "GET", "/requests").status == 400
    assert send(running.address("hub"), "GET", "/", upgrade).status == 400


def test_pings_are_answered_and_endless_messages_end_the_socket(running: BackgroundSuite) -> None:
    """Frames in pieces, masked as clients send them; more than a client has to say is refused with its code."""
    host, _, port = running.address("logging").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        masked = bytes((0x89, 0x83)) + b"\x01\x02\x03\x04" + bytes((ord("a") ^ 1, ord("b") ^ 2, ord("c") ^ 3))
        for byte in masked:
            client.sendall(bytes((byte,)))
        assert client.recv(100) == socket_frame(0xA, b"abc")
        client.sendall(bytes((0x82, 0xFF)) + (10**9).to_bytes(8, "big") + b"mask" + b"x" * 70_000)
        received = b""
        while chunk := client.recv(4096):
            received += chunk
        assert take_socket_frame(bytearray(received)) == (0x8, (1009).to_bytes(2, "big"))


def test_a_client_that_never_reads_is_let_go(tmp_path: Path, project_id: str, caplog: pytest.LogCaptureFixture) -> None:
    """What waits for it is dropped once it is too much, it is told so where it reads on, and the suite forgets it."""
    file = tmp_path / "firebase.json"
    file.write_text('{"emulators": {"firestore": {"websocketPort": 9150}}}')
    configuration = load_configuration(file, project_id=project_id)
    told = 0
    with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True, console=True)) as running:
        load_rules(running, RULES + "// " + "x" * LONG_RULES)
        host, _, port = running.address("requests").rpartition(":")
        with socket.create_connection((host, int(port)), timeout=30) as client:
            client.sendall(
                b"GET /requests HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
            )
            assert client.recv(12) == b"HTTP/1.1 101"
            for _ in range(REQUESTS):
                assert read_note(running, "alice", "bob") == 403
            last = b""
            while chunk := client.recv(1 << 20):
                told += len(chunk)
                last = (last + chunk)[-4:]
        assert last == socket_frame(0x8, (1013).to_bytes(2, "big"))
        assert told < REQUESTS * LONG_RULES - QUEUE_LIMIT_BYTES
        assert read_note(running, "alice", "bob") == 403
    gc.collect()  # what failed unseen is told when it is collected
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_no_socket_is_served_that_nobody_named(tmp_path: Path, project_id: str) -> None:
    """Any page of this machine could listen; and a port that is none is named."""
    with BackgroundSuite(
        Suite(Configuration(root=tmp_path, project_id=project_id), only=("firestore",), free_ports=True, console=True)
    ) as plain:
        assert set(plain.suite.addresses()) == {"firestore", "hub", "ui"}
    file = tmp_path / "firebase.json"
    file.write_text('{"emulators": {"firestore": {"websocketPort": "9150"}}}')
    with pytest.raises(ConfigurationError, match=r"`emulators.firestore.websocketPort` must be a number"):
        load_configuration(file, project_id="demo")
