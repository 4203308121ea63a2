"""Folders of hierarchical buckets in the JSON API."""

from __future__ import annotations

from typing import Any, Final

from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.folders.folder_records import Folder
from afterimage_emulator.storage.folders.folders import FolderListing, Folders
from afterimage_emulator.storage.gcs.operations_api import OperationsApi
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import flag, json_object, number, preconditions, text
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_PAGE_LIMIT: Final = 1000


class HierarchyApi:
    """Handlers for `/b/{bucket}/folders`. What takes long in production answers with an operation that is done."""

    def __init__(self, *, folders: Folders, operations: OperationsApi) -> None:
        self._folders = folders
        self._operations = operations

    async def create(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        with_parents = flag(request, "recursive")
        return _answer(
            request, self._folders.create(request.params["bucket"], body.get("name"), with_parents=with_parents)
        )

    async def get(self, request: HttpRequest) -> HttpResponse:
        params = request.params
        return _answer(request, self._folders.get(params["bucket"], params["folder"], preconditions(request)))

    async def list(self, request: HttpRequest) -> HttpResponse:
        size, delimiter = number(request, "pageSize"), text(request, "delimiter")
        if size is not None and size < 0:
            raise invalid(f"Invalid value for `pageSize`: `{size}`; use 1 to {_PAGE_LIMIT}")
        if delimiter not in ("", "/"):
            raise invalid(f"Invalid value for `delimiter`: `{delimiter[:60]}`; folders are divided by `/` alone")
        wanted = FolderListing(
            prefix=text(request, "prefix"),
            is_flat=not delimiter,
            start=text(request, "startOffset"),
            end=text(request, "endOffset"),
            after=text(request, "pageToken"),
            size=min(size or _PAGE_LIMIT, _PAGE_LIMIT),
        )
        shown, has_more = self._folders.page(request.params["bucket"], wanted)
        body: dict[str, Any] = {"kind": "storage#folders"}
        if shown:
            body["items"] = [_resource(request, folder) for folder in shown]
        if has_more:
            body["nextPageToken"] = shown[-1].name
        return json_response(select_fields(body, request.query_value("fields")))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._folders.delete(request.params["bucket"], request.params["folder"], preconditions(request))
        return HttpResponse(204)

    async def delete_recursive(self, request: HttpRequest) -> HttpResponse:
        bucket, name = request.params["bucket"], request.params["folder"]
        self._folders.delete_recursive(bucket, name, preconditions(request))
        return self._operations.answer_done(request, "DeleteFolderRecursive", {"folderId": name}, {})

    async def rename(self, request: HttpRequest) -> HttpResponse:
        bucket, name, target = (request.params[one] for one in ("bucket", "folder", "target_folder"))
        moved = self._folders.rename(bucket, name, target, preconditions(request, source=True))
        told = {"sourceFolderId": name, "destinationFolderId": moved.name}
        return self._operations.answer_done(request, "RenameFolder", told, _resource(request, moved))


def _answer(request: HttpRequest, folder: Folder) -> HttpResponse:
    return json_response(select_fields(_resource(request, folder), request.query_value("fields")))


def _resource(request: HttpRequest, folder: Folder) -> dict[str, Any]:
    return {
        "kind": "storage#folder",
        "id": f"{folder.bucket}/{folder.name}",
        "selfLink": f"{origin_of(request)}/storage/v1/b/{folder.bucket}/folders/{folder.name}",
        "bucket": folder.bucket,
        "name": folder.name,
        "metageneration": str(folder.metageneration),
        "createTime": print_time(folder.created_ns),
        "updateTime": print_time(folder.updated_ns),
    }
