"""Listings of the XML API, as S3 clients and signed URLs ask for them: both of their versions."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from urllib.parse import quote

from afterimage_emulator.storage.errors import invalid, no_such_bucket
from afterimage_emulator.storage.gcs.errors import escaped, xml_response
from afterimage_emulator.storage.messages.request_fields import number, text
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.objects.listing import token_after
from afterimage_emulator.storage.objects.requests import PAGE_LIMIT, Listing, Page
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_NAMESPACE: Final = "http://doc.s3.amazonaws.com/2006-03-01"
_AFTER: Final = "\0"
_BEHIND_ALL: Final = "\U0010ffff"


class XmlListing:
    """GET of a bucket."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    async def list(self, request: HttpRequest) -> HttpResponse:
        bucket = request.params["bucket"]
        if self._store.bucket_or_none(bucket) is None:
            raise no_such_bucket()
        size = number(request, "max-keys")
        if size is not None and size < 0:
            raise invalid(f"Invalid value for `max-keys`: `{size}`; use 1 to {PAGE_LIMIT}")
        is_second = text(request, "list-type") == "2"
        after = text(request, "start-after" if is_second else "marker")
        wanted = Listing(
            bucket=bucket,
            prefix=text(request, "prefix"),
            delimiter=text(request, "delimiter"),
            start_offset=after + _AFTER if after else "",
            page_size=min(size or PAGE_LIMIT, PAGE_LIMIT),
            page_token=text(request, "continuation-token") if is_second else "",
        )
        if "versions" in request.query:
            if is_second:
                raise invalid("`versions` belongs to the first version of the listing; leave `list-type` out")
            wanted = replace(wanted, versions=True)
            generation = number(request, "generation-marker")
            if after and generation is not None:
                wanted = replace(wanted, start_offset="", page_token=token_after(after, generation))
        page = self._store.list(wanted)
        return xml_response(_printed(request, wanted, page, after, is_second=is_second))


def _printed(request: HttpRequest, wanted: Listing, page: Page, after: str, *, is_second: bool) -> str:
    encoding = text(request, "encoding-type")
    if encoding not in ("", "url"):
        raise invalid(f"Invalid value for `encoding-type`: `{encoding[:100]}`; use url")

    def name(value: str) -> str:
        return quote(value, safe="/") if encoding else escaped(value)

    parts = [("Name", escaped(wanted.bucket)), ("Prefix", name(wanted.prefix))]
    if wanted.delimiter:
        parts.append(("Delimiter", name(wanted.delimiter)))
    if encoding:
        parts.append(("EncodingType", encoding))
    parts.append(("IsTruncated", "true" if page.next_token else "false"))
    if is_second:
        parts.append(("KeyCount", str(len(page.items) + len(page.prefixes))))
        if page.next_token:
            parts.append(("NextContinuationToken", escaped(page.next_token)))
    else:
        parts.append(("Marker", name(after)))
        if page.next_token:
            parts.append(("NextMarker", name(_last(page))))
            if wanted.versions and page.items and page.items[-1].name == _last(page):
                parts.append(("NextGenerationMarker", str(page.items[-1].generation)))
    for record in page.items:
        inside = (
            f"<Key>{name(record.name)}</Key><Generation>{record.generation}</Generation>"
            f"<MetaGeneration>{record.metageneration}</MetaGeneration>"
            f"<LastModified>{print_time(record.updated_ns)}</LastModified>"
            f'<ETag>"{escaped(record.etag)}"</ETag><Size>{record.blob.size}</Size>'
            f"<StorageClass>{record.storage_class}</StorageClass>"
        )
        if wanted.versions:
            inside += f"<IsLatest>{'true' if record.deleted_ns is None else 'false'}</IsLatest>"
        parts.append(("Version" if wanted.versions else "Contents", inside))
    parts += [("CommonPrefixes", f"<Prefix>{name(prefix)}</Prefix>") for prefix in page.prefixes]
    inside = "".join(f"<{tag}>{content}</{tag}>" for tag, content in parts)
    return f"<ListBucketResult xmlns='{_NAMESPACE}'>{inside}</ListBucketResult>"


def _last(page: Page) -> str:
    """Where a listing of the first version goes on: behind the last name, and behind all that a prefix stands for."""
    names = [record.name for record in page.items[-1:]]
    folders = [prefix + _BEHIND_ALL for prefix in page.prefixes[-1:]]
    return max((*names, *folders), default="", key=lambda one: one.encode(errors="replace"))
