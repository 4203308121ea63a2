"""Objects in the JSON API: metadata, media, listings, changes, copies, translated for the store."""

from __future__ import annotations

from typing import Any, Final

from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.gcs.acl import check_acl_allowed, predefined_acl
from afterimage_emulator.storage.gcs.errors import media_error
from afterimage_emulator.storage.messages.media_response import media_response
from afterimage_emulator.storage.messages.object_json import (
    object_resource,
    patch_metadata,
    read_metadata,
)
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import (
    json_object,
    listing,
    refuse_customer_keys,
    selection,
)
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Edit
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_PRIVATE: Final = "no-cache, no-store, max-age=0, must-revalidate"


class GcsObjects:
    """Handlers for `/b/{bucket}/o…`."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    # -- reading

    async def get(self, request: HttpRequest) -> HttpResponse:
        refuse_customer_keys(request)
        if request.query_value("alt") == "media":
            return await self.download(request)
        record = self._store.read(selection(request))
        return _resource(request, record)

    async def download(self, request: HttpRequest) -> HttpResponse:
        refuse_customer_keys(request)
        size: int | None = None
        try:
            record = self._store.read(selection(request))
            size = record.blob.size
            return media_response(record, request.headers, default_cache_control=_PRIVATE)
        except StatusError as error:
            return media_error(error, size=size)

    async def list(self, request: HttpRequest) -> HttpResponse:
        page = self._store.list(listing(request, request.params["bucket"]))
        origin = origin_of(request)
        body: dict[str, object] = {"kind": "storage#objects"}
        if page.next_token:
            body["nextPageToken"] = page.next_token
        if page.prefixes:
            body["prefixes"] = list(page.prefixes)
        if page.items:
            body["items"] = [object_resource(record, origin=origin) for record in page.items]
        return json_response(select_fields(body, request.query_value("fields")))

    # -- changing

    async def patch(self, request: HttpRequest) -> HttpResponse:
        body = await self._checked_body(request)
        record = self._store.edit(Edit(target=selection(request), change=lambda old: patch_metadata(old, body)))
        return _resource(request, record)

    async def update(self, request: HttpRequest) -> HttpResponse:
        body = await self._checked_body(request)
        record = self._store.edit(Edit(target=selection(request), change=lambda _: read_metadata(body)))
        return _resource(request, record)

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._store.delete(selection(request))
        return HttpResponse(204)

    async def _checked_body(self, request: HttpRequest) -> dict[str, Any]:
        body = await json_object(request)
        acl = predefined_acl(request)
        if acl is not None:
            body["acl"] = list(acl)
        if isinstance(body.get("acl"), list):
            check_acl_allowed(self._store.bucket(request.params["bucket"]), body["acl"])
        return body


def _resource(request: HttpRequest, record: ObjectRecord) -> HttpResponse:
    resource = object_resource(record, origin=origin_of(request))
    return json_response(select_fields(resource, request.query_value("fields")), headers=[("etag", record.etag)])
