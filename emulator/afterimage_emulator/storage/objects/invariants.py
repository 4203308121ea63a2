"""What must hold of buckets and objects between any two steps of the loop (pure): every fault, with its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from afterimage_emulator.storage.folders.folder_records import folders_above
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.listing import Namespace
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord


def faults_of_buckets(
    buckets: Mapping[str, BucketRecord], namespaces: Mapping[str, Namespace], last_generation: int
) -> Iterator[str]:
    for bucket in sorted(buckets.keys() ^ namespaces.keys()):
        yield f"the bucket `{bucket}` has {'no record' if bucket in namespaces else 'no place for objects'}"
    for name, record in buckets.items():
        if record.name != name:
            yield f"`{name}` holds the bucket `{record.name}`"
        if record.soft_deleted_ns is not None:
            yield f"`{name}` is there and was deleted"
    for bucket, namespace in namespaces.items():
        is_hierarchical = bucket in buckets and buckets[bucket].has_hierarchy
        for name in sorted(namespace.live.keys() | namespace.noncurrent.keys()):
            yield from _faults_of_name(bucket, name, namespace, last_generation)
            missing = [above for above in folders_above(name) if above not in namespace.folders]
            if is_hierarchical and missing:
                yield f"`{bucket}/{name}` lies in folders that are not there: {missing}"


def faults_of_shares(records: Iterable[ObjectRecord]) -> Iterator[str]:
    shares: dict[str, int] = {}
    blobs: dict[str, Blob] = {}
    for one in records:
        shares[one.blob.location] = shares.get(one.blob.location, 0) + 1
        blobs[one.blob.location] = one.blob
    for location, blob in blobs.items():
        if blob.shares != shares[location]:
            yield f"{shares[location]} records stand on `{location}`, which counts {blob.shares}"


def _faults_of_name(bucket: str, name: str, namespace: Namespace, last_generation: int) -> Iterator[str]:
    earlier: list[ObjectRecord] = namespace.noncurrent.get(name, [])
    live: ObjectRecord | None = namespace.live.get(name)
    if live is None and not earlier:
        yield f"`{bucket}/{name}` has no generation and is still there"
    if live is not None and live.deleted_ns is not None:
        yield f"`{bucket}/{name}` is live and was deleted"
    if any(one.deleted_ns is None for one in earlier):
        yield f"`{bucket}/{name}` keeps an earlier generation that was never deleted"
    records = [*earlier, *([] if live is None else [live])]
    if any((one.bucket, one.name) != (bucket, name) for one in records):
        yield f"`{bucket}/{name}` holds an object of another name"
    generations = [one.generation for one in records]
    if generations != sorted(set(generations)) or generations[-1:] > [last_generation]:
        yield f"generations of `{bucket}/{name}` must rise up to {last_generation}: {generations}"
