"""What goes wrong with one machine: a full disk, a worker that died at its work, strangers who hide where they are."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from afterimage.generations.opening import Opening, Wish
from afterimage.generations.templates import TemplateGenerator
from afterimage.ledger.prices.pricing import Prices
from afterimage.store.documents import Change, Expect, NoRoomError, Replace
from afterimage.store.files import FileAbout
from afterimage_server.configuration import read_server_settings
from afterimage_server.machine import Machine, open_machine
from afterimage_server.store.machine_folder import MachineFolder, open_folder
from tests.server.server_process import listening_to

TEXT = FileAbout(content_type="text/plain; charset=utf-8")


def machine_in(folder: Path, **variables: str) -> Machine:
    return open_machine(read_server_settings({"LOCAL_STORAGE_PATH": str(folder), **variables}))


@contextmanager
def listening(machine: Machine) -> Iterator[str]:
    """The machine's own server, until both are closed; its address."""
    with listening_to(machine) as address:
        yield address
    machine.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes of its own, where this system lets one be made."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(folder: MachineFolder) -> tuple[dict[str, bytes], dict[str, int], int]:
    """Writes files and documents in turns until nothing more fits; what was acknowledged, and how often it was not."""
    files, documents, refused = dict[str, bytes](), dict[str, int](), 0
    for number in range(400):
        try:
            folder.files.write("b", f"f{number}", b"%d " % number * 20_000, TEXT, expected=Expect.ABSENT)
            files[f"f{number}"] = b"%d " % number * 20_000
        except NoRoomError:
            refused += 1
        try:
            fields = {"n": number, "text": "x" * 20_000}
            folder.documents.commit([Replace(path=f"d/{number}", fields=fields, expected=Expect.ABSENT)])
            documents[str(number)] = number
        except NoRoomError:
            refused += 1
        if refused > 30:
            break
    return files, documents, refused


def test_a_full_disk_refuses_what_does_not_fit_and_keeps_everything_else(small_disk: Path) -> None:
    """Every refusal is `NoRoomError`; what was acknowledged is whole, also after a start anew, and room helps."""
    folder = open_folder(small_disk / "machine")
    files, documents, refused = fill(folder)
    assert refused > 30
    assert files
    assert documents
    folder.files.delete("b", next(iter(files)))
    files.pop(next(iter(files)))
    folder.close()
    folder = open_folder(small_disk / "machine")
    folder.keeping.sweep()
    assert folder.heal_journal()
    assert {file.name: folder.files.read(file) for file in folder.files.walk("b", "")} == files
    found = [*folder.documents.page("d", "", 200), *folder.documents.page("d", "z", 200)]
    assert {each.id: each.fields["n"] for each in found} == documents
    assert folder.check_invariants() == []
    for name in files:
        folder.files.delete("b", name)
    folder.documents.commit([Replace(path="d/after", fields={"n": 1}, expected=Expect.ABSENT)])
    folder.tend_journal()
    assert not folder.journal.has_gap
    assert not folder.heal_journal()
    folder.close()


def test_what_a_dead_worker_had_taken_up_goes_on_at_once(tmp_path: Path) -> None:
    """Nobody waits until its claim runs out: whoever opens the folder is alone in it."""
    machine = machine_in(tmp_path)
    opening = Opening(
        documents=machine.folder.documents,
        generator=TemplateGenerator(),
        prices=Prices(),
        now=lambda: datetime.now(UTC),
    )
    key = opening.generation(Wish(uid="ana", operation="op", prompt="a shop", mode="classic"), None)
    claimed: dict[str, Any] = {"claim": "dead", "claimed_until": datetime.now(UTC) + timedelta(minutes=5)}
    machine.folder.documents.commit([Change(path=key.path, put=claimed)])
    machine.start_work()
    until = time.monotonic() + 60
    found = machine.folder.documents.read(key.path)
    while found is not None and found.fields["status"] != "completed" and time.monotonic() < until:
        time.sleep(0.02)
        found = machine.folder.documents.read(key.path)
    machine.stop_work()
    assert found is not None
    assert found.fields["status"] == "completed"
    machine.close()


def test_nobody_is_believed_where_a_request_came_from(tmp_path: Path) -> None:
    """A stranger who names another address with each request is counted as one, and is refused as one."""
    with listening(machine_in(tmp_path)) as address, httpx.Client(trust_env=False, timeout=60) as http:
        answers = [
            http.get(f"{address}/health", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
            for number in range(130)
        ]
    assert answers[0] == 200
    assert 429 in answers


def test_a_full_folder_is_told_with_its_code(tmp_path: Path) -> None:
    """`STORAGE_QUOTA_EXCEEDED` at the API, for the user's room and for the folder's, and a warning for the operator."""
    machine = machine_in(tmp_path, MAX_LOCAL_STORAGE_GB="0.001", QUOTA_GB="1")
    token = machine.tokens.make("ana", life=timedelta(days=1))
    headers = {"Authorization": f"Bearer {token}"}
    look = machine.services.look
    with listening(machine) as address, httpx.Client(trust_env=False, timeout=60, headers=headers) as http:
        save = f"{address}/api/phase5/storage/upload"
        assert http.post(save, params={"name": "a.txt"}, content=b"x" * 900_000).status_code == 200
        full = http.post(save, params={"name": "b.txt"}, content=b"y" * 900_000)
        assert (full.status_code, full.json()["code"]) == (507, "STORAGE_QUOTA_EXCEEDED")
        assert "MAX_LOCAL_STORAGE_GB" in full.json()["error"]
        assert any("% full" in line for line in look()["warnings"])
        assert len(http.get(f"{address}/api/phase5/storage/files").json()["files"]) == 1
