"""What Storage keeps of itself: which key stands for what, its value, and all of it taken back at the next start.

The bytes of objects lie in files of their own; here is which file is whose. What no record names any more is removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.durable.entries import KeptEntries
from afterimage_emulator.durable.plain_values import from_plain, to_plain, written
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.storage.copying.rewriting import Rewrites, UnfinishedRewrite
from afterimage_emulator.storage.folders.folder_records import Folder
from afterimage_emulator.storage.folders.folders import Folders
from afterimage_emulator.storage.folders.managed_folders import ManagedFolder, ManagedFolders
from afterimage_emulator.storage.objects.blob_files import BlobFiles, Place
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.requests import Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.rules.bucket_rules import BucketRules
from afterimage_emulator.storage.rules.guarded_objects import GuardedObjects
from afterimage_emulator.storage.signing.hmac_keys import HmacKey, HmacKeys
from afterimage_emulator.storage.uploads.in_parts import UploadedPart, UploadInParts, UploadsInParts
from afterimage_emulator.storage.uploads.resumable import ResumableUpload, ResumableUploads

Plain = dict[str, Any]


class KeptStorage:
    """Reads each part of the service for `keeping`, and gives it back."""

    def __init__(
        self,
        keeping: KeptEntries,
        *,
        store: ObjectStore,
        files: BlobFiles,
        guarded: GuardedObjects,
        rules: BucketRules,
        folders: ManagedFolders,
        trees: Folders,
        hmac_keys: HmacKeys,
        rewrites: Rewrites,
        resumable: ResumableUploads,
        in_parts: UploadsInParts,
    ) -> None:
        self._store = store
        self._files = files
        self._guarded = guarded
        self._folders = folders
        self._hmac_keys = hmac_keys
        self._rewrites = rewrites
        self._resumable = resumable
        self._in_parts = in_parts
        self._present: set[Place] = set()
        self._blobs: dict[Place, Blob] = {}
        self._used: set[Place] = set()
        self._readers: Mapping[str, Callable[[str], Plain | None]] = {
            "bucket": lambda name: _plain(self._store.bucket_or_none(name)),
            "deleted-bucket": self._read_deleted_bucket,
            "object": self._read_object,
            "tree": lambda rest: _plain(trees.find(*_split(rest))),
            "folder": lambda rest: _plain(self._folders.find(*_split(rest))),
            "hmac": lambda access_id: _plain(self._hmac_keys.find(access_id)),
            "rewrite": lambda token: _plain(self._rewrites.find(token)),
            "upload": self._read_upload,
            "parts": self._read_parts,
            "part": self._read_part,
            "rules": lambda _: rules.set_by_tool(),
        }
        self._takers: Mapping[str, Callable[[str, Plain], None]] = {
            # In this order: buckets before what is in them, objects before the uploads that made them.
            "bucket": lambda name, body: self._store.adopt_bucket(from_plain(BucketRecord, body)),
            "deleted-bucket": lambda rest, body: self._store.adopt_bucket(from_plain(BucketRecord, body)),
            "object": self._take_object,
            "tree": lambda rest, body: trees.adopt(from_plain(Folder, body)),
            "folder": lambda rest, body: self._folders.adopt(from_plain(ManagedFolder, body)),
            "hmac": lambda access_id, body: _ignore(self._hmac_keys.adopt(from_plain(HmacKey, body))),
            "rewrite": lambda token, body: self._rewrites.adopt(token, from_plain(UnfinishedRewrite, body)),
            "parts": self._take_parts,
            "part": self._take_part,
            "upload": self._take_upload,
            "rules": lambda _, said: rules.restore(said),
        }
        keeping.hold(read=self._read, restore=self._take_back)

    # -- reading

    def _read(self, key: str) -> bytes | None:
        kind, _, rest = key.partition("/")
        found = self._readers[kind](rest)
        return None if found is None else written(found)

    def _read_object(self, rest: str) -> Plain | None:
        bucket, generation, name = rest.split("/", 2)
        record = self._store.generation(bucket, name, int(generation))
        if record is not None:
            return {**to_plain(record, without=("blob",)), **_plain_blob(record.blob)}
        placed = self._store.deleted_buckets.placed_object(bucket, name, int(generation))
        if placed is None:
            return None
        return {**to_plain(placed[1], without=("blob",)), **_plain_blob(placed[1].blob), "deleted_bucket": placed[0]}

    def _read_deleted_bucket(self, rest: str) -> Plain | None:
        name, generation = _split(rest)
        return _plain(self._store.deleted_buckets.find_or_none(name, int(generation)))

    def _read_upload(self, session_id: str) -> Plain | None:
        session = self._resumable.known(session_id)
        if session is None:
            return None
        result = session.result
        return {
            "request": to_plain(session.request),
            "caller": _plain(session.caller),
            "place": session.writer.place,
            "size": session.writer.size,
            "total": session.total,
            "ends_ns": session.ends_ns,
            "cancelled": session.cancelled,
            "result": None if result is None else (result.bucket, result.name, result.generation),
        }

    def _read_parts(self, upload_id: str) -> Plain | None:
        upload = self._in_parts.begun(upload_id)
        if upload is None:
            return None
        result = upload.result
        return {
            "request": to_plain(upload.request),
            "started_ns": upload.started_ns,
            "ended_ns": upload.ended_ns,
            "result": None if result is None else (result.bucket, result.name, result.generation),
        }

    def _read_part(self, rest: str) -> Plain | None:
        upload_id, number = _split(rest)
        upload = self._in_parts.begun(upload_id)
        part = None if upload is None else upload.parts.get(int(number))
        return None if part is None else {**to_plain(part, without=("blob",)), **_plain_blob(part.blob)}

    # -- taking back

    def _take_back(self, entries: Mapping[str, bytes]) -> None:
        self._present = self._files.present()
        sorted_out: dict[str, list[tuple[str, bytes]]] = {kind: [] for kind in self._takers}
        for key, value in entries.items():
            kind, _, rest = key.partition("/")
            if kind in sorted_out:
                sorted_out[kind].append((rest, value))
        for kind, found in sorted_out.items():
            for rest, value in found:
                self._takers[kind](rest, json.loads(value))
        self._files.keep_only(self._used | self._blobs.keys())
        self._present, self._blobs, self._used = set(), {}, set()

    def _blob(self, body: Plain, whose: str) -> Blob:
        """Records that stand on the same bytes share them again."""
        said = body.pop("blob")
        place = (said["place"][0], said["place"][1])
        if place not in self._present:
            raise ConfigurationError(
                f"the bytes of `{whose}`, which were kept, are gone: restore the folder of the data from a copy"
            )
        if place not in self._blobs:
            self._blobs[place] = self._files.blob_at(place, size=said["size"], md5=said["md5"], crc32c=said["crc32c"])
        return self._files.share(self._blobs[place])

    def _take_object(self, rest: str, body: Plain) -> None:
        deleted_bucket = body.pop("deleted_bucket", None)
        record = from_plain(ObjectRecord, body, blob=self._blob(body, rest))
        self._store.adopt(record, deleted_bucket=deleted_bucket)

    def _take_parts(self, upload_id: str, body: Plain) -> None:
        self._in_parts.adopt(
            UploadInParts(
                id=upload_id,
                request=from_plain(Upload, body["request"]),
                started_ns=body["started_ns"],
                ended_ns=body["ended_ns"],
                result=self._result(body["result"]),
            )
        )

    def _take_part(self, rest: str, body: Plain) -> None:
        upload = self._in_parts.begun(_split(rest)[0])
        if upload is not None:
            part = from_plain(UploadedPart, body, blob=self._blob(body, f"part {rest}"))
            upload.parts[part.number] = part

    def _take_upload(self, session_id: str, body: Plain) -> None:
        """One whose file is gone was given up in the moment in which the suite ended."""
        place, result = (body["place"][0], body["place"][1]), self._result(body["result"])
        is_under_way = result is None and not body["cancelled"]
        if (body["result"] is not None and result is None) or (
            is_under_way and body["size"] and place not in self._present
        ):
            return
        if is_under_way:
            self._used.add(place)
        caller = None if body["caller"] is None else from_plain(Caller, body["caller"])
        self._resumable.adopt(
            ResumableUpload(
                id=session_id,
                request=from_plain(Upload, body["request"]),
                insert=self._store.insert if caller is None else self._guarded.inserter(caller),
                writer=self._files.writer_at(place, body["size"]),
                total=body["total"],
                caller=caller,
                result=result,
                cancelled=body["cancelled"],
                ends_ns=body["ends_ns"],
            )
        )

    def _result(self, said: Iterable[Any] | None) -> ObjectRecord | None:
        if said is None:
            return None
        bucket, name, generation = said
        return self._store.generation(bucket, name, generation)


def _plain(value: object) -> Plain | None:
    found: Plain | None = None if value is None else to_plain(value)
    return found


def _plain_blob(blob: Blob) -> Plain:
    place = (blob.folder.name, blob.file_name)
    return {"blob": {"place": place, "size": blob.size, "md5": blob.md5, "crc32c": blob.crc32c}}


def _split(rest: str) -> tuple[str, str]:
    first, _, second = rest.partition("/")
    return first, second


def _ignore(value: object) -> None:
    """For what answers with what it was given."""
