"""`check_invariants` of objects: each fault is found and named; and what becomes of generations that are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from afterimage_emulator.activity import Activity
from afterimage_emulator.clock import Clock
from afterimage_emulator.events import EventBus
from afterimage_emulator.faults import Faults
from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.requests import BucketEdit, Copy, Edit, NewBucket, Selection, Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.service import StorageService
from tests.emulator.storage.conftest import EventLog

BUCKET = "kept-bucket"


@pytest.fixture
def log() -> EventLog:
    return EventLog()


@pytest.fixture
async def service(tmp_path: Path, log: EventLog) -> AsyncIterator[StorageService]:
    """A bucket with versioning: `a` was written twice, `b` is a copy of its first bytes."""
    clock = Clock()
    bus = EventBus(clock=clock, faults=Faults(), activity=Activity())
    bus.subscribe(log)
    made = StorageService(clock=clock, events=bus, directory=tmp_path)
    made.store.create_bucket(NewBucket(name=BUCKET))
    made.store.edit_bucket(BucketEdit(name=BUCKET, change=with_versioning))
    await write(made, b"first")
    made.store.copy(Copy(source=Selection(bucket=BUCKET, name="a"), target=Upload(bucket=BUCKET, name="b")))
    await write(made, b"second")
    made.store.check_invariants()
    yield made
    await made.close()


def with_versioning(bucket: BucketRecord) -> BucketRecord:
    return replace(bucket, settings={"versioning": {"enabled": True}})


async def write(service: StorageService, content: bytes) -> ObjectRecord:
    writer = service.files.new_writer()
    await writer.write(content)
    return service.store.insert(Upload(bucket=BUCKET, name="a"), await writer.finish())


def misplace_a_bucket(store: ObjectStore) -> None:
    store._buckets[f"{BUCKET}-2"] = store._buckets[BUCKET]


def lose_a_bucket(store: ObjectStore) -> None:
    del store._buckets[BUCKET]


def leave_an_empty_list(store: ObjectStore) -> None:
    store._namespaces[BUCKET].noncurrent["c"] = []


def bring_back_the_dead(store: ObjectStore) -> None:
    namespace = store._namespaces[BUCKET]
    namespace.live["a"] = namespace.noncurrent["a"][0]


def archive_the_living(store: ObjectStore) -> None:
    namespace = store._namespaces[BUCKET]
    namespace.noncurrent["b"] = [namespace.live["b"]]


def rename_an_object(store: ObjectStore) -> None:
    live = store._namespaces[BUCKET].live
    live["c"] = live["b"]


def turn_generations_round(store: ObjectStore) -> None:
    store._last_generation = 0


def miscount_shares(store: ObjectStore) -> None:
    store._namespaces[BUCKET].live["b"].blob.shares += 1


FAULTS: dict[Callable[[ObjectStore], None], str] = {
    misplace_a_bucket: f"`{BUCKET}-2` holds the bucket `{BUCKET}`",
    lose_a_bucket: f"the bucket `{BUCKET}` has no record",
    leave_an_empty_list: f"`{BUCKET}/c` has no generation and is still there",
    bring_back_the_dead: f"`{BUCKET}/a` is live and was deleted",
    archive_the_living: f"`{BUCKET}/b` keeps an earlier generation that was never deleted",
    rename_an_object: f"`{BUCKET}/c` holds an object of another name",
    turn_generations_round: "must rise up to 0",
    miscount_shares: "2 records stand on",
}


@pytest.mark.parametrize(("harm", "named"), FAULTS.items(), ids=[harm.__name__ for harm in FAULTS])
async def test_each_fault_of_objects_is_named(
    service: StorageService, harm: Callable[[ObjectStore], None], named: str
) -> None:
    """Whatever goes wrong between buckets, generations and their bytes is found by its place."""
    harm(service.store)
    with pytest.raises(AssertionError, match="is not whole") as found:
        service.store.check_invariants()
    assert named in str(found.value)


def earlier_generations(service: StorageService) -> Iterator[ObjectRecord]:
    return (record for record in service.store.everything() if record.deleted_ns is not None)


async def test_a_kept_generation_goes_for_good_and_its_bucket_may_follow(
    service: StorageService, log: EventLog
) -> None:
    """Deleting the last kept generation takes its bytes and its name away, is told, and leaves an empty bucket."""
    store = service.store
    (first,) = earlier_generations(service)
    changed = store.edit(
        Edit(
            target=Selection(bucket=BUCKET, name="a", generation=first.generation),
            change=lambda metadata: replace(metadata, custom={"kept": "yes"}),
        )
    )
    assert changed.metageneration == 2
    assert changed.deleted_ns is not None
    store.delete(Selection(bucket=BUCKET, name="b"))
    store.delete(Selection(bucket=BUCKET, name="a"))
    before = len(log.events)
    for record in list(earlier_generations(service)):
        with pytest.raises(StorageError, match="not empty"):
            store.delete_bucket(BUCKET)
        store.delete(Selection(bucket=BUCKET, name=record.name, generation=record.generation))
        store.check_invariants()
    assert log.of(BUCKET)[before:] == [("deleted", "a"), ("deleted", "a"), ("deleted", "b")]
    await service.files.disk.cleaned()
    assert list(service.files.folder.iterdir()) == []
    store.delete_bucket(BUCKET)
    assert store.bucket_or_none(BUCKET) is None
