"""The folder of one machine: packed, journalled, rescued; what is promised beyond the ports."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from afterimage.faults import TransientError
from afterimage.store.documents import ConflictError, Expect, NoRoomError, Query, Remove, Replace, Where
from afterimage.store.files import FileAbout, GoneError
from afterimage_client.database import StoreKey
from afterimage_client.database.errors import StoreError
from afterimage_server.store.machine_folder import MachineFolder, forgetful, open_folder
from afterimage_server.store.rescue import DATABASE
from tests.server.store.history import BUCKET, Model

KEY = StoreKey.of_bytes(b"k" * 32)
TEXT = FileAbout(content_type="text/plain; charset=utf-8")


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "sealed"])
def test_a_broken_database_is_made_anew_from_what_lies_beside_it(tmp_path: Path, key: StoreKey | None) -> None:
    """Cut, overwritten or gone: found at the start, put aside, told; every document and file is there again."""
    chance, model = random.Random(1), Model()
    folder = open_folder(tmp_path, key)
    for _ in range(60):
        model.step(folder, chance)
    folder.close()
    database = tmp_path / DATABASE
    for spoil in (
        lambda: database.write_bytes(b"no database at all" * 500),
        lambda: database.write_bytes(database.read_bytes()[:12_288] + b"\x00\xff" * 9_000),
        database.unlink,
    ):
        spoil()
        folder = open_folder(tmp_path, key)
        assert folder.rescue is not None
        assert (folder.rescue.files, folder.rescue.lost, folder.rescue.torn) == (len(model.files), 0, 0)
        assert (tmp_path / folder.rescue.put_aside).exists()
        model.check(folder)
        for _ in range(10):
            model.step(folder, chance)
        model.check(folder)
        folder.close()


def test_what_the_journal_lost_the_folder_still_knows(tmp_path: Path) -> None:
    """A journal cut in the middle of a line: files are taken in by what their own feet say."""
    folder = open_folder(tmp_path)
    for number in range(4):
        folder.files.write(BUCKET, f"f{number}", b"%d" % number * 50, TEXT, expected=Expect.ABSENT)
    folder.close()
    journal = tmp_path / "commits.log"
    journal.write_bytes(journal.read_bytes()[:-200])
    (tmp_path / DATABASE).write_bytes(b"broken" * 1000)
    folder = open_folder(tmp_path)
    assert folder.rescue is not None
    assert folder.rescue.adopted >= 1
    assert folder.rescue.torn == 1
    found = {file.name: folder.files.read(file) for file in folder.files.walk(BUCKET, "")}
    assert found == {f"f{number}": b"%d" % number * 50 for number in range(4)}
    assert folder.check_invariants() == []
    folder.close()


def test_a_database_that_is_only_held_is_not_taken_for_a_broken_one(tmp_path: Path) -> None:
    """A folder that cannot be read or was written by a newer version is refused, and nothing of it is put aside."""
    folder = open_folder(tmp_path)
    with folder.database.transaction() as transaction:
        transaction.execute("UPDATE schema_versions SET version = 99")
    folder.close()
    with pytest.raises(StoreError, match="update"):
        open_folder(tmp_path)
    assert not list(tmp_path.glob("broken-*"))


def test_the_journal_is_begun_anew_where_a_kill_left_it_ahead_or_behind(tmp_path: Path) -> None:
    """A line of a commit that never came is not there after the next start; nor is one missing."""
    folder = open_folder(tmp_path)
    folder.documents.commit([Replace(path="a/1", fields={"n": 1}, expected=Expect.ABSENT)])
    assert not folder.heal_journal()
    tell_and_roll_back(folder)
    assert folder.heal_journal()
    assert list(folder.journal.salvage().rows["documents"]) == ['"a/1"']
    journal = tmp_path / "commits.log"
    journal.write_bytes(b"")
    assert folder.heal_journal()
    assert not folder.heal_journal()
    folder.close()


def test_the_journal_does_not_grow_for_ever(tmp_path: Path) -> None:
    """One document written again and again: what is told is begun anew, and tells the same."""
    folder = open_folder(tmp_path)
    for number in range(20):
        fields = {"n": number, "filler": "x" * 1_000_000}
        folder.documents.commit([Replace(path="a/1", fields=fields, expected=Expect.ANYTHING)])
    assert folder.journal.path.stat().st_size > 20_000_000
    folder.tend_journal()
    assert folder.journal.path.stat().st_size < 2_000_000
    assert not folder.heal_journal()
    (tmp_path / DATABASE).unlink()
    folder.close()
    folder = open_folder(tmp_path)
    found = folder.documents.read("a/1")
    assert found is not None
    assert found.fields["n"] == 19
    folder.close()


def test_texts_are_packed_afterwards_and_read_all_the_same(tmp_path: Path) -> None:
    """Above one kilobyte and where it pays; pictures, small files and what does not shrink stay as they came."""
    folder = open_folder(tmp_path)
    data = b"a line of text\n" * 40_000
    stored = folder.files.write(BUCKET, "a.txt", data, TEXT, expected=Expect.ABSENT)
    copied = folder.files.copy(stored, "b.txt", TEXT, expected=Expect.ABSENT)
    noise = random.Random(3).randbytes(9_000)
    folder.files.write(BUCKET, "noise.txt", noise, TEXT, expected=Expect.ABSENT)
    folder.files.write(BUCKET, "small.txt", b"x" * 900, TEXT, expected=Expect.ABSENT)
    folder.files.write(BUCKET, "p.png", data, FileAbout(content_type="image/png"), expected=Expect.ABSENT)
    before = folder.files.bytes_held()
    assert sum(folder.keeping.settle(held) for held in folder.keeping.unsettled(99)) == 1
    assert folder.keeping.unsettled(99) == []
    assert before - folder.files.bytes_held() > 0.9 * len(data)
    assert folder.files.read(stored) == folder.files.read(copied) == data
    assert folder.files.read(stored, 300_000, 300_100) == data[300_000:300_100]
    assert folder.files.find(BUCKET, "a.txt") == stored
    folder.files.delete(BUCKET, "a.txt")
    assert folder.files.read(copied) == data
    assert folder.check_invariants() == []
    folder.close()


def test_a_full_folder_refuses_and_keeps_nothing_of_it(tmp_path: Path) -> None:
    """By its limit: a sentence that says what to do, and the same folder as before."""
    folder = open_folder(tmp_path, most_bytes=3_000)
    folder.files.write(BUCKET, "a", b"x" * 2_000, TEXT, expected=Expect.ABSENT)
    with pytest.raises(NoRoomError, match="MAX_LOCAL_STORAGE_GB"):
        folder.files.write(BUCKET, "b", b"x" * 2_000, TEXT, expected=Expect.ABSENT)
    assert folder.files.find(BUCKET, "b") is None
    assert folder.check_invariants() == []
    folder.files.delete(BUCKET, "a")
    folder.files.write(BUCKET, "b", b"x" * 2_000, TEXT, expected=Expect.ABSENT)
    folder.close()


def test_clocks_may_jump(tmp_path: Path) -> None:
    """Backwards by a year: later writes are later all the same, and generations grow."""
    moment = [datetime(2026, 11, 1, tzinfo=UTC).timestamp()]
    folder = open_folder(tmp_path, clock=lambda: moment[0])
    [first] = folder.documents.commit([Replace(path="a/1", fields={"n": 1}, expected=Expect.ABSENT)])
    file = folder.files.write(BUCKET, "a", b"1", TEXT, expected=Expect.ABSENT)
    moment[0] -= 365 * 86_400
    [second] = folder.documents.commit([Replace(path="a/1", fields={"n": 2}, expected=first)])
    other = folder.files.write(BUCKET, "a", b"2", TEXT, expected=file.generation)
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert (second > first, other.generation > file.generation) == (True, True)
    folder.close()


def test_a_moment_is_forgotten_after_an_hour(tmp_path: Path) -> None:
    """With the past that was kept for it; asking for it says so."""
    moment = [datetime(2026, 11, 1, tzinfo=UTC).timestamp()]
    folder = open_folder(tmp_path, clock=lambda: moment[0])
    folder.documents.commit([Replace(path="a/1", fields={"n": 1}, expected=Expect.ABSENT)])
    old = folder.documents.frozen()
    folder.documents.commit([Replace(path="a/1", fields={"n": 2}, expected=Expect.ANYTHING)])
    moment[0] += 2 * 3600
    folder.documents.frozen()
    assert folder.database.row("SELECT count(*) FROM past") == (0,)
    with pytest.raises(ConflictError, match="cannot be read any more"):
        folder.documents.frozen(old.at)
    folder.close()


def test_what_is_deleted_is_not_said_to_be_forgotten_while_a_reader_needs_the_log(tmp_path: Path) -> None:
    """Somebody reads in another process: told, to be asked again; afterwards no byte of it is left."""
    secret = "a word that was deleted"
    with closing(open_folder(tmp_path, connect=lambda *a, **o: forgetful(*a, **{**o, "timeout": 0.05}))) as folder:
        folder.documents.commit([Replace(path="c/d", fields={"a": secret}, expected=Expect.ANYTHING)])
        with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchall()
            folder.documents.commit([Remove(path="c/d", expected=Expect.PRESENT)])
            with pytest.raises(TransientError, match="is being read"):
                folder.forget_the_past()
        folder.forget_the_past()
        assert [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("seed", [6, 7, 10])
def test_no_copy_of_what_is_deleted_stays_in_the_free_room_of_the_database(tmp_path: Path, seed: int) -> None:
    """Rows move between pages as they are written anew, and what they leave there is overwritten by nobody."""
    chance, secret = random.Random(seed), "a word that was deleted"
    with closing(open_folder(tmp_path)) as folder:
        paths = [f"{chance.choice(['ana', 'bob'])}/{number}" for number in range(150)]
        for _ in range(450):
            path = chance.choice(paths)
            text = (secret if path.startswith("ana") else "") + "x" * chance.randrange(3000)
            folder.documents.commit([Replace(path=path, fields={"text": text}, expected=Expect.ANYTHING)])
        theirs = [path for path in paths if path.startswith("ana")]
        folder.documents.commit([Remove(path=path, expected=Expect.ANYTHING) for path in theirs])
        folder.forget_the_past()
        assert [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()] == []
        assert folder.check_invariants() == []


def test_a_journal_that_a_kill_left_half_written_goes_with_the_next_one(tmp_path: Path) -> None:
    """It tells of what was deleted since as well as the whole one did."""
    with closing(open_folder(tmp_path)) as folder:
        left = tmp_path / ".commits.log.0123456789ab"
        left.write_bytes(b"of somebody")
        folder.forget_the_past()
        assert not left.exists()


@pytest.mark.parametrize("key", [None, KEY], ids=["clear", "sealed"])
def test_long_and_sealed_texts_are_found_and_come_in_order(tmp_path: Path, key: StoreKey | None) -> None:
    """Whatever the entries hold of them: equal ones are found, and an order of texts is that of the texts."""
    folder = open_folder(tmp_path, key)
    texts = ["b", "a" * 2_000, "c" * 2_000, "a"]
    for number, text in enumerate(texts):
        folder.documents.commit([Replace(path=f"t/{number}", fields={"text": text}, expected=Expect.ABSENT)])
    for number, text in enumerate(texts):
        where = (Where(field="text", comparison="==", value=text),)
        assert [each.id for each in folder.documents.find(Query(collection="t", where=where, limit=9))] == [str(number)]
    ordered = [each.id for each in folder.documents.find(Query(collection="t", order_by="text", limit=9))]
    assert ordered == ["3", "1", "0", "2"]
    behind = Query(collection="t", order_by="text", after_value=texts[1], after_id="1", descending=True, limit=9)
    assert [each.id for each in folder.documents.find(behind)] == ["3"]
    above = (Where(field="text", comparison=">", value="a"),)
    ranged = Query(collection="t", where=above, order_by="text", limit=2)
    assert [each.id for each in folder.documents.find(ranged)] == ["1", "0"]
    folder.close()


def test_bytes_kept_elsewhere_are_let_go_of(tmp_path: Path) -> None:
    """The row stays and says what the file is; who reads it is told that it is away, unless somebody brings it."""
    folder = open_folder(tmp_path)
    stored = folder.files.write(BUCKET, "a", b"x" * 2_000, TEXT, expected=Expect.ABSENT)
    kept = tmp_path / "elsewhere"
    kept.write_bytes(next(folder.keeping.laid_down()).read_bytes())
    assert folder.keeping.send_away(stored)
    assert not folder.keeping.send_away(stored)
    assert (folder.files.bytes_held(), folder.files.find(BUCKET, "a")) == (0, stored)
    with pytest.raises(GoneError):
        folder.files.read(stored)
    folder.following.fetch_away = lambda _file: kept
    assert folder.files.read(stored) == b"x" * 2_000
    assert folder.check_invariants() == []
    folder.close()


def tell_and_roll_back(folder: MachineFolder) -> None:
    """A commit that dies after its line was written."""
    with suppress(RuntimeError), folder.database.transaction() as transaction:
        folder.journal.tell(transaction, {"documents": [["a/ghost", ["{}", 1, 1]]]})
        raise RuntimeError


def open_and_check(path: Path) -> MachineFolder:
    folder = open_folder(path)
    folder.heal_journal()
    folder.keeping.sweep()
    assert folder.check_invariants() == []
    return folder


def test_left_over_bytes_are_swept(tmp_path: Path) -> None:
    """What was laid down and never got its row was acknowledged to nobody."""
    folder = open_folder(tmp_path)
    stored = folder.files.write(BUCKET, "a", b"1", TEXT, expected=Expect.ABSENT)
    (tmp_path / "files" / "00" / "0000000000000000000000000000ff00").write_bytes(b"left")
    (tmp_path / "tmp" / "part").write_bytes(b"half")
    folder.close()
    folder = open_and_check(tmp_path)
    assert folder.files.read(stored) == b"1"
    assert list((tmp_path / "tmp").iterdir()) == []
    folder.close()
