"""How the JSON API answers with an object: the resource, as far as the request asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from afterimage_emulator.storage.messages.customer_keys import customer_key
from afterimage_emulator.storage.messages.object_json import object_resource
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response


class ObjectAnswers:
    """What of a resource its bucket has a say in is looked up when it is printed."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    def resource(self, request: HttpRequest, record: ObjectRecord) -> dict[str, object]:
        """Checksums of what is under a customer's key are for those who show it."""
        bucket = self._store.bucket_or_none(record.bucket)
        resource = object_resource(record, origin=origin_of(request), bucket=bucket)
        if customer_key(request.headers) != record.metadata.customer_key_sha256:
            return without_sums(resource)
        return resource

    def resources(self, request: HttpRequest, records: Sequence[ObjectRecord]) -> list[dict[str, object]]:
        """A page of one bucket's."""
        origin, bucket = origin_of(request), self._store.bucket_or_none(records[0].bucket) if records else None
        printed = [object_resource(record, origin=origin, bucket=bucket) for record in records]
        return [without_sums(one) if "customerEncryption" in one else one for one in printed]

    def answer(self, request: HttpRequest, record: ObjectRecord) -> HttpResponse:
        resource = select_fields(self.resource(request, record), request.query_value("fields"))
        return json_response(resource, headers=[("etag", record.etag)])


def without_sums(resource: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in resource.items() if name not in ("md5Hash", "crc32c")}
