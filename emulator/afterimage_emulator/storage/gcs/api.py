"""Cloud Storage's own dialect: which path is which operation. The caller is always an administrator."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from afterimage_emulator.durable.entries import KeptEntries, once_kept
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.gcs.acl import GcsAcl
from afterimage_emulator.storage.gcs.batches import Batches
from afterimage_emulator.storage.gcs.buckets import GcsBuckets
from afterimage_emulator.storage.gcs.copies import GcsCopies
from afterimage_emulator.storage.gcs.errors import json_error
from afterimage_emulator.storage.gcs.folders.folders_api import FoldersApi
from afterimage_emulator.storage.gcs.folders.hierarchy_api import HierarchyApi
from afterimage_emulator.storage.gcs.hmac_api import HmacApi
from afterimage_emulator.storage.gcs.iam_api import IamApi
from afterimage_emulator.storage.gcs.notifications_api import NotificationsApi
from afterimage_emulator.storage.gcs.objects import GcsObjects
from afterimage_emulator.storage.gcs.operations_api import OperationsApi
from afterimage_emulator.storage.gcs.uploads import GcsUploads
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, is_read
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Refusing, Router

_BASES: Final = ("/storage/v1", "")
_UPLOADS: Final = ("/upload/storage/v1", "/resumable/upload/storage/v1")
_TRAILING_SLASH: Final = re.compile(
    r"(?:/upload|/resumable/upload)?(?:/storage/v1)?/b(?:/[^/]+(?:/[A-Za-z]+)?)?/|/batch/storage/v1/"
)
"""Some clients end the paths of collections in one; an object's name never stands after it."""
_OBJECT: Final = "/b/{bucket}/o/{object}"
_OTHER_PARTS: Final = "whatever stands in no other route is not implemented here; see docs/storage.md"


class GcsApi:
    """The JSON API with its upload and download paths."""

    def __init__(
        self,
        *,
        buckets: GcsBuckets,
        objects: GcsObjects,
        copies: GcsCopies,
        uploads: GcsUploads,
        acl: GcsAcl,
        hmac: HmacApi,
        folders: FoldersApi,
        hierarchy: HierarchyApi,
        operations: OperationsApi,
        notifications: NotificationsApi,
        iam: IamApi,
        keeping: KeptEntries | None = None,
    ) -> None:
        self._router = Router()
        add = self._router.add
        for base in _UPLOADS:
            add("POST", f"{base}/b/{{bucket}}/o", uploads.insert)
            add("PUT", f"{base}/b/{{bucket}}/o", uploads.resume)
            add("DELETE", f"{base}/b/{{bucket}}/o", uploads.cancel)
        add("GET", "/download/storage/v1" + _OBJECT, objects.download)
        add("POST", "/batch/storage/v1", Batches(self).run)
        for base in _BASES:
            _add_acl_routes(self._router, base, acl)
            _add_hmac_routes(self._router, base, hmac)
            _add_notification_routes(self._router, base, notifications)
            _add_iam_routes(self._router, base, iam)
            _add_folder_routes(self._router, base, folders)
            _add_hierarchy_routes(self._router, base, hierarchy, operations)
            _add_copy_routes(self._router, base, copies)
            _add_json_routes(self._router, base, buckets, objects, uploads)
        self._answer = once_kept(keeping, self._router, only_reads=is_read)

    def offered(self) -> Sequence[Offered]:
        return self._router.offered()

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "DELETE" and _TRAILING_SLASH.fullmatch(request.raw_path):
            request.raw_path = request.raw_path.rstrip("/")
        try:
            return await self._answer(request)
        except StatusError as error:
            return json_error(error)


def _add_json_routes(router: Router, base: str, buckets: GcsBuckets, objects: GcsObjects, uploads: GcsUploads) -> None:
    add = router.add
    add("GET", base + _OBJECT, objects.get)
    add("PATCH", base + _OBJECT, objects.patch)
    add("PUT", base + _OBJECT, objects.update)
    add("DELETE", base + _OBJECT, objects.delete)
    add("POST", f"{base}{_OBJECT}/restore", objects.restore)
    add("GET", f"{base}/b/{{bucket}}/o", objects.list)
    add("POST", f"{base}/b/{{bucket}}/o", uploads.insert)
    add("*", f"{base}{_OBJECT}/{{part=**}}", Refusing(_OTHER_PARTS, buckets.not_here))
    add("GET", f"{base}/b", buckets.list)
    add("POST", f"{base}/b", buckets.create)
    add("GET", f"{base}/b/{{bucket}}", buckets.get)
    add("PATCH", f"{base}/b/{{bucket}}", buckets.patch)
    add("PUT", f"{base}/b/{{bucket}}", buckets.update)
    add("DELETE", f"{base}/b/{{bucket}}", buckets.delete)
    add("POST", f"{base}/b/{{bucket}}/lockRetentionPolicy", buckets.lock_retention)
    add("POST", f"{base}/b/{{bucket}}/restore", buckets.restore)
    add("*", f"{base}/b/{{bucket}}/{{part=**}}", Refusing(_OTHER_PARTS, buckets.not_here))
    add("*", f"{base}/projects/{{part=**}}", Refusing(_OTHER_PARTS, buckets.not_here))


def _add_copy_routes(router: Router, base: str, copies: GcsCopies) -> None:
    target = "/b/{target_bucket}/o/{target_object}"
    router.add("POST", f"{base}{_OBJECT}/copyTo{target}", copies.copy)
    router.add("POST", f"{base}{_OBJECT}/rewriteTo{target}", copies.rewrite)
    router.add("POST", f"{base}{_OBJECT}/moveTo/o/{{target_object}}", copies.move)
    router.add("POST", f"{base}{_OBJECT}/compose", copies.compose)


def _add_acl_routes(router: Router, base: str, acl: GcsAcl) -> None:
    for owner in (base + _OBJECT, f"{base}/b/{{bucket}}"):
        for part in ("acl",) if owner.endswith("{object}") else ("acl", "defaultObjectAcl"):
            router.add("GET", f"{owner}/{part}", acl.get)
            router.add("POST", f"{owner}/{part}", acl.insert)
            router.add("GET", f"{owner}/{part}/{{entity}}", acl.get)
            router.add("PUT PATCH", f"{owner}/{part}/{{entity}}", acl.insert)
            router.add("DELETE", f"{owner}/{part}/{{entity}}", acl.delete)


def _add_notification_routes(router: Router, base: str, notifications: NotificationsApi) -> None:
    configurations = f"{base}/b/{{bucket}}/notificationConfigs"
    router.add("POST", configurations, notifications.create)
    router.add("GET", configurations, notifications.list)
    router.add("GET", f"{configurations}/{{notification}}", notifications.get)
    router.add("DELETE", f"{configurations}/{{notification}}", notifications.delete)
    router.add("GET", f"{base}/projects/{{project}}/serviceAccount", notifications.service_account)


def _add_iam_routes(router: Router, base: str, iam: IamApi) -> None:
    for owner, get, put, test in (
        (base + _OBJECT, iam.get_of_object, iam.set_of_object, iam.test_object),
        (f"{base}/b/{{bucket}}/managedFolders/{{folder}}", iam.get_of_folder, iam.set_of_folder, iam.test_folder),
        (f"{base}/b/{{bucket}}", iam.get_of_bucket, iam.set_of_bucket, iam.test_bucket),
    ):
        router.add("GET", f"{owner}/iam", get)
        router.add("PUT", f"{owner}/iam", put)
        router.add("GET", f"{owner}/iam/testPermissions", test)


def _add_folder_routes(router: Router, base: str, folders: FoldersApi) -> None:
    managed = f"{base}/b/{{bucket}}/managedFolders"
    router.add("POST", managed, folders.create)
    router.add("GET", managed, folders.list)
    router.add("GET", f"{managed}/{{folder}}", folders.get)
    router.add("DELETE", f"{managed}/{{folder}}", folders.delete)
    router.add("GET", f"{base}/b/{{bucket}}/storageLayout", folders.layout)


def _add_hierarchy_routes(router: Router, base: str, hierarchy: HierarchyApi, operations: OperationsApi) -> None:
    folders = f"{base}/b/{{bucket}}/folders"
    router.add("POST", folders, hierarchy.create)
    router.add("GET", folders, hierarchy.list)
    router.add("GET", f"{folders}/{{folder}}", hierarchy.get)
    router.add("DELETE", f"{folders}/{{folder}}", hierarchy.delete)
    router.add("POST", f"{folders}/{{folder}}/deleteRecursive", hierarchy.delete_recursive)
    router.add("POST", f"{folders}/{{folder}}/renameTo/folders/{{target_folder}}", hierarchy.rename)
    router.add("POST", f"{base}/b/{{bucket}}/o/bulkRestore", operations.bulk_restore)
    router.add("GET", f"{base}/b/{{bucket}}/operations", operations.list)
    router.add("GET", f"{base}/b/{{bucket}}/operations/{{operation}}", operations.get)
    router.add("POST", f"{base}/b/{{bucket}}/operations/{{operation}}/cancel", operations.cancel)


def _add_hmac_routes(router: Router, base: str, hmac: HmacApi) -> None:
    keys = f"{base}/projects/{{project}}/hmacKeys"
    router.add("POST", keys, hmac.create)
    router.add("GET", keys, hmac.list)
    router.add("GET", f"{keys}/{{access_id}}", hmac.get)
    router.add("PUT", f"{keys}/{{access_id}}", hmac.update)
    router.add("DELETE", f"{keys}/{{access_id}}", hmac.delete)
