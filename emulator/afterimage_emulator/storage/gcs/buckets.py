"""Buckets in the JSON API, translated for the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from afterimage_emulator.clock import Clock
from afterimage_emulator.storage.errors import Reason, StorageError, invalid, no_such_bucket, not_implemented
from afterimage_emulator.storage.gcs.acl import AccessLists, check_acl_allowed, predefined_acl, wants_full
from afterimage_emulator.storage.messages.object_json import bucket_resource, read_storage_class
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import flag, json_object, number, preconditions, text
from afterimage_emulator.storage.objects.records import BucketRecord
from afterimage_emulator.storage.objects.requests import BucketEdit, NewBucket
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.settings.bucket_settings import (
    Settings,
    created_settings,
    patched_settings,
    updated_settings,
)
from afterimage_emulator.storage.settings.retention_settings import locked_retention
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_Settle = Callable[[str, Settings, Mapping[str, Any], int], Settings]


class GcsBuckets:
    """Handlers for `/b` and `/b/{bucket}`."""

    def __init__(self, *, store: ObjectStore, clock: Clock, lists: AccessLists) -> None:
        self._lists = lists
        self._store = store
        self._clock = clock

    async def create(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        name = body.get("name")
        if not isinstance(name, str):
            raise StorageError(Reason.REQUIRED, "Required parameter: name")
        location = "US" if body.get("location") in (None, "") else body["location"]
        if not isinstance(location, str):
            raise invalid(f"Invalid value for `location`: it must be a string, not `{location!r}`")
        settings = created_settings(
            name,
            self._with_lists(request, None, body),
            self._clock.now_ns(),
            allows_object_retention=flag(request, "enableObjectRetention"),
        )
        bucket = self._store.create_bucket(
            NewBucket(
                name=name,
                project=request.query_value("project"),
                location=location,
                storage_class=read_storage_class(body) or "STANDARD",
                settings=settings,
            )
        )
        return self._answer(request, bucket, says_lists=bool(body.get("acl") or body.get("defaultObjectAcl")))

    async def get(self, request: HttpRequest) -> HttpResponse:
        name = request.params["bucket"]
        if flag(request, "softDeleted"):
            bucket = self._store.deleted_buckets.find(name, _generation(request))
            preconditions(request).check_read(bucket)
            return self._answer(request, bucket)
        bucket = self._store.bucket(name, preconditions(request))
        asked = number(request, "generation")
        if asked is not None and asked != bucket.generation:
            raise no_such_bucket()
        return self._answer(request, bucket)

    async def list(self, request: HttpRequest) -> HttpResponse:
        after, project, prefix = text(request, "pageToken"), request.query_value("project"), text(request, "prefix")
        if flag(request, "softDeleted"):
            return self._list_deleted(request, project, prefix)
        found = self._store.buckets(project=project, prefix=prefix)
        found = [bucket for bucket in found if bucket.name > after]
        return self._answer_list(request, found, lambda last: last.name)

    def _list_deleted(self, request: HttpRequest, project: str | None, prefix: str) -> HttpResponse:
        """One name may stand there several times, so a page goes on after a generation."""
        after = _place_after(text(request, "pageToken"))
        found = [
            bucket
            for bucket in self._store.deleted_buckets.records()
            if bucket.name.startswith(prefix)
            and (project is None or bucket.project in (None, project))
            and (bucket.name, bucket.generation) > after
        ]
        return self._answer_list(request, found, lambda last: f"{last.name}#{last.generation}")

    def _answer_list(
        self, request: HttpRequest, found: Sequence[BucketRecord], token: Callable[[BucketRecord], str]
    ) -> HttpResponse:
        size = min(max(number(request, "maxResults") or 1000, 1), 1000)
        body: dict[str, Any] = {"kind": "storage#buckets"}
        if len(found) > size:
            body["nextPageToken"] = token(found[size - 1])
        if found:
            body["items"] = [self._printed(request, bucket, otherwise=False) for bucket in found[:size]]
        return json_response(select_fields(body, request.query_value("fields")))

    async def patch(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        if not body and not request.raw_query:
            return self._answer(request, self._store.bucket(request.params["bucket"]))  # nothing asked, nothing changed
        return self._edit(request, body, patched_settings)

    async def update(self, request: HttpRequest) -> HttpResponse:
        return self._edit(request, await json_object(request), updated_settings)

    async def lock_retention(self, request: HttpRequest) -> HttpResponse:
        """For ever: a locked policy can only be made longer."""
        if number(request, "ifMetagenerationMatch") is None:
            raise StorageError(Reason.REQUIRED, "Required parameter: ifMetagenerationMatch")
        name = request.params["bucket"]
        locked_retention(name, self._store.bucket(name).settings.get("retentionPolicy"))

        def locked(old: BucketRecord) -> BucketRecord:
            policy = locked_retention(name, old.settings.get("retentionPolicy"))
            return replace(old, settings={**old.settings, "retentionPolicy": policy})

        edit = BucketEdit(name=name, change=locked, preconditions=preconditions(request))
        return self._answer(request, self._store.edit_bucket(edit))

    async def restore(self, request: HttpRequest) -> HttpResponse:
        """What it was, under its old name, if nobody has taken it since."""
        return self._answer(request, self._store.restore_bucket(request.params["bucket"], _generation(request)))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._store.delete_bucket(request.params["bucket"], preconditions(request))
        return HttpResponse(204)

    async def not_here(self, request: HttpRequest) -> HttpResponse:
        raise not_implemented(request.raw_path)

    def _printed(self, request: HttpRequest, bucket: BucketRecord, *, otherwise: bool) -> dict[str, Any]:
        """`otherwise` says whether lists are told to those who say nothing."""
        resource = bucket_resource(bucket, origin=origin_of(request))
        if wants_full(request, otherwise=otherwise) and not bucket.has_uniform_access:
            self._lists.add_to_bucket(resource, bucket, origin_of(request))
        return resource

    def _answer(self, request: HttpRequest, bucket: BucketRecord, *, says_lists: bool = False) -> HttpResponse:
        resource = self._printed(request, bucket, otherwise=says_lists or request.method in ("PATCH", "PUT"))
        selected = select_fields(resource, request.query_value("fields"))
        return json_response(selected, headers=[("etag", bucket.etag)])

    def _with_lists(self, request: HttpRequest, old: BucketRecord | None, body: Mapping[str, Any]) -> dict[str, Any]:
        """A body with the lists that predefined names stand for; lists only where the bucket has any."""
        body = dict(body)
        for parameter, field in (("predefinedAcl", "acl"), ("predefinedDefaultObjectAcl", "defaultObjectAcl")):
            acl = predefined_acl(request, body, parameter, of_bucket=field == "acl")
            if acl is not None:
                body[field] = list(acl)
            if old is not None and isinstance(body.get(field), list):
                check_acl_allowed(old, body[field])
        return body

    def _edit(self, request: HttpRequest, body: Mapping[str, Any], settle: _Settle) -> HttpResponse:
        name = request.params["bucket"]

        def changed(old: BucketRecord) -> BucketRecord:
            wanted = self._with_lists(request, old, body)
            settings = settle(name, old.settings, wanted, self._clock.now_ns())
            return replace(_renewed(old, body), settings=settings)

        edit = BucketEdit(name=name, change=changed, preconditions=preconditions(request))
        return self._answer(request, self._store.edit_bucket(edit))


def _generation(request: HttpRequest) -> int:
    generation = number(request, "generation")
    if generation is None:
        raise StorageError(Reason.REQUIRED, "Required parameter: generation")
    return generation


def _place_after(token: str) -> tuple[str, int]:
    name, found, generation = token.partition("#")
    if not token:
        return "", 0
    if not found or not generation.isdecimal() or len(generation) > 19:
        raise invalid(f"Invalid pageToken `{token[:100]}`; send back `nextPageToken` as it came")
    return name, int(generation)


def _renewed(old: BucketRecord, body: Mapping[str, object]) -> BucketRecord:
    return replace(old, storage_class=read_storage_class(body) or old.storage_class)
