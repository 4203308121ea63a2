"""Buckets in the JSON API, translated for the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid, not_implemented
from afterimage_emulator.storage.gcs.acl import check_acl_allowed, predefined_acl
from afterimage_emulator.storage.messages.object_json import bucket_resource, read_storage_class
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import flag, json_object, number, preconditions, text
from afterimage_emulator.storage.objects.records import BucketRecord
from afterimage_emulator.storage.objects.requests import BucketEdit, NewBucket
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_KEPT: Final = frozenset(
    {"labels", "cors", "versioning", "website", "logging", "iamConfiguration", "billing", "acl", "defaultObjectAcl"}
)
"""What clients may set and read back; of these only `versioning` changes what the suite does."""

_UNSUPPORTED: Final = frozenset(
    {
        "lifecycle", "retentionPolicy", "defaultEventBasedHold", "encryption", "autoclass", "hierarchicalNamespace",
        "objectRetention", "customPlacementConfig", "rpo", "ipFilter", "softDeletePolicy",
    }
)  # fmt: skip


class GcsBuckets:
    """Handlers for `/b` and `/b/{bucket}`."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    async def create(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        if flag(request, "enableObjectRetention"):
            raise not_implemented("enableObjectRetention")
        name = body.get("name")
        if not isinstance(name, str):
            raise StorageError(Reason.REQUIRED, "Required parameter: name")
        location = body.get("location") or "US"
        if not isinstance(location, str):
            raise invalid(f"Invalid value for `location`: it must be a string, not `{location!r}`")
        bucket = self._store.create_bucket(
            NewBucket(
                name=name,
                project=request.query_value("project"),
                location=location,
                storage_class=read_storage_class(body) or "STANDARD",
                settings=self._settings(request, None, body),
            )
        )
        return _resource(request, bucket)

    async def get(self, request: HttpRequest) -> HttpResponse:
        return _resource(request, self._store.bucket(request.params["bucket"], preconditions(request)))

    async def list(self, request: HttpRequest) -> HttpResponse:
        after = text(request, "pageToken")
        found = self._store.buckets(project=request.query_value("project"), prefix=text(request, "prefix"))
        found = [bucket for bucket in found if bucket.name > after]
        size = min(max(number(request, "maxResults") or 1000, 1), 1000)
        origin = origin_of(request)
        body: dict[str, Any] = {"kind": "storage#buckets"}
        if len(found) > size:
            body["nextPageToken"] = found[size - 1].name
        if found:
            body["items"] = [bucket_resource(bucket, origin=origin) for bucket in found[:size]]
        return json_response(select_fields(body, request.query_value("fields")))

    async def patch(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        return self._edit(
            request, lambda old: replace(_renewed(old, body), settings=self._settings(request, old, body))
        )

    async def update(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        return self._edit(request, lambda old: replace(_renewed(old, body), settings=_patched({}, body)))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        self._store.delete_bucket(request.params["bucket"], preconditions(request))
        return HttpResponse(204)

    async def not_here(self, request: HttpRequest) -> HttpResponse:
        raise not_implemented(request.raw_path)

    def _settings(self, request: HttpRequest, old: BucketRecord | None, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A patch with the lists that predefined names stand for; lists only where the bucket has any."""
        body = dict(body)
        for parameter, field in (("predefinedAcl", "acl"), ("predefinedDefaultObjectAcl", "defaultObjectAcl")):
            acl = predefined_acl(request, parameter)
            if acl is not None:
                body[field] = list(acl)
            if old is not None and isinstance(body.get(field), list):
                check_acl_allowed(old, body[field])
        return _patched({} if old is None else old.settings, body)

    def _edit(self, request: HttpRequest, change: Any) -> HttpResponse:
        edit = BucketEdit(name=request.params["bucket"], change=change, preconditions=preconditions(request))
        return _resource(request, self._store.edit_bucket(edit))


def _renewed(old: BucketRecord, body: Mapping[str, object]) -> BucketRecord:
    return replace(old, storage_class=read_storage_class(body) or old.storage_class)


def _patched(old: Mapping[str, object], body: Mapping[str, object]) -> Mapping[str, object]:
    """Objects merge key by key, null removes, everything else replaces: the JSON API's patch."""
    for field in sorted(_UNSUPPORTED & body.keys()):
        if body[field]:
            raise not_implemented(f"bucket.{field}")
    settings = dict(old)
    for field in _KEPT & body.keys():
        merged = _merged(settings.get(field), body[field])
        if merged is None:
            settings.pop(field, None)
        else:
            settings[field] = merged
    labels = settings.get("labels", {})
    if not isinstance(labels, Mapping) or not all(isinstance(value, str) for value in labels.values()):
        raise invalid("Invalid value for `labels`: it must be an object of strings")
    _check_access_configuration(settings)
    return settings


def _check_access_configuration(settings: Mapping[str, object]) -> None:
    configuration = settings.get("iamConfiguration", {})
    if not isinstance(configuration, Mapping):
        raise invalid("Invalid value for `iamConfiguration`: it must be an object")
    prevention = configuration.get("publicAccessPrevention", "inherited")
    if prevention not in ("inherited", "enforced", "unspecified"):
        raise invalid(f"Invalid value for `publicAccessPrevention`: `{prevention}`; use inherited or enforced")


def _merged(old: object, new: object) -> object:
    if not isinstance(new, Mapping):
        return new
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in new.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _resource(request: HttpRequest, bucket: BucketRecord) -> HttpResponse:
    resource = bucket_resource(bucket, origin=origin_of(request))
    return json_response(select_fields(resource, request.query_value("fields")), headers=[("etag", bucket.etag)])
