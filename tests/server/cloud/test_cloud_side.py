"""Local first, and a cloud behind: everything goes there once, whatever the network does, and nothing waits for it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from afterimage.drive_paths import drive_link_path, drive_path
from afterimage.faults import TransientError
from afterimage.paths import artifact_path, books_path, quota_path
from afterimage.store.documents import Expect, Replace
from afterimage.store.files import FileAbout
from afterimage_client.queue import QUEUE_SCHEMA, DurableQueue, Entry
from afterimage_server.cloud.outbox import UPLOAD
from afterimage_server.machine import Machine
from afterimage_server.store.machine_folder import open_folder
from afterimage_server.work.worker_thread import WorkerThread
from tests.server.cloud.cloud_world import (
    Cloud,
    content_name,
    differences,
    library_of_machine,
    machine_in,
    save,
    sync,
    sync_whole,
)
from tests.server.server_process import listening_to
from tests.waiting import waited_for

TEXT = FileAbout(content_type="text/plain; charset=utf-8")


def address_of(machine: Machine, name: str) -> str:
    bucket = machine.settings.api.originals_bucket
    return machine.links.download(bucket, name, shown_as="a.txt", content_type="text/plain").url


def test_a_save_is_answered_from_the_disk_and_goes_to_the_cloud_afterwards(tmp_path: Path) -> None:
    """The local address until the cloud has confirmed the file, then the cloud's; in the end both hold the same."""
    cloud = Cloud(is_there=False)
    with machine_in(tmp_path, cloud) as machine:
        file = save(machine, b"hello")
        name = content_name(machine, file)
        assert sync(machine).is_offline
        assert cloud.files.files == {}
        assert address_of(machine, name).startswith("http://machine/local/files/")
        cloud.is_there = True
        sync_whole(machine)
        assert differences(machine, cloud) == []
        assert address_of(machine, name).startswith("memory://")
        stored = cloud.files.files[machine.settings.api.originals_bucket, name][0]
        assert cloud.documents.fields(name)["generation"] == stored.generation
        cloud.is_there = False
        library_of_machine(machine).remove("ana", file)
        cloud.is_there = True
        sync_whole(machine)
        assert differences(machine, cloud) == []


def test_what_was_here_before_there_was_a_cloud_goes_there_too(tmp_path: Path) -> None:
    """A folder that was served without one is sent whole when one is switched on, once."""
    cloud = Cloud()
    with machine_in(tmp_path, Cloud(is_there=False), USE_CLOUD_STORAGE="true") as machine:
        save(machine, b"old")
        for entry in machine.queue.entries():
            machine.queue.discard(entry.id)
        with machine.folder.database.transaction() as transaction:
            transaction.execute("DELETE FROM machine WHERE name = 'cloud project'")
    with machine_in(tmp_path, cloud) as machine:
        sync_whole(machine)
        assert differences(machine, cloud) == []
        assert machine.queue.stats().size == 0
    with machine_in(tmp_path, cloud) as machine:
        assert machine.queue.stats().size == 0


def test_what_somebody_else_changed_there_is_not_overwritten(tmp_path: Path) -> None:
    """A conflict is kept with both sides, the rest goes on; a person says which stays, and both agree then."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        file = save(machine, b"one")
        sync_whole(machine)
        path = artifact_path("ana", file)
        for keeps_ours in (True, False):
            cloud.documents.put(path, {**cloud.documents.fields(path), "name": "theirs.txt"})
            save(machine, b"two %d" % keeps_ours, file=file)
            other = save(machine, b"another %d" % keeps_ours)
            sync_whole(machine)
            assert cloud.documents.fields(path)["name"] == "theirs.txt"
            assert artifact_path("ana", other) in cloud.documents.documents
            assert machine.cloud is not None
            [conflict] = machine.cloud.conflicts.listed()
            assert conflict.path == path
            assert conflict.here is not None
            assert conflict.there is not None
            assert (conflict.here["name"], conflict.there["name"]) == ("a.txt", "theirs.txt")
            assert machine.services.look()["conflicts"] == 1
            assert machine.cloud.conflicts.settle(path, keeps_ours=keeps_ours)
            assert not machine.cloud.conflicts.settle(path, keeps_ours=keeps_ours)
            sync_whole(machine)
            assert differences(machine, cloud) == []
            name = library_of_machine(machine).head("ana", file).name
            assert name == ("a.txt" if keeps_ours else "theirs.txt")
            library_of_machine(machine).remove("ana", other)
            sync_whole(machine)


def test_an_operator_settles_conflicts_over_the_api(tmp_path: Path) -> None:
    """Both sides are shown as JSON has them; either may stay; what is no conflict, and any other user, is refused."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine, listening_to(machine) as address:
        tokens = {name: machine.tokens.make(name, life=timedelta(days=1), is_admin=name == "root") for name in
                  ("ana", "root")}  # fmt: skip
        http = httpx.Client(base_url=address, trust_env=False, timeout=60)

        def called(user: str, method: str, **options: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {tokens[user]}"}
            return http.request(method, "/local/conflicts", headers=headers, **options)

        file = save(machine, b"one")
        sync_whole(machine)
        path = artifact_path("ana", file)
        for keep, name in (("here", "a.txt"), ("there", "theirs.txt")):
            cloud.documents.put(path, {**cloud.documents.fields(path), "name": "theirs.txt"})
            save(machine, keep.encode(), file=file)
            sync_whole(machine)
            [shown] = called("root", "GET").json()["conflicts"]
            assert (shown["path"], shown["here"]["name"], shown["there"]["name"]) == (path, "a.txt", "theirs.txt")
            for user, said, status in (
                ("ana", {"path": path, "keep": keep}, 403),
                ("root", {"path": path, "keep": "neither"}, 400),
                ("root", {"path": f"{path}0", "keep": keep}, 404),
                ("root", {"path": path, "keep": keep}, 200),
                ("root", {"path": path, "keep": keep}, 404),
            ):
                assert called(user, "POST", json=said).status_code == status, said
            assert called("ana", "GET").status_code == 403
            sync_whole(machine)
            assert differences(machine, cloud) == []
            assert library_of_machine(machine).head("ana", file).name == name
        http.close()


def test_one_sync_runs_and_whoever_asks_meanwhile_is_answered_at_once(tmp_path: Path) -> None:
    """A user who asks again and again keeps no thread of the server waiting; a sync that takes long goes on."""
    gate, begun = threading.Event(), list[str]()

    async def perform(entry: Entry) -> None:
        begun.append(entry.key)
        await asyncio.to_thread(gate.wait, 60)

    folder = open_folder(tmp_path)
    folder.database.bring(QUEUE_SCHEMA)
    queue = DurableQueue(folder.database)
    worker = WorkerThread(queue, {"slow": perform}, parallel=1)
    for key in ("taken by the worker", "taken by the sync"):
        queue.enqueue("slow", key)
    worker.start()
    waited_for(lambda: begun)
    assert worker.sync_all(0.001) is None, "it takes long"
    waited_for(lambda: len(begun) == 2)
    assert worker.sync_all(60) is None, "it is under way"
    gate.set()
    waited_for(lambda: worker.sync_all(60))
    assert begun == ["taken by the worker", "taken by the sync"]
    assert queue.stats().size == 0
    worker.stop()
    folder.close()


def test_a_sync_says_how_it_stands(tmp_path: Path) -> None:
    """Done, under way with how much waits, or `SYNC_FAILED` where nobody is there; what waits is tried by itself."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        save(machine, b"one")
        busy = replace(machine.services, sync=lambda: None)
        headers = {"Authorization": f"Bearer {machine.tokens.make('ana', life=timedelta(days=1))}"}
        path = "/api/phase5/storage/sync"
        under_way = machine.application(services=busy).test_client().post(path, json={}, headers=headers).get_json()
        assert (under_way["is_under_way"], under_way["waiting"] > 0) == (True, True)
        assert machine.cloud is not None
        cloud.is_there = False
        machine.cloud.worker.start()
        waited_for(lambda: machine.services.look()["is_offline"])
        client = machine.application().test_client()
        refused = client.post(path, json={}, headers=headers).get_json()
        assert (refused["code"], "entries wait" in refused["detail"]) == ("SYNC_FAILED", True)
        cloud.is_there = True
        waited_for(lambda: not machine.services.look()["not_in_cloud"])
        done = client.post(path, json={}, headers=headers).get_json()
        assert (done["success"], done["is_under_way"], done["waiting"]) == (True, False, 0)
        machine.cloud.worker.stop()


def test_who_is_erased_here_is_erased_of_what_went_there_too(tmp_path: Path) -> None:
    """Files and documents that came from here go there as well, others' stay, and books and links never went."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        save(machine, b"one")
        other = save(machine, b"two", user="bob")
        private = [books_path("ana"), drive_path("ana"), drive_link_path("ana")]
        writes = [Replace(path=path, fields={"n": 1}, expected=Expect.ABSENT) for path in private]
        machine.folder.documents.commit(writes)
        sync_whole(machine)
        assert not set(private) & set(cloud.documents.documents)
        assert any("/ana/" in name for _, name in cloud.files.files)
        machine.start_work()
        machine.tasks.publish("user.erase", {"job": "erase", "uid": "ana"})
        waited_for(lambda: not any("/ana/" in f"{path}/" for path in cloud.documents.documents))
        waited_for(lambda: not any("/ana/" in name for _, name in cloud.files.files))
        waited_for(lambda: not machine.services.look()["not_in_cloud"])
        machine.stop_work()
        assert differences(machine, cloud) == []
        assert artifact_path("bob", other) in cloud.documents.documents


def test_old_bytes_are_let_go_of_and_come_back(tmp_path: Path) -> None:
    """After thirty days, and only what the cloud has confirmed; never the newest, never what is pinned."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        library = library_of_machine(machine)
        file = save(machine, b"first " * 500)
        pinned = save(machine, b"second " * 500, file=file)
        library.pin("ana", file, 2, is_pinned=True)
        for number in range(3):
            save(machine, b"later %d " % number * 500, file=pinned)
        sync_whole(machine)
        cloud.is_there = False
        save(machine, b"not there yet " * 500, file=file)
        assert machine.cloud is not None
        keeping = machine.cloud.keeping_less
        object.__setattr__(keeping, "clock", lambda: time.time() + 31 * 86_400)
        assert keeping.let_go_of_old_bytes() == 0, "nothing is settled yet"
        for held in machine.folder.keeping.unsettled(99):
            machine.folder.keeping.settle(held)
        assert keeping.let_go_of_old_bytes() == 4
        assert keeping.let_go_of_old_bytes() == 0
        kept = {entry.number for entry in library.head("ana", file).versions if is_here(machine, file, entry.number)}
        assert kept == {2, 6}
        with pytest.raises(TransientError):
            read(machine, file, 1)
        cloud.is_there = True
        assert read(machine, file, 1) == b"first " * 500
        cloud.is_there = False
        assert read(machine, file, 1) == b"first " * 500, "from the cache"
        object.__setattr__(machine.tending, "clock", lambda: time.time() + 2 * 86_400)
        machine.tending.tidy()
        assert list((tmp_path / "cache").iterdir()) == []
        cloud.is_there = True
        sync_whole(machine)
        assert differences(machine, cloud) == []


def read(machine: Machine, file: str, number: int) -> bytes:
    library = library_of_machine(machine)
    entry = library.head("ana", file).version(number)
    return library.versions.contents.read("ana", library.content("ana", entry), 10_000)


def is_here(machine: Machine, file: str, number: int) -> bool:
    library = library_of_machine(machine)
    entry = library.head("ana", file).version(number)
    found = machine.folder.files.find(machine.settings.api.originals_bucket, f"artifacts/ana/blobs/{entry.digest}")
    assert found is not None
    return machine.folder.files.path_of(machine.folder.files.held_id(found)).exists()


def test_a_file_that_is_overwritten_while_it_waits_goes_once_as_it_is_then(tmp_path: Path) -> None:
    """What is stale is not sent; a delete that follows leaves nothing there."""
    cloud = Cloud(is_there=False)
    with machine_in(tmp_path, cloud) as machine:
        bucket = machine.settings.api.originals_bucket
        for number in range(5):
            machine.folder.files.write(bucket, "projects/p/a", b"%d" % number, TEXT, expected=Expect.ANYTHING)
        machine.folder.files.write(bucket, "projects/p/b", b"b", TEXT, expected=Expect.ABSENT)
        machine.folder.files.delete(bucket, "projects/p/b")
        cloud.is_there = True
        sync_whole(machine)
        assert [data for _, data in cloud.files.files.values()] == [b"4"]
        assert cloud.files.generations == 1001


def weeks(seed: int, folder: Path, saves: int, breaks: int) -> None:
    """A life offline and online, with answers that are lost and processes that die, compared at its end."""
    chance = random.Random(seed)
    cloud = Cloud(chance=random.Random(seed), loses=0.05)
    files: list[str] = []
    used = 0
    while used < saves:
        with machine_in(folder, cloud) as machine:
            for _ in range(max(1, saves // breaks)):
                cloud.is_there = chance.random() < 0.5
                for _ in range(chance.randint(1, max(2, 2 * breaks // 10))):
                    file = chance.choice(files) if files and chance.random() < 0.7 else None
                    text = f"{chance.random()} ".encode() * chance.randint(1, 40)
                    found = save(machine, text, file=file, user="ana")
                    files += [] if file else [found]
                    used += 1
                if chance.random() < 0.2 and files:
                    library_of_machine(machine).remove("ana", files.pop(chance.randrange(len(files))))
                if chance.random() < 0.5:
                    sync(machine)
                if used >= saves:
                    break
            for entry in machine.queue.take([UPLOAD], limit=2, early=True):
                # What a worker that dies has in its hands: the next process takes it back.
                assert entry.owner
    cloud.is_there, cloud.loses = True, 0.0
    with machine_in(folder, cloud) as machine:
        sync_whole(machine)
        assert differences(machine, cloud) == []
        assert machine.queue.entries() == []
        account = machine.folder.documents.read(quota_path("ana"))
        assert account is not None
        assert cloud.documents.fields(quota_path("ana"))["used_bytes"] == account.fields["used_bytes"]


@pytest.mark.parametrize("seed", range(2))
def test_a_day_offline_and_online_ends_equal_on_both_sides(tmp_path: Path, seed: int) -> None:
    """The network comes and goes, answers are lost, processes end with work in their hands: nothing lost or doubled."""
    weeks(seed, tmp_path, saves=60, breaks=6)


@pytest.mark.soak
def test_a_week_offline_and_online_ends_equal_on_both_sides(tmp_path: Path) -> None:
    """Five thousand saves, and a network that comes and goes two hundred times."""
    weeks(7, tmp_path, saves=5_000, breaks=200)
