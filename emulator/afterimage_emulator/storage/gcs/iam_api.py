"""IAM policies in the JSON API, of buckets, objects and managed folders: told, set, and asked for permissions."""

from __future__ import annotations

from dataclasses import replace

from afterimage_emulator.storage.access.policies import (
    Binding,
    Policy,
    check_etag,
    default_policy,
    policy_resource,
    read_bindings,
    read_permissions,
    requested_version,
)
from afterimage_emulator.storage.folders.managed_folders import ManagedFolder, ManagedFolders
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import json_object, selection
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.requests import BucketEdit, Edit
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response


class IamApi:
    """Handlers for `…/iam` and `…/iam/testPermissions`. Policies are kept; this dialect is an administrator's."""

    def __init__(self, *, store: ObjectStore, folders: ManagedFolders, project: str) -> None:
        self._store = store
        self._folders = folders
        self._project = project

    # -- buckets

    async def get_of_bucket(self, request: HttpRequest) -> HttpResponse:
        return self._bucket_answer(request, self._store.bucket(request.params["bucket"]))

    async def set_of_bucket(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)

        def changed(old: BucketRecord) -> BucketRecord:
            check_etag(body.get("etag"), old.metageneration)
            return replace(old, policy=_read(body, old))

        name = request.params["bucket"]
        return self._bucket_answer(request, self._store.edit_bucket(BucketEdit(name=name, change=changed)))

    async def test_bucket(self, request: HttpRequest) -> HttpResponse:
        self._store.bucket(request.params["bucket"])
        return _permissions(request)

    def _bucket_answer(self, request: HttpRequest, bucket: BucketRecord) -> HttpResponse:
        policy = bucket.policy
        if policy is None:
            project = bucket.project or self._project
            policy = default_policy(project, has_uniform_access=bucket.has_uniform_access)
        return _answer(request, policy, f"buckets/{bucket.name}", bucket.metageneration)

    # -- objects

    async def get_of_object(self, request: HttpRequest) -> HttpResponse:
        return self._object_answer(request, self._store.read(selection(request)))

    async def set_of_object(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        record, bucket = self._store.read(selection(request)), self._store.bucket(request.params["bucket"])
        check_etag(body.get("etag"), record.metageneration)
        policy = _read(body, bucket)
        edit = Edit(target=selection(request), change=lambda old: replace(old, policy=policy))
        return self._object_answer(request, self._store.edit(edit))

    async def test_object(self, request: HttpRequest) -> HttpResponse:
        self._store.read(selection(request))
        return _permissions(request)

    def _object_answer(self, request: HttpRequest, record: ObjectRecord) -> HttpResponse:
        policy = record.metadata.policy
        if policy is None:
            owners = (f"projectEditor:{self._project}", f"projectOwner:{self._project}")
            policy = (Binding(role="roles/storage.legacyObjectOwner", members=owners),)
        place = f"buckets/{record.bucket}/objects/{record.name}#{record.generation}"
        return _answer(request, policy, place, record.metageneration)

    # -- managed folders

    async def get_of_folder(self, request: HttpRequest) -> HttpResponse:
        return _folder_answer(request, self._folder(request))

    async def set_of_folder(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        folder = self._folder(request)
        check_etag(body.get("etag"), folder.metageneration - 1)
        policy = _read(body, self._store.bucket(folder.bucket))
        return _folder_answer(request, self._folders.put(replace(folder, policy=policy)))

    async def test_folder(self, request: HttpRequest) -> HttpResponse:
        self._folder(request)
        return _permissions(request)

    def _folder(self, request: HttpRequest) -> ManagedFolder:
        return self._folders.get(request.params["bucket"], request.params["folder"], NO_PRECONDITIONS)


def _read(body: dict[str, object], bucket: BucketRecord) -> Policy:
    return read_bindings(
        body, has_uniform_access=bucket.has_uniform_access, forbids_public=bucket.forbids_public_access
    )


def _folder_answer(request: HttpRequest, folder: ManagedFolder) -> HttpResponse:
    """A folder's policy is counted from nothing, as in production."""
    place = f"buckets/{folder.bucket}/managedFolders/{folder.name}"
    return _answer(request, folder.policy, place, folder.metageneration - 1)


def _answer(request: HttpRequest, policy: Policy, place: str, metageneration: int) -> HttpResponse:
    version = requested_version(request.query_value("optionsRequestedPolicyVersion"))
    if request.method == "PUT":
        version = 3
    resource = policy_resource(policy, place=place, metageneration=metageneration, version=version)
    return json_response(select_fields(resource, request.query_value("fields")))


def _permissions(request: HttpRequest) -> HttpResponse:
    permissions = read_permissions(request.query.get("permissions", []))
    return json_response({"kind": "storage#testIamPermissionsResponse", "permissions": permissions})
