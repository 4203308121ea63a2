"""Backups: documents and files of two moments become one whole again by the jobs that run every night."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest

from afterimage.store.documents import Document
from afterimage.store.files import StoredFile
from tests.functions.artifacts.desk import BUCKET, Desk
from tests.functions.quota.history import USERS, History


def restore_files(desk: Desk, files: dict[tuple[str, str], tuple[StoredFile, bytes]]) -> None:
    """As they come out of a backup, in any order: each is a new generation."""
    order = list(files.items())
    random.Random(1).shuffle(order)
    desk.uploads.files.clear()
    for key, (file, data) in order:
        desk.uploads.generations += 1
        desk.uploads.files[key] = (replace(file, generation=desk.uploads.generations), data)


def mended(history: History) -> None:
    """A clean-up and an audit, an hour and more after the restore, and what they find in what they have done."""
    history.waiting.clear()
    history.open.clear()
    history.settle()
    for _ in range(2):
        for user in USERS:
            history.auditor.audit(user)
        history.desk.clean_up()


@pytest.mark.parametrize("newer", ["files", "documents"])
@pytest.mark.parametrize("seed", range(6))
def test_documents_and_files_of_two_moments_become_one_whole(seed: int, newer: str) -> None:
    """Whichever is the older: accounts are exact, no bytes are left over, no reservation stands, and every version
    gives its bytes or says that they are lost; what both moments knew is all there."""
    history = History(100 + seed, faults=0.02)
    desk = history.desk
    history.run(200)
    documents, files = copy.deepcopy(desk.store.documents), dict(desk.uploads.files)
    history.run(400)
    kept = set(files) & set(desk.uploads.files)
    if newer == "files":
        desk.store.documents.clear()
        desk.store.documents.update(documents)
    else:
        restore_files(desk, files)
    mended(history)
    assert history.drift() == []
    assert desk.faults() == []
    for path, (fields, *_) in desk.store.documents.items():
        if "/blobs/" in path and fields["references"]:
            assert (fields["state"] == "stored") == ((BUCKET, path) in desk.uploads.files), path
            assert fields["state"] == "stored" or (BUCKET, path) not in kept, path
    stored = {name for _, name in desk.uploads.files if "/uploads/" in name}
    assert stored == set()


def test_files_that_were_copied_back_are_what_they_were() -> None:
    """A copy out of a backup is another generation, of packed contents too: taken up, read, and charged as before."""
    desk = Desk(pack_from=150)
    plain, packed = desk.save(b"plain"), desk.save(b"packed " * 100)
    used, digests = desk.quota()["used_bytes"], [each.head.newest.digest for each in (plain, packed)]
    assert desk.store.fields(f"artifacts/ana/blobs/{digests[1]}")["is_packed"]
    restore_files(desk, dict(desk.uploads.files))
    desk.clean_up()
    assert desk.faults() == []
    assert (desk.read(plain.head.file, 1), desk.read(packed.head.file, 1)) == (b"plain", b"packed " * 100)
    assert (desk.quota()["used_bytes"], len(desk.uploads.files)) == (used, 2)


def test_a_restored_file_that_is_not_what_its_name_says_is_a_loss() -> None:
    """Other bytes, and such as only say that they are packed: deleted, and said of the version; never offered."""
    for data, encoding in ((b"other", ""), (b"no gzip at all", "gzip"), (b"\x1f\x8b\x08\0", "gzip")):
        desk = Desk(pack_from=150)
        saved = desk.save(b"packed " * 100)
        name = f"artifacts/ana/blobs/{saved.head.newest.digest}"
        file, _ = desk.uploads.files[BUCKET, name]
        desk.uploads.generations += 1
        wrong = replace(file, generation=desk.uploads.generations, size=len(data), content_encoding=encoding)
        desk.uploads.files[BUCKET, name] = (wrong, data)
        stored = desk.store.read(name)
        assert isinstance(stored, Document)
        desk.collector.lost_content("ana", stored)
        assert (desk.store.fields(name)["state"], desk.uploads.files) == ("lost", {})
        assert desk.faults() == []
