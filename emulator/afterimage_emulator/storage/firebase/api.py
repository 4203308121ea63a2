"""The Firebase dialect: which path is which operation, and errors in its own shape."""

from __future__ import annotations

from collections.abc import Sequence

from afterimage_emulator.durable.entries import KeptEntries, once_kept
from afterimage_emulator.front.error_body import error_body_with, respond_with_error
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.errors import Reason, StorageError
from afterimage_emulator.storage.firebase.objects import FirebaseObjects
from afterimage_emulator.storage.firebase.uploads import FirebaseUploads
from afterimage_emulator.storage.gcs.errors import status_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, is_read
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router


class FirebaseApi:
    """Everything under `/v0`."""

    def __init__(
        self, *, objects: FirebaseObjects, uploads: FirebaseUploads, keeping: KeptEntries | None = None
    ) -> None:
        self._objects = objects
        self._uploads = uploads
        self._router = Router()
        add = self._router.add
        add("GET", "/v0/b/{bucket}/o", objects.list)
        add("POST PUT", "/v0/b/{bucket}/o", uploads.post)
        add("GET", "/v0/b/{bucket}/o/{object=**}", objects.get)
        add("PATCH", "/v0/b/{bucket}/o/{object=**}", objects.patch)
        add("DELETE", "/v0/b/{bucket}/o/{object=**}", objects.delete)
        add("POST PUT", "/v0/b/{bucket}/o/{object=**}", self._post_object)
        self._answer = once_kept(keeping, self._router, only_reads=is_read)

    def offered(self) -> Sequence[Offered]:
        return self._router.offered()

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._answer(request)
        except StatusError as error:
            return _error(error)

    async def _post_object(self, request: HttpRequest) -> HttpResponse:
        """Mobile SDKs send PATCH and DELETE in disguise; token changes and uploads come here as well."""
        override = (request.headers.get("x-http-method-override") or "").upper()
        if override == "PATCH":
            return await self._objects.patch(request)
        if override == "DELETE":
            return await self._objects.delete(request)
        if "create_token" in request.query or "delete_token" in request.query:
            return await self._objects.tokens(request)
        return await self._uploads.post(request)


def _error(error: StatusError) -> HttpResponse:
    status = status_of(error)
    if status == 304:
        return HttpResponse(304)
    answer = respond_with_error(error_body_with(error, status), status)
    if isinstance(error, StorageError) and error.reason is Reason.UPLOAD_CANCELLED:
        answer.status = 400
        answer.with_header("x-goog-upload-status", "cancelled")
    return answer
