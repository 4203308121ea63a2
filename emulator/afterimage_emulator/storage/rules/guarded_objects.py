"""The store as users meet it: whatever they want of it is asked of the rules in the moment it is done."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

from afterimage_emulator.clock import Clock
from afterimage_emulator.front.callers import Caller
from afterimage_emulator.front.rules_gate import RulesGate
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.errors import Reason, StorageError, no_such_object
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import Blob
from afterimage_emulator.storage.objects.records import ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Edit, Listing, Page, Selection, Upload
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.rules.questions import (
    TOKENS_KEY,
    Asking,
    about_edit,
    about_list,
    about_object,
    about_upload,
)

if TYPE_CHECKING:
    from afterimage_emulator.rules_language import DocumentLookup as DocumentLookup

Change = Callable[[ObjectMetadata], ObjectMetadata]


class GuardedObjects:
    """What the Firebase dialect has of the store. `documents` is where `firestore.get` and `exists` read."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        files: BlobFiles,
        gate: RulesGate[str],
        clock: Clock,
        documents: DocumentLookup | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._gate = gate
        self._clock = clock
        self._documents = documents

    def read(self, caller: Caller, bucket: str, name: str, *, token: str | None = None) -> ObjectRecord:
        """The live object. Whoever has one of its download tokens may read it, whatever the rules say."""
        record = self._store.live(bucket, name)
        if token is None or record is None or not _is_token_of(record, token):
            self._gate.check(caller, bucket, about_object, self._asking(), "get", name, record)
        if record is None:
            raise no_such_object(bucket, name)
        return record

    def give_token(self, record: ObjectRecord, change: Change) -> ObjectRecord:
        """Whoever may read the metadata may have a link to the bytes: what was read gets the token that it lacks."""
        return self._store.add_metadata(record, change)

    def list(self, caller: Caller, wanted: Listing) -> Page:
        self._gate.check(caller, wanted.bucket, about_list, self._asking(), wanted.prefix)
        return self._store.list(wanted)

    def edit(self, caller: Caller, target: Selection, change: Change) -> ObjectRecord:
        record = self._store.live(target.bucket, target.name)
        proposed = None if record is None else change(record.metadata)
        self._gate.check(caller, target.bucket, about_edit, self._asking(), target.name, record, proposed)
        return self._store.edit(Edit(target=target, change=change))

    def edit_tokens(self, caller: Caller, target: Selection, change: Change) -> ObjectRecord:
        require_storage_admin(caller)
        return self._store.edit(Edit(target=target, change=change))

    def delete(self, caller: Caller, target: Selection) -> None:
        record = self._store.live(target.bucket, target.name)
        self._gate.check(caller, target.bucket, about_object, self._asking(), "delete", target.name, record)
        self._store.delete(target)

    def check_upload(self, upload: Upload) -> None:
        """Refuses what need not be sent; whether it is allowed is asked when the bytes are there."""
        self._store.check_upload(upload)

    def inserter(self, caller: Caller) -> Callable[[Upload, Blob], ObjectRecord]:
        """Called when the bytes of an upload are there: only then are size and checksums facts."""

        def insert(upload: Upload, blob: Blob) -> ObjectRecord:
            try:
                record = self._store.live(upload.bucket, upload.name)
                self._gate.check(caller, upload.bucket, about_upload, self._asking(), upload, blob, record)
            except StatusError:
                self._files.release(blob)
                raise
            return self._store.insert(upload, blob)

        return insert

    def _asking(self) -> Asking:
        return Asking(now_ns=self._clock.now_ns(), documents=self._documents)


def require_storage_admin(caller: Caller) -> None:
    if not caller.is_admin:
        raise StorageError(Reason.FORBIDDEN, "Missing admin credentials.")


def _is_token_of(record: ObjectRecord, token: str) -> bool:
    known = record.metadata.custom.get(TOKENS_KEY, "").split(",")
    return any(one and hmac.compare_digest(token.encode(), one.encode()) for one in known)
