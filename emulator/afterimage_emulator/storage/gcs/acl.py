"""Access control lists in the JSON API: kept and given back. Nobody is ever refused by one: this dialect is admin's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from afterimage_emulator.storage.access.lists import (
    BUCKET_ROLES,
    OBJECT_ROLES,
    PROJECT_NUMBER,
    PROJECT_PRIVATE,
    PUBLIC_ENTITIES,
    WRITER,
    AccessList,
    AclEntry,
    check_count,
    predefined_list,
    project_owner,
    read_entry,
    refuse_placeholder,
    told,
)
from afterimage_emulator.storage.errors import Reason, StorageError, condition_not_met, invalid
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import json_object, preconditions, selection
from afterimage_emulator.storage.objects.preconditions import NO_PRECONDITIONS
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectRecord
from afterimage_emulator.storage.objects.requests import BucketEdit, Edit
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response


def predefined_acl(
    request: HttpRequest, body: Mapping[str, object], parameter: str = "predefinedAcl", *, of_bucket: bool = False
) -> AccessList | None:
    """The list that a name like `publicRead` stands for; None where the request names none."""
    field = "defaultObjectAcl" if parameter == "predefinedDefaultObjectAcl" else "acl"
    refuse_placeholder(body.get(field))
    name = request.query_value(parameter)
    if name is None:
        return None
    if body.get(field):
        raise StorageError(Reason.CONFLICT, f"`{parameter}` cannot stand beside `{field}` in the body")
    return predefined_list(name, parameter, of_bucket=of_bucket)


def check_acl_allowed(bucket: BucketRecord | None, entries: Sequence[Mapping[str, object]]) -> None:
    """Buckets may do without lists (uniform access), or forbid public ones."""
    if bucket is None or not entries:
        return
    refuse_uniform_access(bucket)
    if bucket.forbids_public_access and any(entry.get("entity") in PUBLIC_ENTITIES for entry in entries):
        raise condition_not_met()


def refuse_uniform_access(bucket: BucketRecord) -> None:
    if bucket.has_uniform_access:
        raise invalid("Cannot use ACL API to access a bucket when uniform bucket-level access is enabled.")


class AccessLists:
    """The entries of each list. `account` writes whatever nobody else is known to have written."""

    def __init__(self, *, account: str) -> None:
        self._account = account

    def writer_of(self, record: ObjectRecord) -> str:
        """The entity that an object belongs to."""
        return f"user-{(record.metadata.writer or self._account).lower()}"

    def of_object(self, record: ObjectRecord) -> AccessList:
        """One that nobody set is that of a bucket's own default: the project's, then the writer."""
        entries = record.metadata.acl or (*PROJECT_PRIVATE, {"entity": WRITER, "role": "OWNER"})
        return told(entries, owner=self.writer_of(record))

    def of_bucket(self, bucket: BucketRecord) -> AccessList:
        return told(bucket.settings.get("acl") or PROJECT_PRIVATE, owner=project_owner())

    def default_of(self, bucket: BucketRecord) -> AccessList:
        """What new objects get, beside their writer."""
        entries: AccessList = tuple(bucket.settings.get("defaultObjectAcl", PROJECT_PRIVATE))
        return entries

    def add_to_object(self, resource: dict[str, Any], record: ObjectRecord, origin: str) -> None:
        place = {"bucket": record.bucket, "object": record.name, "generation": str(record.generation)}
        entries = self.of_object(record)
        resource["acl"] = [printed_entry(one, place, "acl", record.etag, origin) for one in entries]
        resource["owner"] = {"entity": self.writer_of(record)}

    def add_to_bucket(self, resource: dict[str, Any], bucket: BucketRecord, origin: str) -> None:
        place = {"bucket": bucket.name}
        resource["acl"] = [printed_entry(one, place, "acl", bucket.etag, origin) for one in self.of_bucket(bucket)]
        resource["defaultObjectAcl"] = [
            printed_entry(one, place, "defaultObjectAcl", bucket.etag, origin) for one in self.default_of(bucket)
        ]
        resource["owner"] = {"entity": project_owner()}


def wants_full(request: HttpRequest, *, otherwise: bool) -> bool:
    projection = request.query_value("projection")
    if projection not in (None, "full", "noAcl"):
        raise invalid(f"Invalid value for `projection`: `{projection[:60]}`; use full or noAcl")
    return otherwise if projection is None else projection == "full"


class GcsAcl:
    """Handlers for `…/acl` and `…/defaultObjectAcl`, of buckets and of objects."""

    def __init__(self, *, store: ObjectStore, lists: AccessLists) -> None:
        self._store = store
        self._lists = lists

    async def get(self, request: HttpRequest) -> HttpResponse:
        entries = self._entries(request)
        entity = request.params.get("entity")
        if entity is not None:
            return self._answer(request, self._printed(request, _found(entries, entity)))
        items = [self._printed(request, entry) for entry in entries]
        body: dict[str, Any] = {"kind": f"{_kind(request)}s"}
        if items:
            body["items"] = items
        return self._answer(request, body)

    async def insert(self, request: HttpRequest) -> HttpResponse:
        """POST adds an entry, PUT and PATCH change the one that the path names."""
        body = await json_object(request)
        named = request.params.get("entity")
        refuse_placeholder({"entity": named or body.get("entity")})
        if named is not None and "entity" in body and body["entity"] != named:
            raise invalid(f"Invalid value for `entity`: the address of the request says `{named}`")
        roles = BUCKET_ROLES if _kind(request) == "storage#bucketAccessControl" else OBJECT_ROLES
        entry = read_entry(named or body.get("entity"), body.get("role"), roles)
        if entry["entity"] == self._owner(request) and entry["role"] != "OWNER":
            raise _owner_stays()
        self._change(request, lambda old: _with(old, entry))
        return self._answer(request, self._printed(request, entry))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        entity = request.params["entity"]
        gone = _found(self._entries(request), entity)
        if gone["entity"] == self._owner(request):
            raise _owner_stays()
        self._change(request, lambda old: tuple(one for one in old if one["entity"] != gone["entity"]))
        return HttpResponse(204)

    # -- inside

    def _owner(self, request: HttpRequest) -> str | None:
        if "object" in request.params:
            return self._lists.writer_of(self._store.read(replace(selection(request), preconditions=NO_PRECONDITIONS)))
        return None if _is_default(request) else project_owner()

    def _entries(self, request: HttpRequest) -> AccessList:
        bucket = self._store.bucket(request.params["bucket"])
        refuse_uniform_access(bucket)
        if "object" in request.params:
            return self._lists.of_object(self._store.read(selection(request)))
        return self._lists.default_of(bucket) if _is_default(request) else self._lists.of_bucket(bucket)

    def _change(self, request: HttpRequest, change: Callable[[AccessList], AccessList]) -> None:
        new = change(self._entries(request))
        check_count(new)
        check_acl_allowed(self._store.bucket(request.params["bucket"]), new)
        if "object" in request.params:
            self._store.edit(Edit(target=selection(request), change=lambda old: replace(old, acl=new)))
            return
        field = "defaultObjectAcl" if _is_default(request) else "acl"
        self._store.edit_bucket(
            BucketEdit(
                name=request.params["bucket"],
                change=lambda old: replace(old, settings={**old.settings, field: list(new)}),
                preconditions=preconditions(request),
            )
        )

    def _printed(self, request: HttpRequest, entry: AclEntry) -> dict[str, Any]:
        bucket = self._store.bucket(request.params["bucket"])
        place, etag = {"bucket": bucket.name}, bucket.etag
        if "object" in request.params:
            record = self._store.read(replace(selection(request), preconditions=NO_PRECONDITIONS))
            place |= {"object": record.name, "generation": str(record.generation)}
            etag = record.etag
        part = "defaultObjectAcl" if _is_default(request) else "acl"
        return printed_entry(entry, place, part, etag, origin_of(request))

    def _answer(self, request: HttpRequest, body: dict[str, Any]) -> HttpResponse:
        return json_response(select_fields(body, request.query_value("fields")))


def printed_entry(entry: AclEntry, place: Mapping[str, str], part: str, etag: str, origin: str) -> dict[str, Any]:
    """One entry as its resource; `place` is the bucket, and the object where it is one's."""
    entity = entry["entity"]
    is_of_object = "object" in place or part == "defaultObjectAcl"
    resource: dict[str, Any] = {
        "kind": "storage#objectAccessControl" if is_of_object else "storage#bucketAccessControl",
        "bucket": place["bucket"],
        "entity": entity,
        "role": entry["role"],
        "etag": etag,
    }
    if part == "acl":
        path = f"b/{place['bucket']}" + (f"/o/{quote(place['object'], safe='')}" if "object" in place else "")
        resource["id"] = "/".join((*place.values(), entity))
        resource["selfLink"] = f"{origin}/storage/v1/{path}/acl/{quote(entity, safe='@')}"
        resource |= {name: place[name] for name in ("object", "generation") if name in place}
    kind, _, name = entity.partition("-")
    if kind in ("user", "group"):
        resource["email"] = name
    elif kind == "domain":
        resource["domain"] = name
    elif kind == "project":
        resource["projectTeam"] = {"projectNumber": PROJECT_NUMBER, "team": name.rpartition("-")[0]}
    return resource


def _is_default(request: HttpRequest) -> bool:
    return "object" not in request.params and "/defaultObjectAcl" in request.raw_path


def _kind(request: HttpRequest) -> str:
    is_bucket = "object" not in request.params and not _is_default(request)
    return "storage#bucketAccessControl" if is_bucket else "storage#objectAccessControl"


def _with(entries: AccessList, entry: AclEntry) -> AccessList:
    """In the place of the one that it changes, or at the end."""
    if any(one["entity"] == entry["entity"] for one in entries):
        return tuple(entry if one["entity"] == entry["entity"] else one for one in entries)
    return (*entries, entry)


def _found(entries: AccessList, entity: str) -> AclEntry:
    for entry in entries:
        if entry["entity"] == entity or entry["entity"] == entity.lower():
            return entry
    raise StorageError(Reason.NOT_FOUND, "The specified key does not exist.")


def _owner_stays() -> StorageError:
    return StorageError(Reason.FORBIDDEN, "The owner of the resource is required to have OWNER access.")
