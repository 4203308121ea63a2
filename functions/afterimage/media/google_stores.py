"""The stores as they are in production: Cloud Storage and Firestore through the official clients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from google.api_core import exceptions

from afterimage.delivery.document_changes import plain_fields
from afterimage.media.stores import ConflictError, DerivedFile, GoneError, MediaStores, Original, OriginalPage, Record
from afterimage.store.group_queries import documents_beneath, path_of

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client as FirestoreClient
    from google.cloud.storage import Blob
    from google.cloud.storage import Client as StorageClient

CACHE_CONTROL: Final = "private, max-age=31536000, immutable"
"""Derived files never change; `private` because the rules decide who may read them."""
_TIMEOUT_SECONDS: Final = 60
_USERS: Final = "users"
_SHARED: Final = "mediaObjects"


def google_stores(storage: StorageClient, firestore: FirestoreClient, derived_bucket: str) -> MediaStores:
    return MediaStores(
        originals=GoogleOriginals(storage),
        derived=GoogleDerivedFiles(storage, derived_bucket),
        records=FirestoreRecords(firestore),
    )


class GoogleOriginals:
    """Originals in Cloud Storage."""

    def __init__(self, client: StorageClient) -> None:
        self._client = client

    def find(self, bucket: str, name: str) -> Original | None:
        blob = self._client.bucket(bucket).get_blob(name, timeout=_TIMEOUT_SECONDS)
        return None if blob is None else _original(blob)

    def read(self, original: Original, start: int = 0, end: int | None = None) -> bytes:
        blob = self._blob(original)
        try:
            content: bytes = blob.download_as_bytes(
                client=self._client,
                start=start or None,
                end=None if end is None else end - 1,
                raw_download=True,
                if_generation_match=original.generation,
                timeout=_TIMEOUT_SECONDS,
            )
        except (exceptions.NotFound, exceptions.PreconditionFailed) as error:
            raise GoneError(str(error)) from error
        return content

    def stamp(self, original: Original, metadata: Mapping[str, str]) -> None:
        blob = self._blob(original)
        blob.metadata = {**original.metadata, **metadata}
        try:
            blob.patch(
                if_generation_match=original.generation,
                if_metageneration_match=original.metageneration,
                timeout=_TIMEOUT_SECONDS,
            )
        except exceptions.NotFound as error:
            raise GoneError(str(error)) from error
        except exceptions.PreconditionFailed as error:
            raise ConflictError(str(error)) from error

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> OriginalPage:
        found = self._client.list_blobs(
            bucket,
            prefix=prefix,
            page_token=token or None,
            page_size=limit,
            max_results=limit,
            timeout=_TIMEOUT_SECONDS,
        )
        originals = tuple(_original(blob) for blob in next(found.pages, ()))
        return OriginalPage(originals=originals, next_token=found.next_page_token or "")

    def delete(self, original: Original) -> None:
        try:
            self._blob(original).delete(if_generation_match=original.generation, timeout=_TIMEOUT_SECONDS)
        except (exceptions.NotFound, exceptions.PreconditionFailed):
            return

    def _blob(self, original: Original) -> Blob:
        return self._client.bucket(original.bucket).blob(original.name)


class GoogleDerivedFiles:
    """Derived files in their own bucket."""

    def __init__(self, client: StorageClient, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, path: str, data: bytes, content_type: str) -> None:
        blob = self._client.bucket(self._bucket).blob(path)
        blob.cache_control = CACHE_CONTROL
        try:
            blob.upload_from_string(data, content_type, if_generation_match=0, timeout=_TIMEOUT_SECONDS)
        except exceptions.PreconditionFailed:
            # Stored before, by another delivery of the same: the same path holds the same bytes.
            return

    def list(self, prefix: str, after: str = "") -> Iterator[DerivedFile]:
        found = self._client.list_blobs(
            self._bucket, prefix=prefix, start_offset=after or None, timeout=_TIMEOUT_SECONDS
        )
        for blob in found:
            if blob.name != after:
                yield DerivedFile(path=blob.name, size=blob.size or 0, created=blob.time_created)

    def delete(self, path: str) -> None:
        try:
            self._client.bucket(self._bucket).blob(path).delete(timeout=_TIMEOUT_SECONDS)
        except exceptions.NotFound:
            return


class FirestoreRecords:
    """Records in Firestore; the version is the document's update time."""

    def __init__(self, client: FirestoreClient) -> None:
        self._client = client

    def read(self, path: str) -> Record | None:
        found = self._client.document(path).get()
        return Record(path=path, fields=found.to_dict(), version=found.update_time) if found.exists else None

    def write(self, path: str, fields: Mapping[str, Any], expected: Record | None) -> Record:
        document = self._client.document(path)
        plain = {key: _plain(value) for key, value in fields.items()}
        try:
            if expected is None:
                result = document.create(plain)
            else:
                # Every field is named, so this replaces the document; `set` takes no precondition.
                option = self._client.write_option(last_update_time=expected.version)
                result = document.update(plain, option=option)
        except (exceptions.Conflict, exceptions.FailedPrecondition, exceptions.NotFound) as error:
            raise ConflictError(str(error)) from error
        return Record(path=path, fields=plain, version=result.update_time)

    def delete(self, record: Record) -> None:
        option = self._client.write_option(last_update_time=record.version)
        try:
            self._client.document(record.path).delete(option=option)
        except (exceptions.FailedPrecondition, exceptions.NotFound) as error:
            raise ConflictError(str(error)) from error

    def page(self, after: str, limit: int) -> list[Record]:
        found: list[Record] = []
        if not after.startswith(f"{_SHARED}/"):
            found = self._beneath(_USERS, "objects", after, limit)
            after = ""
        if len(found) < limit:
            found += self._shared(after, limit - len(found))
        return found

    def _beneath(self, root: str, group: str, after: str, limit: int) -> list[Record]:
        return [
            Record(path=path_of(found), fields=plain_fields(found.fields), version=found.update_time)
            for found in documents_beneath(self._client, root, group, behind=after, limit=limit)
        ]

    def _shared(self, after: str, limit: int) -> list[Record]:
        query = self._client.collection(_SHARED).order_by("__name__").limit(limit)
        if after:
            query = query.start_after({"__name__": self._client.document(after)})
        return [
            Record(path=found.reference.path, fields=found.to_dict() or {}, version=found.update_time)
            for found in query.stream()
        ]


def _original(blob: Blob) -> Original:
    return Original(
        bucket=blob.bucket.name,
        name=blob.name,
        generation=int(blob.generation),
        metageneration=int(blob.metageneration),
        size=int(blob.size or 0),
        content_type=blob.content_type or "",
        content_encoding=blob.content_encoding or "",
        md5=blob.md5_hash or "",
        created=blob.time_created,
        metadata=dict(blob.metadata or {}),
    )


def _plain(value: Any) -> Any:
    """Enumerations as their text: the client knows str, not its subclasses."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
