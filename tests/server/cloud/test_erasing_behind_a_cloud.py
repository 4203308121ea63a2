"""Erasing a user of one machine with a cloud behind it: what is on its way there or back leaves nothing of the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from afterimage.paths import artifact_path
from afterimage.store.files import GoneError
from afterimage_server.cloud.outbox import UNSTORE
from afterimage_server.machine import Machine
from tests.server.cloud.cloud_world import Cloud, machine_in, save, sync_whole
from tests.server.test_erasing import SECRET, erase, left_of_the_user


def only_file(machine: Machine) -> str:
    [file] = machine.folder.files.walk(machine.settings.api.originals_bucket, "")
    return file.name


def test_a_file_that_comes_there_after_it_was_deleted_there_is_deleted_again(tmp_path: Path) -> None:
    """Whoever was to delete it there looked before it came; whoever sent it finds that nothing names it any more."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        save(machine, SECRET.encode())
        bucket = machine.settings.api.originals_bucket
        file = machine.folder.files.find(bucket, only_file(machine))
        assert file is not None
        went_on = cloud.files.before

        def overtaken(call: str) -> None:
            if call == "write":
                cloud.files.before = went_on
                erase(machine)
                for entry in machine.queue.entries(kinds=[UNSTORE]):
                    machine.queue.discard(entry.id)

        cloud.files.before = overtaken
        assert machine.cloud is not None
        machine.cloud.push.confirmed(file)
        assert [name for _, name in cloud.files.files] == [file.name]
        sync_whole(machine)
        assert cloud.files.files == {}
        assert left_of_the_user(machine) == []


@pytest.mark.parametrize("is_known", [True, False])
def test_the_other_side_of_a_conflict_is_not_kept_of_somebody_who_is_erased(tmp_path: Path, is_known: bool) -> None:
    """Neither what was kept of it before, nor what is found when the deleting goes there; that side stays as it is."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        path = artifact_path("ana", save(machine, b"one"))
        sync_whole(machine)
        cloud.documents.put(path, {**cloud.documents.fields(path), "description": SECRET})
        assert machine.cloud is not None
        if is_known:
            save(machine, b"two", file=path.rpartition("/")[2])
            sync_whole(machine)
            assert [conflict.path for conflict in machine.cloud.conflicts.listed()] == [path]
        erase(machine)
        assert left_of_the_user(machine) == []
        sync_whole(machine)
        assert machine.cloud.conflicts.listed() == []
        machine.folder.forget_the_past()
        assert left_of_the_user(machine) == []
        assert cloud.documents.fields(path)["description"] == SECRET


def test_bytes_that_come_back_while_their_user_is_erased_are_not_kept(tmp_path: Path) -> None:
    """The cache was emptied before they came."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        save(machine, SECRET.encode())
        sync_whole(machine)
        bucket = machine.settings.api.originals_bucket
        file = machine.folder.files.find(bucket, only_file(machine))
        assert file is not None
        for held in machine.folder.keeping.unsettled(9):
            machine.folder.keeping.settle(held)
        assert machine.folder.keeping.send_away(file)

        def overtaken(call: str) -> None:
            if call == "read":
                cloud.files.before = lambda _call: None
                erase(machine)

        cloud.files.before = overtaken
        with pytest.raises(GoneError):
            machine.folder.files.read(file)
        assert left_of_the_user(machine) == []
        assert list((tmp_path / "cache").iterdir()) == []


def test_nothing_is_remembered_of_a_document_that_is_gone_on_both_sides(tmp_path: Path) -> None:
    """Its name tells of the user too; where it comes again, it goes there as any new one does."""
    cloud = Cloud()
    with machine_in(tmp_path, cloud) as machine:
        save(machine, b"one")
        sync_whole(machine)
        erase(machine)
        sync_whole(machine)
        rows = machine.folder.database.rows("SELECT path FROM cloud_documents WHERE path LIKE '%/ana%'")
        assert rows == []
        path = artifact_path("ana", save(machine, b"again"))
        sync_whole(machine)
        assert path in cloud.documents.documents
