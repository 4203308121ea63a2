"""Uploads by HTML forms: the fields, the policy that allows them, the file, and the answer that the form asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

from afterimage_emulator.front.callers import caller_from_authorization
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.gcs.acl import check_acl_allowed
from afterimage_emulator.storage.gcs.errors import escaped, xml_response
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.storage.signing.policies import PostPolicies
from afterimage_emulator.storage.uploads.form_data import FormData
from afterimage_emulator.storage.uploads.receiving import Receiver
from afterimage_emulator.storage.xml.described_uploads import described_upload
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

_FILE_NAME: Final = "${filename}"
_OF_THE_FORM: Final = frozenset(
    {
        "acl", "bucket", "googleaccessid", "key", "policy", "signature", "submit", "success_action_redirect",
        "success_action_status", "x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-signature",
    }
)  # fmt: skip
_OF_OBJECTS: Final = frozenset(
    {
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "x-goog-acl",
        "x-goog-custom-time", "x-goog-storage-class",
    }
)  # fmt: skip


class FormUploads:
    """POST of multipart/form-data to `/`, `/{bucket}` and hosts that name a bucket."""

    def __init__(self, *, store: ObjectStore, receiver: Receiver, policies: PostPolicies) -> None:
        self._store = store
        self._receiver = receiver
        self._policies = policies

    async def upload(self, request: HttpRequest) -> HttpResponse:
        if request.raw_query:
            raise invalid("the address of a form has no parameters")
        form = FormData(aiter(request.body), request.headers.get("content-type"))
        fields = await form.fields()
        if form.file is None:
            raise invalid("Invalid form: it has no file; the field `file` comes last")
        if not fields.get("key"):
            raise invalid("Invalid form: it has no field `key`")
        key = fields["key"].replace(_FILE_NAME, form.file.name.replace("\\", "/").rpartition("/")[2])
        bucket: str | None = request.params["bucket"] or None
        size_range, signer = None, None
        if "policy" in fields:
            policy, bucket, signer = self._policies.check(fields, key=key, bucket=bucket)
            size_range = policy.size_range
        elif caller_from_authorization(request.headers.get("authorization")).is_admin:
            bucket = bucket or fields.get("bucket")
        else:
            raise StorageError(
                Reason.FORBIDDEN, "Anonymous caller does not have storage.objects.create access: send a signed policy"
            )
        if bucket is None:
            raise invalid("Invalid form: neither its address nor its field `bucket` names a bucket")
        upload = described_upload(_described(fields), bucket=bucket, name=key, size_range=size_range)
        upload = replace(upload, metadata=replace(upload.metadata, writer=signer))
        check_acl_allowed(self._store.bucket_or_none(bucket), upload.metadata.acl)
        answer = _Answer(fields)
        return answer.of(request, await self._receiver.receive(upload, form.content()))


def _described(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that describe the object; one that would be dropped is refused by its name."""
    described: dict[str, str] = {}
    for name, value in fields.items():
        if name in _OF_OBJECTS or name.startswith("x-goog-meta-"):
            described[name] = value
        elif name not in _OF_THE_FORM and not name.startswith("x-ignore-"):
            raise invalid(f"Invalid form: the field `{name[:100]}` means nothing here; call it `x-ignore-…`")
    if "acl" in fields:
        described["x-goog-acl"] = fields["acl"]
    return described


class _Answer:
    """Looked at before the bytes are stored, so that a form with an impossible answer stores nothing."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._status = fields.get("success_action_status", "204")
        if self._status not in ("200", "201", "204"):
            self._status = "204"  # as production does
        self._redirect = fields.get("success_action_redirect") or fields.get("redirect")
        if self._redirect is not None and not _is_address(self._redirect):
            raise invalid(f"Invalid form: `success_action_redirect` `{self._redirect[:100]}` is no http address")

    def of(self, request: HttpRequest, record: ObjectRecord) -> HttpResponse:
        etag = f'"{record.etag}"'
        location = f"{origin_of(request)}/{record.bucket}/{quote(record.name, safe='/~')}"
        headers = [("etag", etag), ("x-goog-generation", str(record.generation)), ("location", location)]
        if self._redirect is not None:
            query = urlencode({"bucket": record.bucket, "key": record.name, "etag": etag})
            joined = f"{self._redirect}{'&' if urlsplit(self._redirect).query else '?'}{query}"
            return HttpResponse(303, [*headers[:2], ("location", joined)])
        if self._status != "201":
            return HttpResponse(int(self._status), headers)
        parts = {"Location": location, "Bucket": record.bucket, "Key": record.name, "ETag": etag}
        inside = "".join(f"<{name}>{escaped(text)}</{name}>" for name, text in parts.items())
        answer = xml_response(f"<PostResponse>{inside}</PostResponse>", 201)
        answer.headers += headers
        return answer


def _is_address(text: str) -> bool:
    try:
        place = urlsplit(text)
    except ValueError:
        return False
    return place.scheme in ("http", "https") and bool(place.netloc) and text.isprintable()
