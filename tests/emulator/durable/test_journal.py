"""The journal: what was told to be kept is there after any end; what broke is told from what was never whole."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from afterimage_emulator.clock import Clock
from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.durable.data_folder import DataFolder
from afterimage_emulator.durable.frames import DamagedJournalError, JournalFile, journal_frame, record
from afterimage_emulator.durable.journal import Journal
from afterimage_emulator.firestore.documents.document_store import DocumentStore
from afterimage_emulator.firestore.documents.kept_documents import KeptDocuments
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import document_times
from afterimage_emulator.protos import firestore_v1

TAG = 7


class Texts:
    """A part that keeps the last text of each name."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.records = 0

    def replay(self, payload: bytes) -> None:
        name, _, text = payload.decode().partition("=")
        self.texts[name] = text
        self.records += 1

    def replayed(self) -> None:
        pass

    def state(self) -> Iterable[bytes]:
        return [f"{name}={text}".encode() for name, text in self.texts.items()]

    def put(self, journal: Journal, name: str, text: str) -> None:
        self.texts[name] = text
        journal.append(TAG, f"{name}={text}".encode())


class Counting(Journal):
    """Counts how often it waits for the disk."""

    writes = 0

    def _write(self, framed: bytes) -> None:
        self.writes += 1
        super()._write(framed)


@contextmanager
def opened(path: Path, kind: type[Journal] = Journal, **options: int) -> Iterator[tuple[Journal, Texts]]:
    journal, texts = kind(DataFolder(path), **options), Texts()
    try:
        journal.open({TAG: texts})
        yield journal, texts
    finally:
        journal.close()


class Raw:
    """A part that keeps its records as they come."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []

    def replay(self, payload: bytes) -> None:
        self.payloads.append(payload)

    def replayed(self) -> None:
        pass

    def state(self) -> Iterable[bytes]:
        return list(self.payloads)


async def test_what_is_kept_is_there_at_every_instant_after(tmp_path: Path) -> None:
    """A power cut leaves what was synced, and any piece of what came after: each sync is tried with several."""
    sizes = []
    journal_file = tmp_path / "data/journal-0000000001"
    with opened(tmp_path / "data") as (journal, texts):
        for number in range(40):
            texts.put(journal, f"n{number}", "x" * (number * 7 % 50))
            await journal.kept()
            sizes.append(journal._end)
    whole = journal_file.read_bytes()
    chance = random.Random(5)
    for number, size in enumerate(sizes):
        beyond = whole[size : size + chance.randrange(60)]
        for tail in (b"", beyond, bytes(len(beyond)), bytes(9_000), beyond + bytes(9_000), chance.randbytes(30)):
            journal_file.write_bytes(whole[:size] + tail)
            read = JournalFile(journal_file)
            names = [payload.decode().partition("=")[0] for _, payload in read.records()]
            assert names[: number + 1] == [f"n{n}" for n in range(number + 1)]
            assert names == [f"n{n}" for n in range(len(names))]


async def test_a_torn_end_is_left_out_and_written_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next run says how much, and keeps behind what was whole."""
    with opened(tmp_path) as (journal, texts):
        texts.put(journal, "a", "1")
        await journal.kept()
    file = tmp_path / "journal-0000000001"
    file.write_bytes(file.read_bytes() + b"AfJ1 half of a frame")
    with opened(tmp_path) as (journal, texts):
        assert texts.texts == {"a": "1"}
        texts.put(journal, "b", "2")
        await journal.kept()
    assert "the last 20 bytes" in caplog.text
    with opened(tmp_path) as (_, texts):
        assert texts.texts == {"a": "1", "b": "2"}


async def test_damage_before_what_is_whole_is_refused(tmp_path: Path) -> None:
    """One flipped bit in what had been kept: nothing is guessed, nothing is cut off, and nothing is changed."""
    with opened(tmp_path) as (journal, texts):
        for name in "abc":
            texts.put(journal, name, "1")
            await journal.kept()
    file = tmp_path / "journal-0000000001"
    broken = bytearray(file.read_bytes())
    broken[len(broken) // 2] ^= 1
    file.write_bytes(broken)
    with pytest.raises(ConfigurationError, match="is damaged from byte"), opened(tmp_path):
        pass
    assert file.read_bytes() == broken


def test_a_frame_that_lies_elsewhere_is_none(tmp_path: Path) -> None:
    """A copy of a frame in a document, or of an earlier file in the same place of the disk, is not taken for one."""
    good = journal_frame(record(TAG, b"a=1"), 0)
    (tmp_path / "f").write_bytes(good + good)
    found = JournalFile(tmp_path / "f")
    assert [payload for _, payload in found.records()] == [b"a=1"]
    assert found.torn_bytes == len(good)
    inside = journal_frame(record(TAG, journal_frame(record(TAG, b"b=2"), 999)), len(good))
    (tmp_path / "f").write_bytes(good + inside[:-1])
    assert len(list(JournalFile(tmp_path / "f").records())) == 1
    whole = journal_frame(record(TAG, b"c=3"), len(good) + 10)
    (tmp_path / "f").write_bytes(good + b"0123456789" + whole)
    with pytest.raises(DamagedJournalError):
        list(JournalFile(tmp_path / "f").records())


async def test_those_who_come_together_wait_for_the_disk_together(tmp_path: Path) -> None:
    """A hundred at once take a few writes: the one under way, and one for all who came meanwhile."""
    with opened(tmp_path, Counting) as (journal, texts):
        assert isinstance(journal, Counting)

        async def put(number: int) -> None:
            texts.put(journal, str(number), "x")
            await journal.kept()

        await asyncio.gather(*(put(number) for number in range(100)))
        assert journal.writes <= 3


async def test_room_that_was_made_ahead_is_neither_damage_nor_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A killed suite leaves zeros behind its last frame; the next start goes on in front of them, and says nothing."""
    left = tmp_path / "left"
    with opened(tmp_path / "data") as (journal, texts):
        texts.put(journal, "a", "1")
        await journal.kept()
        assert (tmp_path / "data/journal-0000000001").stat().st_size > 500_000
        shutil.copytree(tmp_path / "data", left)
    assert (tmp_path / "data/journal-0000000001").stat().st_size < 500
    with opened(left) as (journal, texts):
        assert texts.texts == {"a": "1"}
        texts.put(journal, "b", "2")
        await journal.kept()
    assert "were not finished" not in caplog.text
    with opened(left) as (_, texts):
        assert texts.texts == {"a": "1", "b": "2"}


async def test_a_journal_that_has_grown_gives_way_to_a_state(tmp_path: Path) -> None:
    """Whatever is appended meanwhile; old files go, and what is kept is the same."""
    with opened(tmp_path, renewed_at_bytes=2_000) as (journal, texts):
        for number in range(300):
            texts.put(journal, str(number % 10), f"{number}" * 10)
            if number % 7 == 0:
                await journal.kept()
        await journal.kept()
        while journal._renewing is not None:
            await asyncio.sleep(0.001)
        expected = dict(texts.texts)
    with opened(tmp_path) as (_, texts):
        assert texts.texts == expected
        assert texts.records < 300
    states = [file.name for file in tmp_path.iterdir() if file.name.startswith("state")]
    assert len(states) == 1
    assert not [file.name for file in tmp_path.iterdir() if file.name.endswith("unfinished")]


async def test_records_of_services_that_do_not_run_stay(tmp_path: Path) -> None:
    """A run with other services neither loses them nor renews the journal over them."""
    with opened(tmp_path) as (journal, texts):
        texts.put(journal, "a", "1")
        await journal.kept()
    journal = Journal(DataFolder(tmp_path), renewed_at_bytes=1)
    journal.open({})
    for _ in range(10):
        journal.append(TAG + 1, b"of another")
        await journal.kept()
    journal.close()
    again = Journal(DataFolder(tmp_path))
    mine, others = Texts(), Raw()
    again.open({TAG: mine, TAG + 1: others})
    again.close()
    assert (mine.texts, others.payloads) == ({"a": "1"}, [b"of another"] * 10)


# -- the folder


def test_the_folder_is_its_users_alone(tmp_path: Path) -> None:
    """Documents and accounts lie in it; one that was open before is closed."""
    (tmp_path / "open").mkdir(mode=0o755)
    for name in ("made/anew", "open"):
        DataFolder(tmp_path / name).close()
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: (path / "mine").write_text("x"), "is not empty and holds no data of a suite"),
        (
            lambda path: (path / "format").write_text("afterimage-emulator data, format 2\n"),
            "has format 2, which a newer afterimage-emulator wrote; this one reads format 1",
        ),
        (lambda path: (path / "format").write_text("?"), "does not say which format"),
        (lambda path: (path / "x").mkdir(), "is not empty"),
    ],
)
def test_a_folder_that_is_none_of_this_suites_is_refused(
    tmp_path: Path, prepare: Callable[[Path], object], said: str
) -> None:
    """By name, and with nothing changed in it."""
    prepare(tmp_path)
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    with pytest.raises(ConfigurationError, match=said):
        DataFolder(tmp_path)
    assert {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_one_suite_uses_a_folder(tmp_path: Path) -> None:
    """A second one is told which process has it; once that ends, it may."""
    first = DataFolder(tmp_path)
    with pytest.raises(ConfigurationError, match=rf"in use by another suite \(process {os.getpid()}\)"):
        DataFolder(tmp_path)
    first.close()
    DataFolder(tmp_path).close()


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    """A file in the way, in one sentence."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"file` cannot keep data"):
        DataFolder(tmp_path / "file")


# -- documents


def stored(name: DatabaseName, path: str, value: int, created: int, updated: int) -> StoredDocument:
    body = firestore_v1.Document(name=f"{name.documents}/{path}", fields={"x": firestore_v1.Value(integer_value=value)})
    wire = body.SerializeToString(deterministic=True) + document_times(created, updated)
    return StoredDocument(path, wire, created, updated)


def contents(store: DocumentStore) -> dict[str, tuple[bytes, int, int]]:
    return {
        f"{database.name}/{document.path}": (document.wire, document.create_time, document.update_time)
        for database in store.databases()
        for collection in database.collections.values()
        for document in collection.documents.values()
    }


@pytest.mark.parametrize("seed", range(8))
def test_documents_come_back_as_they_were(seed: int) -> None:
    """Any course of commits, deletions, clearings and imports, through records and through states taken in between."""
    chance = random.Random(seed)
    clock = Clock(frozen_at=datetime(2026, 1, 1, tzinfo=UTC))
    store = DocumentStore(clock=clock)
    records: list[bytes] = []
    kept = KeptDocuments(store, records.append)
    names = [DatabaseName("demo-a"), DatabaseName("demo-a", "second"), DatabaseName("demo-ü")]
    for _ in range(120):
        database = store.database(chance.choice(names))
        kind = chance.random()
        if kind < 0.03:
            database.clear()
        elif kind < 0.08:
            path = f"a/{chance.randrange(9)}"
            body = stored(database.name, path, chance.randrange(99), 0, 0).message()
            body.ClearField("create_time")
            body.ClearField("update_time")
            database.merge({path: body.SerializeToString(deterministic=True)})
        elif kind < 0.1:
            records[:] = list(kept.state())
        else:
            time, changes = database.next_commit_time(), []
            for path in {f"{chance.choice('ab')}/{chance.randrange(9)}" for _ in range(chance.randrange(1, 4))}:
                before = database.get(path)
                created = time if before is None else before.create_time
                made = stored(database.name, path, chance.randrange(99), created, time)
                after = made if chance.random() < 0.7 else None
                if before is not None or after is not None:
                    changes.append(Change(path, before, after))
            database.commit(changes, time)
        again = DocumentStore(clock=clock)
        replaying = KeptDocuments(again, lambda payload: None)
        for payload in records:
            replaying.replay(payload)
        replaying.replayed()
        assert contents(again) == contents(store)
        for restored in again.databases():
            restored.check_invariants()
            times = [d.update_time for one in restored.collections.values() for d in one.documents.values()]
            assert restored.next_commit_time() > max(times, default=0)
