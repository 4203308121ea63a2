"""The audit's walk: everything live beside everything recorded, in step, whatever the ids, however many there are."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from afterimage.ledger.audit import Auditor
from afterimage.ledger.bookkeeper import Bookkeeper
from afterimage.ledger.observing import observe_document
from afterimage.ledger.roll_up import held_by
from afterimage.ledger.sources import NoObjects
from afterimage.ledger.survey import Survey, record_in
from afterimage.paths import booked_collections, books_path
from afterimage.store.documents import UncertainError
from afterimage.store.memory_documents import EPOCH, MemoryDocuments
from tests.functions.ledger.bucket import Bucket
from tests.functions.ledger.simulation import PRICES

IDS = ["a", "~", "!", "-long~a", "Z", "é", "\U0001f600", "z~z", "0", "x" * 1495, "é" * 749, "y" * 1500]
OUTPUT = {"status": "completed", "model": "house-model", "cost_usd": 0.5, "cached": False, "cache_hit_count": 0}


def keeper(store: MemoryDocuments) -> Bookkeeper:
    return Bookkeeper(store=store, now=lambda: EPOCH, monotonic=lambda: 0.0, wait=lambda _seconds: None)


def survey(store: MemoryDocuments) -> Survey:
    return Survey(moment=store.frozen(), present=store, user="ana", prices=PRICES, objects=NoObjects())


def book(store: MemoryDocuments, path: str) -> None:
    fields, created, updated = store.documents[path]
    seen = observe_document(path, fields, created=created, version=updated, is_deleted=False, prices=PRICES)
    assert seen is not None
    keeper(store).book(seen, is_first=True)


@pytest.mark.parametrize("seed", range(60))
def test_what_the_records_miss_is_found_whatever_the_ids(seed: int) -> None:
    """Created, edited and deleted behind the ledger's back, in every collection, under ids of every sort and length."""
    random, store = Random(seed), MemoryDocuments()
    paths = [
        f"{collection}/{name}" for collection in booked_collections("ana") for name in IDS if random.random() < 0.7
    ]
    expected = set()
    for path in paths:
        store.put(path, dict(OUTPUT))
        fate = random.choice(["never heard of", "booked", "edited since", "deleted since"])
        if fate == "never heard of":
            expected.add(path)
            continue
        book(store, path)
        if fate == "edited since":
            store.put(path, OUTPUT | {"cost_usd": 0.75})
            expected.add(path)
        elif fate == "deleted since":
            store.drop(path)
            expected.add(path)
    walk = survey(store)
    found = [(seen, stored) for seen, stored in walk.unseen()]
    by_record = {
        seen.record_path: path
        for path in paths
        if (seen := observe_document(path, OUTPUT, created=1, version=1, is_deleted=False, prices=PRICES))
    }
    assert sorted(by_record[seen.record_path] for seen, _ in found) == sorted(expected)
    assert all((stored is None) == (seen.record_path not in store.documents) for seen, stored in found)
    assert all(seen.is_deleted == (by_record[seen.record_path] not in store.documents) for seen, _ in found)
    assert walk.owed == held_by(store, "ana")
    Auditor(keeper=keeper(store), prices=PRICES).audit("ana")
    assert list(survey(store).unseen()) == []
    assert all(
        record.newest is not None and record.newest.is_deleted == (path not in store.documents)
        for record_path, path in by_record.items()
        if (record := record_in(store.read(record_path))).lives
    )


def test_no_more_than_a_page_is_read_ahead() -> None:
    """The first find comes when a page of documents and one of records have been read, not all of them."""
    store = MemoryDocuments()
    for number in range(2000):
        store.put(f"ai_outputs/ana/dialogues/d_{number:04}", dict(OUTPUT))
    walk = survey(store)
    moment = walk.moment
    assert isinstance(moment, MemoryDocuments)
    next(iter(walk.unseen()))
    assert moment.bill.reads < 700


def test_objects_are_compared_by_generation() -> None:
    """New ones and overwritten ones are booked, gone ones released; a second audit finds nothing."""
    store, bucket = MemoryDocuments(), Bucket()
    stem = "users/ana/ai_generated/videos"
    bucket.store(*(f"{stem}/{name}.mp4" for name in ("stays", "goes", "changes")))
    auditor = Auditor(keeper=keeper(store), prices=PRICES, objects=bucket)
    assert len(auditor.audit("ana").missed) == 3
    bucket.remove(f"{stem}/goes.mp4")
    bucket.store(f"{stem}/changes.mp4", f"{stem}/comes.mp4")
    assert len(auditor.audit("ana").missed) == 3
    assert store.fields(books_path("ana"))["storage"]["objects"]["videos"] == 3
    assert auditor.audit("ana").is_clean


def test_an_object_that_is_booked_during_the_walk_is_not_taken_for_gone() -> None:
    """Its record is newer than the moment, its listing newer still: neither twice nor released."""
    store, bucket = MemoryDocuments(), Bucket()
    later = Bucket("users/ana/ai_generated/videos/x.mp4")
    other = Auditor(keeper=keeper(store), prices=PRICES, objects=later)
    walk = Survey(moment=store.frozen(), present=store, user="ana", prices=PRICES, objects=bucket)
    other.audit("ana")
    bucket.mirror(later)
    found = list(walk.unseen())
    assert [seen.is_deleted for seen, _ in found] == [False]
    assert keeper(store).book_many(found) == []
    assert store.fields(books_path("ana"))["storage"]["objects"]["videos"] == 1


@pytest.mark.parametrize("lost", ["conflict", "answer", "request"])
def test_many_are_booked_once_whoever_comes_between(lost: str) -> None:
    """A live event ahead of the commit, or an answer that is lost: each is then booked alone, and none twice."""
    store = MemoryDocuments()
    for number in range(40):
        store.put(f"ai_outputs/ana/dialogues/d_{number:02}", dict(OUTPUT))
    calls: dict[str, Any] = {"commits": 0}

    def once(call: str) -> None:
        calls["commits"] += call == "commit"
        if call != "commit" or calls["commits"] != 1:
            return
        if lost == "conflict":
            book(store, "ai_outputs/ana/dialogues/d_07")
        else:
            raise UncertainError(call)

    if lost == "answer":
        store.after = once
    else:
        store.before = once
    report = Auditor(keeper=keeper(store), prices=PRICES).audit("ana")
    store.before = store.after = lambda _call: None
    assert held_by(store, "ana")["totals", "generations"] == 40
    assert report.drift == {}
    assert Auditor(keeper=keeper(store), prices=PRICES).audit("ana").is_clean


def test_many_that_are_found_cost_the_books_one_write() -> None:
    """A user whose every event was lost is booked in a handful of commits, not in thousands."""
    store = MemoryDocuments()
    for number in range(400):
        store.put(f"ai_outputs/ana/dialogues/d_{number:03}", dict(OUTPUT))
    store.bill.taken()
    assert len(Auditor(keeper=keeper(store), prices=PRICES).audit("ana").missed) == 400
    assert store.bill.taken()[1] == 400 + 2
