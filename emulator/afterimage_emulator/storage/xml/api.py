"""The XML API: which bucket and object a plain path means, whether a signature in it holds, and who answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from afterimage_emulator.durable.entries import KeptEntries, once_kept
from afterimage_emulator.front.callers import caller_from_authorization
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.errors import Reason, StorageError, invalid, not_implemented
from afterimage_emulator.storage.gcs.errors import xml_error
from afterimage_emulator.storage.hosts import bucket_of_host
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.signing.canonical import SignedRequest, read_query
from afterimage_emulator.storage.signing.signed_urls import SignedUrls
from afterimage_emulator.storage.uploads.form_data import is_form
from afterimage_emulator.storage.uploads.resumable import ResumableUploads
from afterimage_emulator.storage.xml.buckets import XmlBuckets
from afterimage_emulator.storage.xml.forms import FormUploads
from afterimage_emulator.storage.xml.listing import XmlListing
from afterimage_emulator.storage.xml.objects import XmlObjects
from afterimage_emulator.storage.xml.parts import XmlParts
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, is_read
from afterimage_emulator.wire.offered import Offered

_SUBRESOURCES: Final = frozenset(
    {
        "acl", "billing", "cors", "compose", "defaultObjectAcl", "encryption", "iam", "legal-hold", "lifecycle",
        "location", "logging", "notification", "object-lock", "policy", "retention", "storageClass",
        "tagging", "versioning", "website", "websiteConfig",
    }
)  # fmt: skip


class XmlApi:
    """Answers `/{bucket}/{object}`, `/{object}` of a host that names its bucket, and forms at `/` or `/{bucket}`."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        objects: XmlObjects,
        forms: FormUploads,
        listing: XmlListing,
        buckets: XmlBuckets,
        parts: XmlParts,
        urls: SignedUrls,
        resumable: ResumableUploads,
        keeping: KeptEntries | None = None,
    ) -> None:
        self._store = store
        self._objects = objects
        self._forms = forms
        self._parts = parts
        self._urls = urls
        self._resumable = resumable
        self._answer = once_kept(keeping, lambda request: self._handler(request)(request), only_reads=is_read)
        self._of_objects: dict[str, HttpHandler] = {
            "GET": objects.get,
            "HEAD": objects.get,
            "PUT": objects.put,
            "POST": objects.start,
            "DELETE": objects.delete,
        }
        self._of_parts: dict[str, HttpHandler] = {
            "GET": parts.list_parts,
            "HEAD": parts.list_parts,
            "PUT": parts.put,
            "POST": parts.complete,
            "DELETE": parts.abort,
        }
        self._of_buckets: dict[str, HttpHandler] = {
            "GET": listing.list,
            "HEAD": listing.list,
            "PUT": buckets.put,
            "DELETE": buckets.delete,
        }

    def offered(self) -> Sequence[Offered]:
        """What this dialect answers: its addresses are told apart by their queries, not by a table."""
        return (
            Offered(wire="HTTP", name=f"{' '.join(self._of_objects)} /{{bucket}}/{{object}}"),
            Offered(wire="HTTP", name=f"{' '.join(self._of_buckets)} /{{bucket}}"),
            Offered(wire="HTTP", name="POST /{bucket} (a form)"),
            Offered(wire="HTTP", name="GET /{bucket}?uploads"),
            Offered(wire="HTTP", name="POST /{bucket}/{object}?uploads"),
            Offered(wire="HTTP", name=f"{' '.join(self._of_parts)} /{{bucket}}/{{object}}?uploadId"),
            Offered(
                wire="HTTP",
                name=f"* /{{bucket}}/{{object}}?{'|'.join(sorted(_SUBRESOURCES))}",
                refused=not_implemented("these subresources of the XML API").message,
            ),
        )

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            sent = self._as_sent(request)
            signer = self._check_signature(sent)
            bucket, name = _place(sent)
            request.params = {"bucket": bucket, "object": name, **({} if signer is None else {"signer": signer})}
            return await self._answer(request)
        except StatusError as error:
            return xml_error(error)

    def carries_its_own_proof(self, request: HttpRequest) -> bool:
        """Whether the request itself shows that it may: by a signature that holds, or by an upload's secret address.

        A form's signature is in its body, and its handler takes none without one.
        """
        if self._resumable.is_open(request.query_value("upload_id")):
            return True
        sent = self._as_sent(request)
        if self._is_form(request) and not _place(sent)[1]:
            return "authorization" not in request.headers  # it is then taken with a signed policy only
        if not self._urls.is_signed(sent) or "authorization" in request.headers:
            return False
        try:
            self._urls.check(sent)
        except StorageError:
            return False
        return True

    def _is_form(self, request: HttpRequest) -> bool:
        return request.method == "POST" and is_form(request.headers.get("content-type"))

    # -- inside

    def _as_sent(self, request: HttpRequest) -> SignedRequest:
        path, headers = request.raw_path, request.headers
        sent = SignedRequest(method=request.method, path=path, query=read_query(request.raw_query), headers=headers)
        bucket = bucket_of_host(
            headers.get("host"), path=path, exists=self._has_bucket, is_signed=self._urls.is_signed(sent)
        )
        return (
            sent
            if bucket is None
            else SignedRequest(method=sent.method, path=path, query=sent.query, headers=headers, bucket=bucket)
        )

    def _has_bucket(self, name: str) -> bool:
        return self._store.bucket_or_none(name) is not None

    def _check_signature(self, sent: SignedRequest) -> str | None:
        """The account that signed, if any. A good credential in the header stands in for it, as in production."""
        if not self._urls.is_signed(sent):
            return None
        authorization = sent.headers.get("authorization")
        if authorization is None:
            return self._urls.check(sent)
        if not caller_from_authorization(authorization).is_admin:
            raise StorageError(
                Reason.LOGIN_REQUIRED,
                "a signed URL stands for itself, and an Authorization header beside it is asked instead; "
                "send the request without that header",
            )
        return None

    def _handler(self, request: HttpRequest) -> HttpHandler:
        if self._is_form(request) and not request.params["object"]:
            return self._forms.upload
        if not request.params["bucket"]:
            raise invalid(f"`{request.method} {request.raw_path}` names no bucket")
        if not request.params["object"]:
            return self._bucket_handler(request)
        query = request.query
        if "upload_id" in query and request.method in ("PUT", "DELETE"):
            return self._objects.resume if request.method == "PUT" else self._objects.cancel
        _refuse_subresources(query)
        if "uploadId" in query:
            return _found(self._of_parts, request.method)
        if "uploads" in query and request.method == "POST":
            return self._parts.start
        if "partNumber" in query or "uploads" in query:
            raise invalid(f"`{request.method}` with `{request.raw_query[:100]}` is no request of an upload in parts")
        return _found(self._of_objects, request.method)

    def _bucket_handler(self, request: HttpRequest) -> HttpHandler:
        _refuse_subresources(request.query)
        if "uploads" in request.query and request.method in ("GET", "HEAD"):
            return self._parts.list_uploads
        return _found(self._of_buckets, request.method)


def _place(sent: SignedRequest) -> tuple[str, str]:
    """Bucket and object, decoded; slashes at the beginning of a name and within it are the name's own."""
    rest = sent.path.removeprefix("/")
    if sent.bucket is not None:
        return sent.bucket, _text(rest)
    bucket, _, name = rest.partition("/")
    return _text(bucket), _text(name)


def _text(encoded: str) -> str:
    try:
        return unquote_to_bytes(encoded.encode("latin-1", "replace")).decode()
    except UnicodeDecodeError:
        raise invalid(f"`{encoded[:100]}` in the path is not UTF-8 after percent-decoding") from None


def _refuse_subresources(query: Collection[str]) -> None:
    for name in _SUBRESOURCES.intersection(query):
        raise not_implemented(f"?{name} in the XML API")


def _found(handlers: dict[str, HttpHandler], method: str) -> HttpHandler:
    if method not in handlers:
        raise invalid(f"`{method}` is no method of the XML API; use {', '.join(handlers)}")
    return handlers[method]
