"""Objects in the Firebase dialect: downloads, metadata, listings and download tokens, with the rules asked first."""

from __future__ import annotations

import uuid
from typing import Any, Final

from afterimage_emulator.front.callers import caller_of
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.firebase.resources import (
    download_tokens,
    firebase_patched,
    firebase_resource,
    with_tokens,
)
from afterimage_emulator.storage.messages.customer_keys import check_customer_key
from afterimage_emulator.storage.messages.media_response import media_response
from afterimage_emulator.storage.messages.request_fields import json_object, listing, preconditions
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS
from afterimage_emulator.storage.objects.records import ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Selection
from afterimage_emulator.storage.rules.guarded_objects import GuardedObjects, require_storage_admin
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_CACHE_CONTROL: Final = "private, max-age=0"


class FirebaseObjects:
    """Handlers for `/v0/b/{bucket}/o…`, uploads apart."""

    def __init__(self, objects: GuardedObjects) -> None:
        self._objects = objects

    async def get(self, request: HttpRequest) -> HttpResponse:
        record = self._objects.read(
            caller_of(request.headers.get),
            request.params["bucket"],
            request.params["object"],
            token=request.query_value("token"),
        )
        preconditions(request).check_read(record, record.generation)
        if request.query_value("alt") == "media":
            check_customer_key(record, None)  # this dialect has no way to show one
            return media_response(record, request.headers, default_cache_control=_CACHE_CONTROL)
        if not download_tokens(record.metadata):
            record = self._objects.give_token(record, lambda old: with_tokens(old, (str(uuid.uuid4()),)))
        return _answer(record)

    async def list(self, request: HttpRequest) -> HttpResponse:
        """Firebase knows no names that end in a slash or have two in a row: they are left out."""
        wanted = listing(request, request.params["bucket"])
        if wanted.prefix and not wanted.prefix.endswith("/"):
            raise invalid("The prefix parameter is required to be empty or ends with a single / character.")
        if wanted.versions or wanted.soft_deleted or wanted.context_filter:
            raise invalid("versions, softDeleted and filter belong to the API of Cloud Storage")
        page = self._objects.list(caller_of(request.headers.get), wanted)
        body: dict[str, Any] = {
            "prefixes": [prefix for prefix in page.prefixes if "//" not in prefix],
            "items": [
                {"name": record.name, "bucket": record.bucket}
                for record in page.items
                if not record.name.endswith("/") and "//" not in record.name
            ],
        }
        if page.next_token:
            body["nextPageToken"] = page.next_token
        return json_response(body)

    async def patch(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        edited = self._objects.edit(
            caller_of(request.headers.get), _selection(request), lambda old: firebase_patched(old, body)
        )
        return _answer(edited)

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._objects.delete(caller_of(request.headers.get), _selection(request))
        return HttpResponse(204)

    async def tokens(self, request: HttpRequest) -> HttpResponse:
        """`?create_token=true` adds a download token, `?delete_token=…` revokes one; administrators only."""
        caller = caller_of(request.headers.get)
        require_storage_admin(caller)
        create, revoked = request.query_value("create_token"), request.query_value("delete_token")
        if (create is None) == (revoked is None):
            raise invalid("say either `create_token=true` or `delete_token=` with the token")
        if create is not None and create != "true":
            raise invalid(f"Invalid value for `create_token`: `{create}` is not true")
        # An object keeps at least one token: revoking the last one makes another.
        edited = self._objects.edit_tokens(caller, _selection(request), lambda old: _with_changed_tokens(old, revoked))
        return _answer(edited)


def _selection(request: HttpRequest) -> Selection:
    return Selection(
        bucket=request.params["bucket"],
        name=request.params["object"],
        preconditions=preconditions(request) if request.raw_query else NO_PRECONDITIONS,
    )


def _with_changed_tokens(old: ObjectMetadata, revoked: str | None) -> ObjectMetadata:
    left = tuple(token for token in download_tokens(old) if token != revoked)
    if revoked is None or not left:
        left = (*left, str(uuid.uuid4()))
    return with_tokens(old, left)


def _answer(record: ObjectRecord) -> HttpResponse:
    return json_response(firebase_resource(record), headers=[("etag", record.etag)])
