"""Objects in the JSON API: metadata, media, listings, changes, copies, translated for the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.errors import Reason, StorageError, invalid, not_implemented
from afterimage_emulator.storage.folders.managed_folders import ManagedFolders
from afterimage_emulator.storage.gcs.acl import check_acl_allowed, predefined_acl
from afterimage_emulator.storage.gcs.answers import ObjectAnswers
from afterimage_emulator.storage.gcs.errors import media_error
from afterimage_emulator.storage.messages.customer_keys import check_customer_key, customer_key
from afterimage_emulator.storage.messages.media_response import media_response
from afterimage_emulator.storage.messages.object_json import (
    patch_metadata,
    read_metadata,
)
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import (
    flag,
    json_object,
    listing,
    selection,
)
from afterimage_emulator.storage.objects.records import ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Edit
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_PRIVATE: Final = "no-cache, no-store, max-age=0, must-revalidate"


class GcsObjects:
    """Handlers for `/b/{bucket}/o…`."""

    def __init__(self, *, store: ObjectStore, answers: ObjectAnswers, folders: ManagedFolders) -> None:
        self._store = store
        self._folders = folders
        self._answers = answers

    # -- reading

    async def get(self, request: HttpRequest) -> HttpResponse:
        if flag(request, "softDeleted"):
            return self._answers.answer(request, self._soft_deleted(request))
        if request.query_value("alt") == "media":
            return await self.download(request)
        record = self._store.read(selection(request))
        shown = customer_key(request.headers)
        if shown is not None:
            check_customer_key(record, shown)
        return self._answers.answer(request, record)

    async def download(self, request: HttpRequest) -> HttpResponse:
        size: int | None = None
        try:
            record = self._store.read(selection(request))
            check_customer_key(record, customer_key(request.headers))
            size = record.blob.size
            return media_response(record, request.headers, default_cache_control=_PRIVATE)
        except StatusError as error:
            return media_error(error, size=size)

    def _soft_deleted(self, request: HttpRequest) -> ObjectRecord:
        wanted = selection(request)
        if wanted.generation is None:
            raise StorageError(Reason.REQUIRED, "Required parameter: generation, where softDeleted is true")
        if request.query_value("alt") == "media":
            raise invalid("A soft-deleted object cannot be downloaded; restore it first")
        return self._store.read_soft_deleted(wanted)

    async def list(self, request: HttpRequest) -> HttpResponse:
        wanted = listing(request, request.params["bucket"])
        if wanted.soft_deleted and not self._store.bucket(wanted.bucket).soft_delete_seconds:
            raise invalid("bucket soft delete policy must be set.")
        managed = self._folders.names_of(wanted.bucket) if wanted.shows_folders else ()
        page = self._store.list(wanted, managed)
        body: dict[str, object] = {"kind": "storage#objects"}
        if page.next_token:
            body["nextPageToken"] = page.next_token
        if page.prefixes:
            body["prefixes"] = list(page.prefixes)
        if page.items:
            body["items"] = self._answers.resources(request, page.items)
        return json_response(select_fields(body, request.query_value("fields")))

    # -- changing

    async def patch(self, request: HttpRequest) -> HttpResponse:
        body = await self._checked_body(request)
        record = self._store.edit(_edit(request, lambda old: patch_metadata(old, body)))
        return self._answers.answer(request, record)

    async def update(self, request: HttpRequest) -> HttpResponse:
        body = await self._checked_body(request)
        record = self._store.edit(_edit(request, lambda old: _updated(old, body)))
        return self._answers.answer(request, record)

    async def restore(self, request: HttpRequest) -> HttpResponse:
        """Everything but the access list comes back; `copySourceAcl=true` brings that too."""
        wanted = selection(request)
        if wanted.generation is None:
            raise StorageError(Reason.REQUIRED, "Required parameter: generation")
        if request.query_value("restoreToken"):
            raise not_implemented("restoreToken")
        restored = self._store.restore(wanted, keeps_acl=flag(request, "copySourceAcl"))
        return self._answers.answer(request, restored)

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._store.delete(selection(request))
        return HttpResponse(204)

    async def _checked_body(self, request: HttpRequest) -> dict[str, Any]:
        body = await json_object(request)
        acl = predefined_acl(request, body)
        if acl is not None:
            body["acl"] = list(acl)
        if isinstance(body.get("acl"), list):
            check_acl_allowed(self._store.bucket(request.params["bucket"]), body["acl"])
        return body


def _edit(request: HttpRequest, change: Callable[[ObjectMetadata], ObjectMetadata]) -> Edit:
    overrides = flag(request, "overrideUnlockedRetention")
    return Edit(target=selection(request), change=change, overrides_retention=overrides)


def _updated(old: ObjectMetadata, body: Mapping[str, object]) -> ObjectMetadata:
    """PUT: what is not said is empty. Holds that were ever set are then off, not unknown."""
    echoed = {"kmsKeyName": old.kms_key_name, "customerEncryption": body.get("customerEncryption")}
    body = {name: value for name, value in body.items() if name not in echoed or value != echoed[name]}
    new = read_metadata(body)
    return replace(
        new,
        kms_key_name=new.kms_key_name or old.kms_key_name,
        customer_key_sha256=old.customer_key_sha256,
        policy=old.policy,
        writer=old.writer,
        acl=new.acl or old.acl,
        temporary_hold=_off(old.temporary_hold) if new.temporary_hold is None else new.temporary_hold,
        event_based_hold=_off(old.event_based_hold) if new.event_based_hold is None else new.event_based_hold,
    )


def _off(hold: bool | None) -> bool | None:
    return None if hold is None else False
