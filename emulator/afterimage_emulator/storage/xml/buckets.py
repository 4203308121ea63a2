"""Buckets in the XML API: made and deleted; their listings are in `listing`."""

from __future__ import annotations

from afterimage_emulator.storage.errors import invalid, not_implemented
from afterimage_emulator.storage.messages.object_json import read_storage_class
from afterimage_emulator.storage.objects.preconditions import Preconditions
from afterimage_emulator.storage.objects.requests import NewBucket
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.xml.bodies import child_text, xml_body
from afterimage_emulator.storage.xml.described_uploads import header_number
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse


class XmlBuckets:
    """PUT and DELETE of `/{bucket}`."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    async def put(self, request: HttpRequest) -> HttpResponse:
        if "x-goog-acl" in request.headers:
            raise not_implemented("x-goog-acl of a bucket in the XML API")
        wanted = await xml_body(request, "CreateBucketConfiguration")
        location, storage_class = "US", None
        if wanted is not None:
            known = {"LocationConstraint", "StorageClass"}
            for one in wanted:
                if one.tag not in known:
                    raise not_implemented(f"{one.tag} of a bucket in the XML API")
            location = child_text(wanted, "LocationConstraint") or location
            storage_class = read_storage_class({"storageClass": child_text(wanted, "StorageClass") or None})
        if not location.isprintable() or len(location) > 100:
            raise invalid("Invalid value for `LocationConstraint`")
        self._store.create_bucket(
            NewBucket(
                name=request.params["bucket"],
                project=request.headers.get("x-goog-project-id"),
                location=location,
                storage_class=storage_class or "STANDARD",
            )
        )
        return HttpResponse(200, [("location", f"/{request.params['bucket']}")])

    async def delete(self, request: HttpRequest) -> HttpResponse:
        match = header_number(request.headers, "x-goog-if-metageneration-match")
        self._store.delete_bucket(request.params["bucket"], Preconditions(metageneration_match=match))
        return HttpResponse(204)
