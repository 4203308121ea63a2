"""Buckets and objects as they stand: generations, preconditions, versions, listings. Both dialects go through here.

Every change is one step of the event loop, with nothing awaited between looking and writing: of two uploads that race
for a name that must not exist, exactly one finds it free.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from afterimage_emulator.clock import Clock
from afterimage_emulator.durable.entries import Touch, touch_nothing
from afterimage_emulator.storage.access.lists import WRITER, AccessList
from afterimage_emulator.storage.errors import (
    StorageError,
    invalid,
    no_such_object,
)
from afterimage_emulator.storage.folders.folder_records import Folder, folders_above
from afterimage_emulator.storage.messages.customer_keys import check_customer_key
from afterimage_emulator.storage.objects import events as object_events
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.buckets import BucketIndex
from afterimage_emulator.storage.objects.contexts import stamped
from afterimage_emulator.storage.objects.events import ObjectEvents
from afterimage_emulator.storage.objects.holds import (
    check_retention,
    check_retention_change,
    is_kept,
    refuse_kept,
)
from afterimage_emulator.storage.objects.invariants import faults_of_buckets, faults_of_shares
from afterimage_emulator.storage.objects.listing import list_page
from afterimage_emulator.storage.objects.names import check_bucket_name, check_object_name
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS
from afterimage_emulator.storage.objects.records import DEFAULT_CONTENT_TYPE, BucketRecord, ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import (
    Copy,
    Edit,
    Listing,
    NewBucket,
    Page,
    Selection,
    Upload,
    check_sums,
)
from afterimage_emulator.storage.settings.encryption_settings import default_key, refuse_restricted


class ObjectStore(BucketIndex):
    """The index lives in memory, the bytes in `files`. `default_buckets` always exist."""

    def __init__(
        self,
        *,
        clock: Clock,
        files: BlobFiles,
        events: ObjectEvents,
        default_buckets: Sequence[str] = (),
        touch: Touch = touch_nothing,
    ) -> None:
        """`touch` is told the key of every bucket and object that may have changed; see `records`."""
        super().__init__(clock=clock, files=files, touch=touch)
        self._events = events
        self._default_buckets = tuple(default_buckets)
        self.reset()

    def reset(self) -> None:
        """Forgets everything; the last generation stays, so that no number is ever used twice."""
        self.forget_buckets()
        for name in self._default_buckets:
            self.create_bucket(NewBucket(name=name))

    # -- reading

    def read(self, request: Selection) -> ObjectRecord:
        record = self._find(request)
        request.preconditions.check_read(record, record.generation)
        return record

    def live(self, bucket: str, name: str) -> ObjectRecord | None:
        namespace = self._namespaces.get(bucket)
        record: ObjectRecord | None = None if namespace is None else namespace.live.get(name)
        return record

    def read_soft_deleted(self, request: Selection) -> ObjectRecord:
        check_object_name(request.name)
        record = self._soft_deleted.find(request.bucket, request.name, request.generation)
        if record is None:
            raise no_such_object(request.bucket, request.name)
        request.preconditions.check_read(record, record.generation)
        return record

    def generations(self, bucket: str) -> list[list[ObjectRecord]]:
        """All of a bucket, name by name, each oldest first: a copy, so that whoever asks may change them."""
        namespace = self._namespaces[bucket]
        names = sorted(namespace.live.keys() | namespace.noncurrent.keys())
        return [
            [*namespace.noncurrent.get(name, ()), *([namespace.live[name]] if name in namespace.live else [])]
            for name in names
        ]

    def soft_deleted(self, bucket: str) -> list[ObjectRecord]:
        """All of a bucket that can be restored, by name and generation."""
        return [record for kept in self._namespaces[bucket].soft_deleted.values() for record in kept]

    def has_objects(self, bucket: str, prefix: str) -> bool:
        return bool(self.list(Listing(bucket=bucket, prefix=prefix, page_size=1)).items)

    def generation(self, bucket: str, name: str, generation: int) -> ObjectRecord | None:
        """That one, wherever it stands: live, among earlier ones, or among those that may come back."""
        namespace = self._namespaces.get(bucket)
        if namespace is None:
            return None
        live: ObjectRecord | None = namespace.live.get(name)
        if live is not None and live.generation == generation:
            return live
        others: list[ObjectRecord] = [*namespace.noncurrent.get(name, ()), *namespace.soft_deleted.get(name, ())]
        return next((one for one in others if one.generation == generation), None)

    def list(self, request: Listing, managed_folders: Sequence[str] = ()) -> Page:
        namespace = self._namespaces.get(request.bucket)
        if namespace is None:
            return Page()
        return list_page(namespace, request, (*managed_folders, *namespace.folders) if request.shows_folders else ())

    def _find(self, request: Selection) -> ObjectRecord:
        check_object_name(request.name)
        record = self.live(request.bucket, request.name)
        if request.generation is None or (record is not None and record.generation == request.generation):
            if record is None:
                raise no_such_object(request.bucket, request.name)
            return record
        namespace = self._namespaces.get(request.bucket)
        earlier: list[ObjectRecord] = [] if namespace is None else namespace.noncurrent.get(request.name, [])
        for candidate in earlier:
            if candidate.generation == request.generation:
                return candidate
        raise no_such_object(request.bucket, request.name)

    # -- writing

    def check_upload(self, request: Upload) -> None:
        """Refuses what cannot succeed before its bytes are sent; asked again when they are all there."""
        check_object_name(request.name)
        bucket = self._buckets.get(request.bucket)
        if bucket is None:
            check_bucket_name(request.bucket)
        self._check_write(request)
        if bucket is not None:
            metadata = request.metadata
            refuse_restricted(
                bucket.settings,
                brings_key=metadata.customer_key_sha256 is not None,
                names_key=metadata.kms_key_name is not None,
            )

    def insert(self, request: Upload, blob: Blob) -> ObjectRecord:
        """Makes the bytes the live generation. Takes the blob over: whatever is refused is removed."""
        try:
            self.check_upload(request)
            self._check_overwritten(request.bucket, request.name)
            request.check_size(blob.size, is_whole=True)
            check_retention(self._buckets.get(request.bucket), request.metadata, self._clock.now_ns())
            check_sums(blob, md5=request.md5, crc32c=request.crc32c)
            return self._insert(request, blob)
        except StorageError:
            self._files.release(blob)
            raise

    def _insert(self, request: Upload, blob: Blob) -> ObjectRecord:
        bucket = self.ensure_bucket(request.bucket)
        metadata = request.metadata
        if metadata.content_type is None and not request.keeps_empty_type:
            metadata = replace(metadata, content_type=DEFAULT_CONTENT_TYPE)
        if metadata.event_based_hold is None and bucket.settings.get("defaultEventBasedHold") is True:
            metadata = replace(metadata, event_based_hold=True)
        now = self._clock.now_ns()
        metadata = replace(
            metadata,
            contexts=stamped(metadata.contexts, now),
            acl=metadata.acl or _default_list(bucket),
            kms_key_name=metadata.kms_key_name
            or (None if metadata.customer_key_sha256 else default_key(bucket.settings)),
        )
        record = ObjectRecord(
            bucket=request.bucket,
            name=request.name,
            generation=self._next_generation(now),
            metageneration=1,
            metadata=metadata,
            storage_class="STANDARD" if bucket.has_autoclass else request.storage_class or bucket.storage_class,
            blob=blob,
            created_ns=now,
            updated_ns=now,
            component_count=request.component_count,
        )
        if bucket.has_hierarchy:
            self._add_folders_above(record)
        self._replace_live(bucket, request.name, record)
        return record

    def _add_folders_above(self, record: ObjectRecord) -> None:
        folders, now = self._namespaces[record.bucket].folders, record.created_ns
        for name in folders_above(record.name):
            if name not in folders:
                folders[name] = folder = Folder(bucket=record.bucket, name=name, created_ns=now, updated_ns=now)
                self._touch(folder.key)

    def edit(self, request: Edit) -> ObjectRecord:
        target = request.target
        old = self._find(target)
        target.preconditions.check_write(old, old.generation)
        metadata, now = request.change(old.metadata), self._clock.now_ns()
        if metadata.kms_key_name != old.metadata.kms_key_name:
            raise invalid("`kmsKeyName` of an object does not change; rewrite the object with `destinationKmsKeyName`")
        metadata = replace(metadata, contexts=stamped(metadata.contexts, now))
        check_retention_change(old.metadata, metadata, overrides=request.overrides_retention)
        if metadata.retention != old.metadata.retention or metadata.event_based_hold:
            check_retention(self._buckets[target.bucket], metadata, now)
        released = bool(old.metadata.event_based_hold) and not metadata.event_based_hold
        new = replace(
            old,
            metadata=metadata,
            metageneration=old.metageneration + 1,
            updated_ns=now,
            hold_released_ns=now if released else old.hold_released_ns,
        )
        self._put_changed(old, new)
        return new

    def _put_changed(self, old: ObjectRecord, new: ObjectRecord) -> None:
        target = new
        namespace = self._namespaces[target.bucket]
        if old.deleted_ns is None:
            namespace.live[target.name] = new
        else:
            earlier = namespace.noncurrent[target.name]
            earlier[earlier.index(old)] = new
        self._touch(new.key)
        self._events.publish(object_events.METADATA_UPDATED, new, self._buckets[new.bucket])

    def change_class(self, record: ObjectRecord, storage_class: str) -> None:
        """By a rule of the bucket's lifecycle: the same generation in another class."""
        now = self._clock.now_ns()
        new = replace(
            record,
            storage_class=storage_class,
            metageneration=record.metageneration + 1,
            updated_ns=now,
            class_changed_ns=now,
        )
        self._put_changed(record, new)

    def delete_by_rule(self, record: ObjectRecord) -> bool:
        """By a rule of the bucket's lifecycle: what is kept stays, and is looked at again the next day."""
        bucket = self._buckets[record.bucket]
        archives = bucket.is_versioned and record.deleted_ns is None
        if is_kept(bucket, record, self._clock.now_ns(), archives=archives):
            return False
        generation = None if record.deleted_ns is None else record.generation
        self.delete(Selection(bucket=record.bucket, name=record.name, generation=generation))
        return True

    def restore(self, request: Selection, *, keeps_acl: bool = False) -> ObjectRecord:
        """A new live generation of what was deleted; conditions are on the live object that it replaces."""
        bucket = self.bucket(request.bucket)
        if not bucket.soft_delete_seconds:
            raise invalid("bucket soft delete policy must be set.")
        source = self.read_soft_deleted(replace(request, preconditions=NO_PRECONDITIONS))
        target = Upload(
            bucket=request.bucket,
            name=request.name,
            metadata=source.metadata if keeps_acl else replace(source.metadata, acl=(), writer=None),
            storage_class=source.storage_class,
            preconditions=request.preconditions,
            component_count=source.component_count,
            keeps_empty_type=True,
        )
        self.check_upload(target)
        self._check_overwritten(target.bucket, target.name)
        return self._insert(target, self._files.share(source.blob))

    def add_metadata(self, record: ObjectRecord, change: Callable[[ObjectMetadata], ObjectMetadata]) -> ObjectRecord:
        """A change that no client asked for (a first download token): no new metageneration, no event."""
        new = replace(record, metadata=change(record.metadata))
        self._namespaces[record.bucket].live[record.name] = new
        self._touch(new.key)
        return new

    def delete(self, request: Selection) -> None:
        """Without a generation the live object goes (or is archived); with one, exactly that one is gone for good."""
        record = self._find(request)
        request.preconditions.check_write(record, record.generation)
        bucket = self._buckets[request.bucket]
        archives = bucket.is_versioned and request.generation is None
        refuse_kept(bucket, record, self._clock.now_ns(), archives=archives)
        if record.deleted_ns is not None:
            self._forget_noncurrent(record)
        elif request.generation is None:
            self._replace_live(bucket, request.name, None)
        else:
            del self._namespaces[request.bucket].live[request.name]
            self._gone(record)

    def copy(self, request: Copy) -> ObjectRecord:
        """Shares the bytes: copying costs the same whatever the size."""
        source = self.read(request.source)
        check_customer_key(source, request.source_key)
        target = request.target
        self.check_upload(target)
        self._check_overwritten(target.bucket, target.name)
        target = replace(target, component_count=source.component_count, keeps_empty_type=True)
        if request.keep_metadata:
            said = target.metadata
            kept = replace(
                source.metadata,
                temporary_hold=None,
                event_based_hold=None,
                retention=None,
                contexts=said.contexts,
                policy=None,
                kms_key_name=said.kms_key_name,
                customer_key_sha256=said.customer_key_sha256,
                acl=said.acl,
                writer=said.writer,
            )
            target = replace(target, metadata=kept)
        if request.keep_contexts:
            target = replace(target, metadata=replace(target.metadata, contexts=source.metadata.contexts))
        check_retention(self._buckets.get(target.bucket), target.metadata, self._clock.now_ns())
        if target.storage_class is None:
            target = replace(target, storage_class=self.ensure_bucket(target.bucket).storage_class)
        return self._insert(target, self._files.share(source.blob))

    def move(self, request: Copy) -> ObjectRecord:
        """A copy and a delete in one step, refused as a whole."""
        source = self.read(request.source)
        bucket = self._buckets[source.bucket]
        refuse_kept(bucket, source, self._clock.now_ns(), archives=bucket.is_versioned)
        record = self.copy(
            replace(
                request,
                source_key=source.metadata.customer_key_sha256,
                target=replace(request.target, metadata=_moved(source.metadata)),
            )
        )
        self.delete(Selection(bucket=request.source.bucket, name=request.source.name))
        return record

    def check_not_kept(self, record: ObjectRecord) -> None:
        """Refuses to let a generation go that a hold or a retention keeps."""
        refuse_kept(self._buckets[record.bucket], record, self._clock.now_ns(), archives=False)

    def rename(self, record: ObjectRecord, name: str) -> None:
        """The same generation under another name, when its folder moves."""
        live, bucket = self._namespaces[record.bucket].live, self._buckets[record.bucket]
        del live[record.name]
        live[name] = renamed = replace(record, name=name)
        self._touch(record.key)
        self._touch(renamed.key)
        self._events.publish(object_events.FINALIZED, renamed, bucket)
        gone = replace(record, deleted_ns=self._clock.now_ns())
        self._events.publish(object_events.DELETED, gone, bucket)

    # -- exporting and importing

    def everything(self) -> Iterator[ObjectRecord]:
        """Every generation of every object, those that could be restored too."""
        for namespace in self._namespaces.values():
            yield from namespace.live.values()
            for earlier in (*namespace.noncurrent.values(), *namespace.soft_deleted.values()):
                yield from earlier

    def adopt(self, record: ObjectRecord, *, deleted_bucket: int | None = None) -> None:
        """Takes a record over as it is, from an import: no event, and later generations stay later."""
        self._last_generation = max(self._last_generation, record.generation)
        if deleted_bucket is not None:
            self.deleted_buckets.adopt_object(record, deleted_bucket)
            return
        self.ensure_bucket(record.bucket)
        namespace = self._namespaces[record.bucket]
        self._touch(record.key)
        if record.soft_deleted_ns is not None:
            self._soft_deleted.keep(record)
        elif record.deleted_ns is None:
            replaced: ObjectRecord | None = namespace.live.get(record.name)
            if replaced is not None:
                self._touch(replaced.key)
                self._files.release(replaced.blob)
            namespace.live[record.name] = record
        else:
            earlier = namespace.noncurrent.setdefault(record.name, [])
            earlier.append(record)
            earlier.sort(key=lambda one: one.generation)

    # -- what must hold

    def check_invariants(self) -> None:
        """What must hold between any two steps of the loop; every test of the store ends in it."""
        found = list(self.faults())
        assert not found, "the store of objects is not whole:\n" + "\n".join(found)

    def faults(self) -> Iterator[str]:
        """Everything that is not as it must be, each with its place."""
        yield from faults_of_buckets(self._buckets, self._namespaces, self._last_generation)
        yield from faults_of_shares((*self.everything(), *(one for _, one in self.deleted_buckets.objects())))

    # -- inside

    def _check_overwritten(self, bucket_name: str, name: str) -> None:
        """Asked last, when the bytes are there and the conditions hold."""
        bucket, current = self._buckets.get(bucket_name), self.live(bucket_name, name)
        if bucket is not None and current is not None:
            refuse_kept(bucket, current, self._clock.now_ns(), archives=bucket.is_versioned)

    def _check_write(self, request: Upload) -> None:
        current = self.live(request.bucket, request.name)
        request.preconditions.check_write(current, 0 if current is None else current.generation)

    def _replace_live(self, bucket: BucketRecord, name: str, new: ObjectRecord | None) -> None:
        namespace = self._namespaces[bucket.name]
        old: ObjectRecord | None = namespace.live.get(name)
        if new is None:
            del namespace.live[name]
        else:
            namespace.live[name] = new
            self._touch(new.key)
            overwritten = None if old is None else old.generation
            self._events.publish(object_events.FINALIZED, new, self._buckets[new.bucket], overwritten)
        if old is None:
            return
        if bucket.is_versioned:
            archived = replace(old, deleted_ns=self._clock.now_ns())
            namespace.noncurrent.setdefault(name, []).append(archived)
            self._touch(archived.key)
            self._events.publish(object_events.ARCHIVED, archived, bucket, None if new is None else new.generation)
        else:
            self._gone(old, None if new is None else new.generation)

    def _forget_noncurrent(self, record: ObjectRecord) -> None:
        noncurrent = self._namespaces[record.bucket].noncurrent
        noncurrent[record.name].remove(record)
        if not noncurrent[record.name]:
            del noncurrent[record.name]
        self._gone(record)

    def _gone(self, record: ObjectRecord, overwritten_by: int | None = None) -> None:
        self._touch(record.key)
        seconds = self._buckets[record.bucket].soft_delete_seconds
        if seconds:
            self._soft_deleted.add(record, seconds)
        else:
            self._files.release(record.blob)
        gone = record if record.deleted_ns is not None else replace(record, deleted_ns=self._clock.now_ns())
        self._events.publish(object_events.DELETED, gone, self._buckets[gone.bucket], overwritten_by)


def _moved(metadata: ObjectMetadata) -> ObjectMetadata:
    """What an object takes with it that a copy would leave."""
    return ObjectMetadata(
        kms_key_name=metadata.kms_key_name,
        customer_key_sha256=metadata.customer_key_sha256,
        acl=metadata.acl,
        writer=metadata.writer,
    )


def _default_list(bucket: BucketRecord) -> AccessList:
    """What a bucket gives its objects from now on; nothing where it has production's own default."""
    default = bucket.settings.get("defaultObjectAcl")
    return () if default is None else (*default, {"entity": WRITER, "role": "OWNER"})
