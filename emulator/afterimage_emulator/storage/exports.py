"""Writes and reads the storage part of an export, in the layout of the official suite (docs/storage.md describes it).

`buckets.json`, and for every object `blobs/<id>` with `metadata/<id>.json`; what versioning keeps of earlier
generations lies in `noncurrent/`, where the official suite does not look. An id is a number of the export and says
nothing of its object: generations are no ids, since objects of the official suite share them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from afterimage_emulator.clock import Clock
from afterimage_emulator.storage.access.policies import Policy, policy_resource, read_bindings
from afterimage_emulator.storage.errors import StorageError, invalid
from afterimage_emulator.storage.firebase.resources import download_tokens, with_tokens
from afterimage_emulator.storage.folders.folder_records import Folder
from afterimage_emulator.storage.folders.folders import Folders
from afterimage_emulator.storage.folders.managed_folders import ManagedFolder, ManagedFolders
from afterimage_emulator.storage.messages.object_json import (
    object_resource,
    read_metadata,
    read_storage_class,
    stored_contexts,
)
from afterimage_emulator.storage.messages.timestamps import parse_time, print_time
from afterimage_emulator.storage.notifications.configurations import read_configuration
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.names import check_bucket_name, check_object_name
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import PRODUCTION

_READ_BYTES = 1024 * 1024


class StorageExports:
    """Copies objects out of the store and into it."""

    def __init__(
        self, *, store: ObjectStore, files: BlobFiles, clock: Clock, folders: ManagedFolders, trees: Folders
    ) -> None:
        self._folders = folders
        self._trees = trees
        self._store = store
        self._files = files
        self._clock = clock

    async def export_to(self, directory: Path) -> None:
        """What is overwritten meanwhile is exported as it was at the start."""
        placed = [*((None, record) for record in self._store.everything()), *self._store.deleted_buckets.objects()]
        for _, record in placed:
            self._files.share(record.blob)
        try:
            buckets = [
                {
                    **_bucket_entry(bucket),
                    "managedFolders": _folder_entries(self._folders.of_bucket(bucket.name)),
                    "folders": _folder_entries(list(self._store.folders(bucket.name).values())),
                }
                for bucket in self._store.buckets()
            ]
            deleted = [_bucket_entry(bucket) for bucket in self._store.deleted_buckets.records()]
            index = {"buckets": buckets, "softDeletedBuckets": deleted}
            await self._files.disk.run(_write_json, directory / "buckets.json", index)
            for folder in ("blobs", "metadata"):
                (directory / folder).mkdir(parents=True, exist_ok=True)
            for number, (bucket, record) in enumerate(placed, start=1):
                deleted_bucket = None if bucket is None else bucket.generation
                await self._files.disk.run(_write_object, directory, f"{number:08d}", record, deleted_bucket)
        finally:
            for _, record in placed:
                self._files.release(record.blob)

    async def import_from(self, directory: Path) -> None:
        """Adds what the export holds to what is there. Checksums are counted anew while the bytes are copied."""
        index = _read_json(directory / "buckets.json")
        for entry in map(_mapping, _list(index, "softDeletedBuckets")):
            self._store.adopt_bucket(self._bucket(entry))
        for entry in map(_mapping, _list(index, "buckets")):
            bucket = self._bucket(entry)
            self._store.adopt_bucket(bucket)
            for plain in _plain_folders_of(bucket, entry.get("folders")):
                self._trees.adopt(plain)
            for managed in _folders_of(bucket, entry.get("managedFolders")):
                self._folders.adopt(managed)
        for folder, is_current in (
            (directory, True),
            (directory / "noncurrent", False),
            (directory / "softDeleted", False),
        ):
            # Older exports of the official suite have folders in there.
            for file in sorted((folder / "metadata").rglob("*.json")):
                blob = folder / "blobs" / file.relative_to(folder / "metadata")
                await self._import_object(file, blob.with_name(file.name.removesuffix(".json")), is_current)

    async def _import_object(self, file: Path, blob_file: Path, is_current: bool) -> None:
        body = await self._files.disk.run(_read_json, file)
        try:
            record = await self._record(body, blob_file, is_current=is_current)
        except StorageError as error:
            raise invalid(f"`{file}`: {error.message}") from error
        except OSError as error:
            raise invalid(f"`{file}`: its bytes in `{blob_file}` cannot be read: {error.strerror}") from error
        self._store.adopt(record, deleted_bucket=_number(body, "softDeletedBucketGeneration"))

    async def _record(self, body: Mapping[str, object], blob_file: Path, *, is_current: bool) -> ObjectRecord:
        bucket, name = body.get("bucket"), body.get("name")
        if not isinstance(bucket, str) or not isinstance(name, str):
            raise invalid("it names no bucket or no object")
        check_bucket_name(bucket)
        check_object_name(name)
        custom = body.get("customMetadata") or body.get("metadata") or {}
        of_the_server = {"kmsKeyName": None, "customerEncryption": None}
        metadata = read_metadata({**body, "metadata": custom, "acl": body.get("acl"), **of_the_server})
        metadata = replace(
            metadata,
            contexts=stored_contexts(body.get("contexts")),
            policy=_policy(body),
            writer=_text(body, "writer"),
            kms_key_name=_text(body, "kmsKeyName"),
            customer_key_sha256=_text(_mapping(body.get("customerEncryption")), "keySha256"),
        )
        tokens = body.get("downloadTokens")
        if isinstance(tokens, list) and tokens:
            metadata = with_tokens(metadata, tuple(str(token) for token in tokens))
        now = self._clock.now_ns()
        created = _time(body, "timeCreated") or now
        writer = self._files.new_writer()
        try:
            async for chunk in self._chunks(blob_file):
                await writer.write(chunk)
            blob = await writer.finish()
        except BaseException:
            writer.abort()
            raise
        components = _number(body, "componentCount")
        if components is not None:
            blob.md5 = ""
        soft_deleted = _time(body, "softDeleteTime")
        return ObjectRecord(
            bucket=bucket,
            name=name,
            generation=_number(body, "generation") or now // 1000,
            metageneration=_number(body, "metageneration") or 1,
            metadata=metadata,
            storage_class=read_storage_class(body) or "STANDARD",
            blob=blob,
            created_ns=created,
            updated_ns=_time(body, "updated") or created,
            deleted_ns=_time(body, "timeDeleted") or (None if is_current or soft_deleted else now),
            class_changed_ns=_time(body, "timeStorageClassUpdated"),
            hold_released_ns=_number(body, "holdReleased"),
            soft_deleted_ns=soft_deleted,
            hard_deleted_ns=_time(body, "hardDeleteTime") if soft_deleted else None,
            component_count=components,
        )

    async def _chunks(self, file: Path) -> AsyncIterator[bytes]:
        with file.open("rb") as source:
            while chunk := await self._files.disk.run(source.read, _READ_BYTES):
                yield chunk

    def _bucket(self, entry: Mapping[str, object]) -> BucketRecord:
        name = entry.get("id")
        if not isinstance(name, str):
            raise invalid("`buckets.json` has a bucket without an `id`")
        check_bucket_name(name)
        now = self._clock.now_ns()
        created = _time(entry, "timeCreated") or now
        settings = entry.get("settings")
        project = entry.get("project")
        return BucketRecord(
            name=name,
            project=project if isinstance(project, str) else None,
            generation=_number(entry, "generation") or 0,
            metageneration=_number(entry, "metageneration") or 1,
            soft_deleted_ns=_time(entry, "softDeleteTime"),
            hard_deleted_ns=_time(entry, "hardDeleteTime"),
            location=str(entry.get("location", "US")),
            storage_class=read_storage_class(entry) or "STANDARD",
            created_ns=created,
            updated_ns=_time(entry, "updated") or created,
            settings=settings if isinstance(settings, dict) else {},
            notifications=tuple(
                read_configuration(one, str(one.get("id", ""))) for one in map(_mapping, _list(entry, "notifications"))
            ),
            policy=_policy(entry),
        )


def _bucket_entry(bucket: BucketRecord) -> dict[str, object]:
    return {
        "id": bucket.name,
        "project": bucket.project,
        "generation": bucket.generation,
        "metageneration": bucket.metageneration,
        "location": bucket.location,
        "storageClass": bucket.storage_class,
        "timeCreated": print_time(bucket.created_ns),
        "updated": print_time(bucket.updated_ns),
        "settings": dict(bucket.settings),
        "notifications": [one.resource(bucket.name, PRODUCTION) for one in bucket.notifications],
        **{
            field: print_time(value)
            for field, value in (("softDeleteTime", bucket.soft_deleted_ns), ("hardDeleteTime", bucket.hard_deleted_ns))
            if value is not None
        },
        **_policy_entry(bucket.policy),
    }


def _policy_entry(policy: Policy | None) -> dict[str, object]:
    if policy is None:
        return {}
    resource = policy_resource(policy, place="", metageneration=1, version=3)
    return {"iamPolicy": {"version": 3, "bindings": resource["bindings"]}}


def _policy(entry: Mapping[str, object]) -> Policy | None:
    said = entry.get("iamPolicy")
    if not isinstance(said, Mapping):
        return None
    return read_bindings(said, has_uniform_access=True, forbids_public=False)


def _folder_entries(folders: Sequence[ManagedFolder | Folder]) -> list[dict[str, object]]:
    return [
        {
            "name": folder.name,
            "metageneration": folder.metageneration,
            "timeCreated": folder.created_ns,
            "updated": folder.updated_ns,
            **_policy_entry(folder.policy if isinstance(folder, ManagedFolder) else None),
        }
        for folder in folders
    ]


def _folders_of(bucket: BucketRecord, said: object) -> Iterator[ManagedFolder]:
    for one in said if isinstance(said, list) else []:
        entry = _mapping(one)
        yield ManagedFolder(
            bucket=bucket.name,
            name=str(entry.get("name", "")),
            created_ns=_number(entry, "timeCreated") or bucket.created_ns,
            updated_ns=_number(entry, "updated") or bucket.created_ns,
            metageneration=_number(entry, "metageneration") or 1,
            policy=_policy(entry) or (),
        )


def _plain_folders_of(bucket: BucketRecord, said: object) -> Iterator[Folder]:
    """Those of a hierarchical bucket."""
    for managed in _folders_of(bucket, said):
        yield Folder(
            bucket=bucket.name,
            name=managed.name,
            created_ns=managed.created_ns,
            updated_ns=managed.updated_ns,
            metageneration=managed.metageneration,
        )


def _list(entry: Mapping[str, object], field: str) -> list[object]:
    value = entry.get(field)
    return value if isinstance(value, list) else []


def _write_object(directory: Path, file_name: str, record: ObjectRecord, deleted_bucket: int | None) -> None:
    folder = directory if record.deleted_ns is None else directory / "noncurrent"
    if record.soft_deleted_ns is not None:
        folder = directory / "softDeleted"
    for name in ("blobs", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(record.blob.path, folder / "blobs" / file_name)
    plain = replace(record, metadata=with_tokens(record.metadata, ()))
    body = object_resource(plain, origin=PRODUCTION)
    body["acl"] = [dict(one) for one in record.metadata.acl]
    body["size"] = record.blob.size
    body["generation"] = record.generation
    body["metageneration"] = record.metageneration
    if record.metadata.writer is not None:
        body["writer"] = record.metadata.writer
    if record.hold_released_ns is not None:
        body["holdReleased"] = str(record.hold_released_ns)
    if deleted_bucket is not None:
        body["softDeletedBucketGeneration"] = str(deleted_bucket)
    body |= _policy_entry(record.metadata.policy)
    body["customMetadata"] = body.pop("metadata", {})
    body["downloadTokens"] = list(download_tokens(record.metadata))
    _write_json(folder / "metadata" / f"{file_name}.json", body)


def _write_json(file: Path, body: Mapping[str, object]) -> None:
    file.write_text(json.dumps(body, indent=2, ensure_ascii=False), "utf-8")


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        body = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise invalid(f"`{file}` cannot be read: {error}") from None
    if not isinstance(body, dict):
        raise invalid(f"`{file}` must hold a JSON object")
    return body


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(body: Mapping[str, object], field: str) -> str | None:
    value = body.get(field)
    return value if isinstance(value, str) else None


def _time(body: Mapping[str, object], field: str) -> int | None:
    value = body.get(field)
    return parse_time(value) if isinstance(value, str) else None


def _number(body: Mapping[str, object], field: str) -> int | None:
    value = body.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None
