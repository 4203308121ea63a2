"""How the JSON API answers with an object: the resource, as far as the request asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from afterimage_emulator.storage.gcs.acl import AccessLists, wants_full
from afterimage_emulator.storage.messages.customer_keys import customer_key
from afterimage_emulator.storage.messages.object_json import object_resource
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response


class ObjectAnswers:
    """What of a resource its bucket has a say in is looked up when it is printed."""

    def __init__(self, *, store: ObjectStore, lists: AccessLists) -> None:
        self._store = store
        self._lists = lists

    def resource(self, request: HttpRequest, record: ObjectRecord, *, says_list: bool = False) -> dict[str, object]:
        """Checksums of what is under a customer's key are for those who show it."""
        bucket = self._store.bucket_or_none(record.bucket)
        resource = object_resource(record, origin=origin_of(request), bucket=bucket)
        otherwise = says_list or request.method in ("PATCH", "PUT")
        if wants_full(request, otherwise=otherwise) and not (bucket is not None and bucket.has_uniform_access):
            self._lists.add_to_object(resource, record, origin_of(request))
        if customer_key(request.headers) != record.metadata.customer_key_sha256:
            return without_sums(resource)
        return resource

    def resources(self, request: HttpRequest, records: Sequence[ObjectRecord]) -> list[dict[str, object]]:
        """A page of one bucket's."""
        origin, bucket = origin_of(request), self._store.bucket_or_none(records[0].bucket) if records else None
        printed = [object_resource(record, origin=origin, bucket=bucket) for record in records]
        if wants_full(request, otherwise=False) and not (bucket is not None and bucket.has_uniform_access):
            for resource, record in zip(printed, records, strict=True):
                self._lists.add_to_object(resource, record, origin)
        return [without_sums(one) if "customerEncryption" in one else one for one in printed]

    def answer(self, request: HttpRequest, record: ObjectRecord, *, says_list: bool = False) -> HttpResponse:
        resource = self.resource(request, record, says_list=says_list)
        resource = select_fields(resource, request.query_value("fields"))
        return json_response(resource, headers=[("etag", record.etag)])


def without_sums(resource: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in resource.items() if name not in ("md5Hash", "crc32c")}
