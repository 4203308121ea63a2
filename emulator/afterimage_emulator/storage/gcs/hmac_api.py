"""HMAC keys in the JSON API: made, listed, switched and deleted."""

from __future__ import annotations

from typing import Any, Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import flag, json_object, number, text
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.signing.hmac_keys import HmacKey, HmacKeys
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_PAGE_LIMIT: Final = 250


class HmacApi:
    """Handlers for `/projects/{project}/hmacKeys`."""

    def __init__(self, *, keys: HmacKeys) -> None:
        self._keys = keys

    async def create(self, request: HttpRequest) -> HttpResponse:
        email = text(request, "serviceAccountEmail")
        if not email:
            raise StorageError(Reason.REQUIRED, "Required parameter: serviceAccountEmail")
        key = self._keys.create(request.params["project"], email)
        return json_response({"kind": "storage#hmacKey", "metadata": _resource(request, key), "secret": key.secret})

    async def list(self, request: HttpRequest) -> HttpResponse:
        after = text(request, "pageToken")
        found = self._keys.list(
            request.params["project"],
            email=request.query_value("serviceAccountEmail"),
            with_deleted=flag(request, "showDeletedKeys"),
        )
        found = [key for key in found if key.access_id > after]
        size = min(max(number(request, "maxResults") or _PAGE_LIMIT, 1), _PAGE_LIMIT)
        body: dict[str, Any] = {"kind": "storage#hmacKeysMetadata"}
        if len(found) > size:
            body["nextPageToken"] = found[size - 1].access_id
        if found:
            body["items"] = [_resource(request, key) for key in found[:size]]
        return json_response(select_fields(body, request.query_value("fields")))

    async def get(self, request: HttpRequest) -> HttpResponse:
        key = self._keys.get(request.params["project"], request.params["access_id"])
        return _answer(request, key)

    async def update(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        state, etag = body.get("state"), body.get("etag")
        if not isinstance(state, str):
            raise invalid(f"Invalid value for `state`: `{state!r}`; send ACTIVE or INACTIVE")
        if etag is not None and not isinstance(etag, str):
            raise invalid(f"Invalid value for `etag`: it must be a string, not `{etag!r}`")
        key = self._keys.update(request.params["project"], request.params["access_id"], state=state, etag=etag)
        return _answer(request, key)

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._keys.delete(request.params["project"], request.params["access_id"])
        return HttpResponse(204)


def _answer(request: HttpRequest, key: HmacKey) -> HttpResponse:
    resource = _resource(request, key)
    return json_response(select_fields(resource, request.query_value("fields")), headers=[("etag", key.etag)])


def _resource(request: HttpRequest, key: HmacKey) -> dict[str, object]:
    """Without the secret, which is told once."""
    return {
        "kind": "storage#hmacKeyMetadata",
        "id": f"{key.project}/{key.access_id}",
        "selfLink": f"{origin_of(request)}/storage/v1/projects/{key.project}/hmacKeys/{key.access_id}",
        "accessId": key.access_id,
        "projectId": key.project,
        "serviceAccountEmail": key.email,
        "state": key.state,
        "timeCreated": print_time(key.created_ns),
        "updated": print_time(key.updated_ns),
        "etag": key.etag,
    }
