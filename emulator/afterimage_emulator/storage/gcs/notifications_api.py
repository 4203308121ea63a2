"""Notifications of buckets in the JSON API: made, listed, deleted; and the account that production publishes as."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import json_object
from afterimage_emulator.storage.notifications.configurations import (
    NotificationConfiguration,
    check_further,
    read_configuration,
)
from afterimage_emulator.storage.notifications.sending import Topics
from afterimage_emulator.storage.objects.records import BucketRecord
from afterimage_emulator.storage.objects.requests import BucketEdit
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_AGENT: Final = "service-1@gs-project-accounts.iam.gserviceaccount.com"


class NotificationsApi:
    """Handlers for `/b/{bucket}/notificationConfigs` and `/projects/{project}/serviceAccount`."""

    def __init__(self, *, store: ObjectStore, topics: Topics) -> None:
        self._store = store
        self._topics = topics

    async def create(self, request: HttpRequest) -> HttpResponse:
        """Its id is the metageneration that the bucket has then: no two are ever the same."""
        wanted = read_configuration(await json_object(request))
        name = request.params["bucket"]
        self._store.bucket(name)
        if not self._topics.exists(wanted.topic):
            raise invalid(f"Cloud Pub/Sub topic '{wanted.topic}' not found; create it in the suite's Pub/Sub first")

        def changed(old: BucketRecord) -> BucketRecord:
            check_further(old.notifications, wanted)
            added = replace(wanted, id=str(old.metageneration + 1))
            return replace(old, notifications=(*old.notifications, added))

        bucket = self._store.edit_bucket(BucketEdit(name=name, change=changed))
        return _answer(request, bucket.notifications[-1].resource(name, origin_of(request)))

    async def get(self, request: HttpRequest) -> HttpResponse:
        found = self._found(request)
        return _answer(request, found.resource(request.params["bucket"], origin_of(request)))

    async def list(self, request: HttpRequest) -> HttpResponse:
        bucket, origin = self._store.bucket(request.params["bucket"]), origin_of(request)
        body: dict[str, Any] = {"kind": "storage#notifications"}
        if bucket.notifications:
            body["items"] = [one.resource(bucket.name, origin) for one in bucket.notifications]
        return _answer(request, body)

    async def delete(self, request: HttpRequest) -> HttpResponse:
        gone = self._found(request)

        def changed(old: BucketRecord) -> BucketRecord:
            return replace(old, notifications=tuple(one for one in old.notifications if one.id != gone.id))

        self._store.edit_bucket(BucketEdit(name=request.params["bucket"], change=changed))
        return HttpResponse(204)

    async def service_account(self, request: HttpRequest) -> HttpResponse:
        """Programs ask for it to let it publish; in the suite everybody may."""
        return _answer(request, {"kind": "storage#serviceAccount", "email_address": _AGENT})

    def _found(self, request: HttpRequest) -> NotificationConfiguration:
        bucket, identity = self._store.bucket(request.params["bucket"]), request.params["notification"]
        for one in bucket.notifications:
            if one.id == identity:
                return one
        raise StorageError(Reason.NOT_FOUND, f"The notification `{identity[:100]}` of {bucket.name} does not exist.")


def _answer(request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
    return json_response(select_fields(body, request.query_value("fields")))
