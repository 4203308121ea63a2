"""Objects in the Firebase dialect: downloads, metadata, listings and download tokens, with the rules asked first."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Mapping
from typing import Any, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.front.callers import caller_of
from afterimage_emulator.storage.access import Access, RulesGate, edited_resource, stored_resource
from afterimage_emulator.storage.errors import Reason, StorageError, invalid, no_such_object
from afterimage_emulator.storage.firebase.resources import (
    download_tokens,
    firebase_patched,
    firebase_resource,
    with_tokens,
)
from afterimage_emulator.storage.messages.media_response import media_response
from afterimage_emulator.storage.messages.request_fields import json_object, listing, preconditions
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS
from afterimage_emulator.storage.objects.records import ObjectMetadata, ObjectRecord
from afterimage_emulator.storage.objects.requests import Edit, Selection
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_CACHE_CONTROL: Final = "private, max-age=0"


class FirebaseObjects:
    """Handlers for `/v0/b/{bucket}/o…`, uploads apart."""

    def __init__(self, *, store: ObjectStore, gate: RulesGate, clock: Clock) -> None:
        self._store = store
        self._gate = gate
        self._clock = clock

    async def get(self, request: HttpRequest) -> HttpResponse:
        bucket, name = request.params["bucket"], request.params["object"]
        record = self._store.live(bucket, name)
        if not _has_token(request, record):
            self._ask(request, "get", name, stored_resource(record))
        if record is None:
            raise no_such_object(bucket, name)
        preconditions(request).check_read(record, record.generation)
        if request.query_value("alt") == "media":
            return media_response(record, request.headers, default_cache_control=_CACHE_CONTROL)
        if not download_tokens(record.metadata):  # whoever may read the metadata may have a link to the bytes
            record = self._store.add_metadata(record, lambda old: with_tokens(old, (str(uuid.uuid4()),)))
        return _answer(record)

    async def list(self, request: HttpRequest) -> HttpResponse:
        """Firebase knows no names that end in a slash or have two in a row: they are left out."""
        wanted = listing(request, request.params["bucket"])
        self._ask(request, "list", wanted.prefix, None)
        page = self._store.list(wanted)
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
        bucket, name = request.params["bucket"], request.params["object"]
        record = self._store.live(bucket, name)
        proposed: Mapping[str, Any] | None = None
        if record is not None:
            proposed = edited_resource(record, firebase_patched(record.metadata, body), self._clock.now_ns())
        self._ask(request, "update", name, stored_resource(record), proposed)
        return _answer(self._edit(request, lambda old: firebase_patched(old, body)))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        bucket, name = request.params["bucket"], request.params["object"]
        self._ask(request, "delete", name, stored_resource(self._store.live(bucket, name)))
        self._store.delete(Selection(bucket=bucket, name=name, preconditions=preconditions(request)))
        return HttpResponse(204)

    async def tokens(self, request: HttpRequest) -> HttpResponse:
        """`?create_token=true` adds a download token, `?delete_token=…` revokes one; administrators only."""
        if not caller_of(request.headers.get).is_admin:
            raise StorageError(Reason.FORBIDDEN, "Missing admin credentials.")
        create, revoked = request.query_value("create_token"), request.query_value("delete_token")
        if (create is None) == (revoked is None):
            raise invalid("say either `create_token=true` or `delete_token=` with the token")
        if create is not None and create != "true":
            raise invalid(f"Invalid value for `create_token`: `{create}` is not true")
        # An object keeps at least one token: revoking the last one makes another.
        return _answer(self._edit(request, lambda old: _with_changed_tokens(old, revoked)))

    # -- inside

    def _edit(self, request: HttpRequest, change: Any) -> ObjectRecord:
        target = Selection(
            bucket=request.params["bucket"],
            name=request.params["object"],
            preconditions=preconditions(request) if request.raw_query else NO_PRECONDITIONS,
        )
        return self._store.edit(Edit(target=target, change=change))

    def _ask(
        self,
        request: HttpRequest,
        method: str,
        path: str,
        resource: Mapping[str, Any] | None,
        proposed: Mapping[str, Any] | None = None,
    ) -> None:
        caller = caller_of(request.headers.get)
        if not caller.is_admin:
            self._gate.authorize(
                Access(
                    caller=caller,
                    method=method,
                    bucket=request.params["bucket"],
                    path=path,
                    resource=resource,
                    request_resource=proposed,
                )
            )


def _has_token(request: HttpRequest, record: ObjectRecord | None) -> bool:
    token = request.query_value("token")
    if token is None or record is None:
        return False
    return any(hmac.compare_digest(token.encode(), known.encode()) for known in download_tokens(record.metadata))


def _with_changed_tokens(old: ObjectMetadata, revoked: str | None) -> ObjectMetadata:
    left = tuple(token for token in download_tokens(old) if token != revoked)
    if revoked is None or not left:
        left = (*left, str(uuid.uuid4()))
    return with_tokens(old, left)


def _answer(record: ObjectRecord) -> HttpResponse:
    return json_response(firebase_resource(record), headers=[("etag", record.etag)])
