"""Managed folders in the JSON API, and the layout of a bucket."""

from __future__ import annotations

from typing import Any, Final

from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.folders.managed_folders import ManagedFolder, ManagedFolders
from afterimage_emulator.storage.messages.object_json import location_type
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import flag, json_object, number, preconditions, text
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_PAGE_LIMIT: Final = 1000


class FoldersApi:
    """Handlers for `/b/{bucket}/managedFolders` and `/b/{bucket}/storageLayout`."""

    def __init__(self, *, store: ObjectStore, folders: ManagedFolders) -> None:
        self._store = store
        self._folders = folders

    async def layout(self, request: HttpRequest) -> HttpResponse:
        bucket = self._store.bucket(request.params["bucket"])
        layout = {
            "kind": "storage#storageLayout",
            "bucket": bucket.name,
            "location": bucket.location,
            "locationType": location_type(bucket),
            "hierarchicalNamespace": {"enabled": bucket.has_hierarchy},
        }
        return json_response(select_fields(layout, request.query_value("fields")))

    async def create(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        return _answer(request, self._folders.create(request.params["bucket"], body.get("name")))

    async def get(self, request: HttpRequest) -> HttpResponse:
        conditions = preconditions(request)
        return _answer(request, self._folders.get(request.params["bucket"], request.params["folder"], conditions))

    async def list(self, request: HttpRequest) -> HttpResponse:
        size, after = number(request, "pageSize"), text(request, "pageToken")
        if size is not None and size < 0:
            raise invalid(f"Invalid value for `pageSize`: `{size}`; use 1 to {_PAGE_LIMIT}")
        found = self._folders.of_bucket(request.params["bucket"], text(request, "prefix"))
        left = [folder for folder in found if folder.name > after]
        shown = left[: min(size or _PAGE_LIMIT, _PAGE_LIMIT)]
        body: dict[str, Any] = {"kind": "storage#managedFolders"}
        if shown:
            body["items"] = [_resource(request, folder) for folder in shown]
        if len(left) > len(shown):
            body["nextPageToken"] = shown[-1].name
        return json_response(select_fields(body, request.query_value("fields")))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._folders.delete(
            request.params["bucket"],
            request.params["folder"],
            preconditions(request),
            allows_objects=flag(request, "allowNonEmpty"),
        )
        return HttpResponse(204)


def _answer(request: HttpRequest, folder: ManagedFolder) -> HttpResponse:
    return json_response(select_fields(_resource(request, folder), request.query_value("fields")))


def _resource(request: HttpRequest, folder: ManagedFolder) -> dict[str, Any]:
    return {
        "kind": "storage#managedFolder",
        "id": f"{folder.bucket}/{folder.name}",
        "selfLink": f"{origin_of(request)}/storage/v1/b/{folder.bucket}/managedFolders/{folder.name}",
        "bucket": folder.bucket,
        "name": folder.name,
        "metageneration": str(folder.metageneration),
        "createTime": print_time(folder.created_ns),
        "updateTime": print_time(folder.updated_ns),
    }
