"""A suite that is killed: whatever a client was told is there when the next one starts, and nothing half."""

from __future__ import annotations

import http.client
import random
import resource
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.durable.kill_worlds import PubSubWorld, StorageWorld, TasksWorld, World, survive_kills
from tests.emulator.durable.killable import Killable, request

WRITERS = 4
DOCUMENTS = "/v1/projects/demo-kills/databases/(default)/documents"


def numbers(suite: Killable) -> dict[str, int]:
    found: dict[str, int] = {}
    token = ""
    while True:
        _, page = suite.ask("GET", f"{DOCUMENTS}/cards?pageSize=300&pageToken={token}")
        for document in page.get("documents", []):
            found[document["name"].rpartition("/")[2]] = int(document["fields"]["x"]["integerValue"])
        token = page.get("nextPageToken", "")
        if not token:
            return found


@dataclass(slots=True)
class Told:
    """What one writer was told, and the last thing that it asked for."""

    documents: dict[str, int | None] = field(default_factory=dict)
    asked: dict[str, int | None] = field(default_factory=dict)


def writes_of(changes: dict[str, int | None]) -> dict[str, object]:
    root = DOCUMENTS.removeprefix("/v1/")
    return {
        "writes": [
            {"delete": f"{root}/cards/{name}"}
            if number is None
            else {"update": {"name": f"{root}/cards/{name}", "fields": {"x": {"integerValue": str(number)}}}}
            for name, number in changes.items()
        ]
    }


def write(
    suite: Killable, told: Told, writer: int, seed: int, count: threading.Semaphore, ended: threading.Event
) -> None:
    """Commits, one or two documents at a time, until the connection breaks."""
    chance = random.Random(f"{seed} {writer}")
    connection = http.client.HTTPConnection(suite.address, timeout=30)
    try:
        while not ended.is_set():
            number = None if chance.random() < 0.2 else chance.randrange(10**6)
            pair = chance.randrange(8)
            told.asked = {f"{writer}-{pair}-left": number, f"{writer}-{pair}-right": number}
            status, answer = request(connection, "POST", f"{DOCUMENTS}:commit", writes_of(told.asked))
            assert status == 200, answer
            told.documents |= told.asked
            count.release()
    except (OSError, http.client.HTTPException):
        return
    finally:
        connection.close()


def check(found: dict[str, int], told: list[Told]) -> None:
    """Each document is as it was told last, or as it was asked to be when nobody answered any more; pairs are one."""
    for one in told:
        was_done = all(found.get(name) == number for name, number in one.asked.items())
        for name, number in one.documents.items():
            expected = one.asked[name] if was_done and name in one.asked else number
            assert found.get(name) == expected, f"`{name}` is {found.get(name)}, and {expected} was told"
    for name, number in found.items():
        other = name.replace("left", "right") if name.endswith("left") else name.replace("right", "left")
        assert found.get(other) == number, f"`{name}` is {number} and `{other}` is {found.get(other)}: half a commit"


def survive_kills_of_commits(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    told: list[Told] = [Told() for _ in range(WRITERS)]
    for round_number in range(kills):
        suite = Killable(folder)
        found = numbers(suite)
        check(found, told)
        for one in told:  # what is there is what was told from now on
            names = one.documents.keys() | one.asked.keys()
            one.documents, one.asked = {name: found.get(name) for name in names}, {}
        count, ended = threading.Semaphore(0), threading.Event()
        writers = [
            threading.Thread(target=write, args=(suite, told[n], n, seed * 1000 + round_number, count, ended))
            for n in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        for _ in range(chance.randrange(1, 200)):
            count.acquire()
        suite.kill()
        ended.set()
        for writer in writers:
            writer.join()
    suite = Killable(folder)
    check(numbers(suite), told)
    suite.stop()


def test_what_was_acknowledged_survives_being_killed(tmp_path: Path) -> None:
    """Four writers, killed at a random acknowledgement with other commits under way, and started again."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    survive_kills_of_commits(tmp_path, 3, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_what_was_acknowledged_survives_two_hundred_kills(tmp_path: Path, seed: int) -> None:
    """Two hundred in all; those of the other services are three hundred more."""
    survive_kills_of_commits(tmp_path, 20, seed)


WORLDS: dict[str, type[World]] = {"storage": StorageWorld, "pubsub": PubSubWorld, "tasks": TasksWorld}


@pytest.mark.parametrize("service", WORLDS)
def test_each_service_keeps_what_it_told(tmp_path: Path, service: str) -> None:
    """As for commits: objects with their bytes and uploads half way, messages that nobody acknowledged, tasks."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    survive_kills(tmp_path, WORLDS[service](), 2, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("service", WORLDS)
def test_each_service_keeps_what_it_told_through_many_kills(tmp_path: Path, service: str, seed: int) -> None:
    """A hundred each."""
    survive_kills(tmp_path, WORLDS[service](), 20, seed)


def test_what_a_killed_suite_left_is_swept_up_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder with the key of the local account; that of a suite that runs stays, as do folders of others."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "local-firebase-of-another").mkdir()
    for name in ("killed", "runs", "next"):
        (tmp_path / name).mkdir()

    def folders() -> set[Path]:
        return set(tmp_path.glob("local-firebase-*")) - {tmp_path / "local-firebase-of-another"}

    killed = Killable(tmp_path / "killed")
    (left,) = folders()
    assert (left / "local-service-account.json").exists()
    killed.kill()
    runs = Killable(tmp_path / "runs")
    (of_runs,) = folders()
    assert of_runs != left
    following = Killable(tmp_path / "next")
    assert len(folders()) == 2
    assert of_runs in folders()
    assert (tmp_path / "local-firebase-of-another").exists()
    runs.stop()
    following.stop()
    assert folders() == set()


def test_the_sockets_of_a_killed_suite_are_swept_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of functions' sockets has an owner as well; one that nobody owns stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for name in ("killed", "next", "fn-of-another"):
        (tmp_path / name).mkdir()
    killed = Killable(tmp_path / "killed", "firestore", also=("functions",))
    left = set(tmp_path.glob("fn-*"))
    assert len(left) == 2
    killed.kill()
    following = Killable(tmp_path / "next", "firestore", also=("functions",))
    now = set(tmp_path.glob("fn-*"))
    assert now & left == {tmp_path / "fn-of-another"}
    following.stop()
    assert set(tmp_path.glob("fn-*")) == {tmp_path / "fn-of-another"}


def test_a_full_disk_is_said_and_costs_nothing(tmp_path: Path) -> None:
    """What finds no room is refused, what was told stays, and once there is room the suite goes on by itself."""
    suite = Killable(tmp_path)
    pid = suite.process.pid
    told: dict[str, int] = {}
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, limits[1]))
    answer: Any = None
    for number in range(2_000):
        status, answer = suite.ask("POST", f"{DOCUMENTS}:commit", writes_of({f"n{number}": number}))
        if status != 200:
            break
        told[f"n{number}"] = number
    assert (status, answer["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "cannot keep data: File too large; make room, and try again" in answer["error"]["message"]
    assert suite.ask("POST", f"{DOCUMENTS}:commit", writes_of({"refused": 1}))[0] == 429
    assert suite.ask("GET", f"{DOCUMENTS}/cards/refused")[0] == 404
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    status = 429
    while status == 429:  # it looks again every second
        status, _ = suite.ask("POST", f"{DOCUMENTS}:commit", writes_of({"after": 7}))
    assert status == 200
    suite.kill()
    again = Killable(tmp_path)
    found = numbers(again)
    assert told.items() <= found.items()
    assert found["after"] == 7
    assert "refused" not in found
    again.stop()
