"""What one machine does by itself: it keeps books of outputs, finds what they miss, and deletes what has expired."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from afterimage.paths import books_path
from afterimage.store.documents import ConflictError, Expect, Replace
from afterimage_server.configuration import read_server_settings
from afterimage_server.machine import Machine, open_machine
from afterimage_server.serving import tell_of_the_start
from afterimage_server.store.machine_folder import open_folder
from afterimage_server.work.machine_jobs import BY_TURN
from afterimage_server.work.tending import EXPIRING
from tests.waiting import waited_for

ROOT = Path(__file__).resolve().parents[2]


def machine_in(folder: Path) -> Machine:
    return open_machine(read_server_settings({"LOCAL_STORAGE_PATH": str(folder)}))


def output(number: int) -> Replace:
    """An output as a generation leaves it, of a model whose price everybody knows."""
    fields = {
        "model": "gemini-2.5-flash", "input_tokens": 1000, "output_tokens": 1000, "cached": False,
        "generated_at": datetime.now(UTC), "status": "completed",
    }  # fmt: skip
    return Replace(path=f"ai_outputs/ana/code/output-{number}", fields=fields, expected=Expect.ABSENT)


def booked(machine: Machine) -> dict[str, Any] | None:
    found = machine.folder.documents.read(books_path("ana"))
    return dict(found.fields) if found is not None else None


def test_every_output_is_in_the_books_at_once_however_many_come_together(tmp_path: Path) -> None:
    """Once each, with their cost: what operators are shown over the API is what was made here."""
    machine = machine_in(tmp_path)
    machine.start_work()
    waited_for(lambda: finished_jobs(machine))
    for number in range(12):
        machine.folder.documents.commit([output(number)])
    waited_for(lambda: (booked(machine) or {}).get("total_generations") == 12)
    fields = booked(machine)
    assert fields is not None
    assert fields["total_cost_usd"] > 0
    machine.stop_work()
    assert machine.folder.check_invariants() == []
    machine.close()


def test_what_the_books_miss_is_found_once_a_day(tmp_path: Path) -> None:
    """A folder from before there were books here, or one that was rescued without its queue."""
    folder = open_folder(tmp_path)
    folder.documents.commit([output(number) for number in range(3)])
    folder.close()
    machine = machine_in(tmp_path)
    machine.start_work()
    waited_for(lambda: (booked(machine) or {}).get("total_generations") == 3)
    states = waited_for(lambda: finished_jobs(machine))
    machine.stop_work()
    machine.close()
    assert set(states.values()) == {"done"}


def finished_jobs(machine: Machine) -> dict[str, str]:
    """The states of all jobs, once each of today's has ended."""
    found = {each.fields["kind"]: each.fields["state"] for each in machine.folder.documents.page("_jobs", "", 50)}
    return found if set(found) >= set(BY_TURN) and "running" not in found.values() else {}


def test_what_expires_in_the_cloud_expires_here(tmp_path: Path) -> None:
    """The groups are those whose documents the cloud deletes by their time; a begun link to a Drive is among them."""
    rules = json.loads((ROOT / "firestore.indexes.json").read_text())["fieldOverrides"]
    assert set(EXPIRING) == {rule["collectionGroup"] for rule in rules if rule.get("ttl")}
    machine = machine_in(tmp_path)
    past, ahead = (datetime.now(UTC) + timedelta(hours=hours) for hours in (-1, 1))
    for name, moment in (("gone", past), ("stays", ahead)):
        fields = {"expires_at": moment}
        writes = [Replace(path=f"{group}/{name}", fields=fields, expected=Expect.ABSENT) for group in EXPIRING]
        machine.folder.documents.commit(writes)
    assert machine.tending.forget_expired() == len(EXPIRING)
    left = [machine.folder.documents.read(f"{group}/stays") is not None for group in EXPIRING]
    machine.close()
    assert all(left)


def test_a_setting_that_means_nothing_here_is_named_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With its reason: who sets a network in front would otherwise wait for what never comes."""
    settings = read_server_settings(
        {"DEFAULT_CDN": "cloudflare", "CDN_BASE_URL": "https://cdn.example.com", "SUPABASE_URL": "https://x"}
    )
    tell_of_the_start(settings, is_rescued=False)
    for name, why in (("DEFAULT_CDN", "publishes nothing"), ("CDN_BASE_URL", ""), ("SUPABASE_URL", "Cloud Storage")):
        assert any(line.startswith(f"{name} is set and not used: ") and why in line for line in caplog.messages)
    assert (settings.api.cdn_provider, settings.api.cdn_base_url) == ("", "")


@pytest.mark.parametrize(
    ("variables", "packed_from"),
    [({}, None), ({"COMPRESS_FROM_MB": "1"}, 1024**2), ({"COMPRESS_FROM_MB": "20"}, 20 * 1024**2)],
)
def test_the_size_from_which_saves_are_packed_is_the_one_that_was_set(
    variables: dict[str, str], packed_from: int | None
) -> None:
    """Unless it is set, the folder packs by itself, and nothing is packed as it is saved."""
    size = read_server_settings(variables).api.pack_from_bytes
    assert size == packed_from if packed_from else size > 2**50


def test_a_folder_is_its_owner_s_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As it is made; one that was opened since is told at the start, with what to do."""
    folder = tmp_path / "machine"
    settings = read_server_settings({"LOCAL_STORAGE_PATH": str(folder)})
    machine_in(folder).close()
    assert folder.stat().st_mode & 0o077 == 0
    tell_of_the_start(settings, is_rescued=False)
    assert "chmod 700" not in caplog.text
    folder.chmod(0o755)
    tell_of_the_start(settings, is_rescued=False)
    assert f"{folder} is open to other users of this machine: `chmod 700` it" in caplog.text


def test_nothing_of_the_erased_stays_in_the_cache_or_can_be_read_of_the_past(tmp_path: Path) -> None:
    """What was brought back from a cloud is a copy too, and a moment that was handed out ends."""
    cache = tmp_path / "cache"
    machine = open_machine(
        read_server_settings({"LOCAL_STORAGE_PATH": str(tmp_path / "machine"), "CACHE_PATH": str(cache)})
    )
    cache.mkdir()
    (cache / "held").write_bytes(b"of somebody")
    machine.folder.documents.commit([output(1)])
    moment = machine.folder.documents.frozen()
    machine.start_work()
    machine.tasks.publish("user.erase", {"job": "erase", "uid": "ana"})
    waited_for(lambda: not any(cache.iterdir()))
    with pytest.raises(ConflictError):
        machine.folder.documents.frozen(moment.at)
    assert machine.folder.documents.paths_below("ai_outputs/ana", 10) == []
    machine.stop_work()
    machine.close()
