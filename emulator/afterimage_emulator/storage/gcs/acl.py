"""Access control lists in the JSON API: kept and given back. Nobody is ever refused by one: this dialect is admin's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from afterimage_emulator.storage.errors import Reason, StorageError, condition_not_met, invalid
from afterimage_emulator.storage.messages.request_fields import json_object, preconditions, selection
from afterimage_emulator.storage.objects.records import BucketRecord
from afterimage_emulator.storage.objects.requests import BucketEdit, Edit
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

Acl = Sequence[Mapping[str, Any]]
_PUBLIC: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
_PREDEFINED: Final[Mapping[str, Acl]] = {
    "private": (),
    "projectPrivate": (),
    "bucketOwnerRead": (),
    "bucketOwnerFullControl": (),
    "publicRead": ({"entity": "allUsers", "role": "READER"},),
    "publicReadWrite": ({"entity": "allUsers", "role": "WRITER"},),
    "authenticatedRead": ({"entity": "allAuthenticatedUsers", "role": "READER"},),
}


def predefined_acl(request: HttpRequest, parameter: str = "predefinedAcl") -> tuple[Mapping[str, object], ...] | None:
    """The list that a name like `publicRead` stands for; None where the request names none."""
    name = request.query_value(parameter)
    return None if name is None else _named(name, parameter, _PREDEFINED)


def predefined_acl_of(name: str) -> tuple[Mapping[str, object], ...]:
    """The same from the XML API's header, whose names are spelt `public-read`."""
    return _named(name, "x-goog-acl", {_dashed(one): acl for one, acl in _PREDEFINED.items()})


def _named(name: str, parameter: str, predefined: Mapping[str, Acl]) -> tuple[Mapping[str, object], ...]:
    if name not in predefined:
        raise invalid(f"Invalid value for `{parameter}`: `{name}`; choose one of {', '.join(predefined)}")
    return tuple(predefined[name])


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def check_acl_allowed(bucket: BucketRecord | None, entries: Acl) -> None:
    """Buckets may do without lists (uniform access), or forbid public ones."""
    if bucket is None or not entries:
        return
    refuse_uniform_access(bucket)
    configuration = bucket.settings.get("iamConfiguration", {})
    if configuration.get("publicAccessPrevention") == "enforced" and any(
        entry.get("entity") in _PUBLIC for entry in entries
    ):
        raise condition_not_met()


def refuse_uniform_access(bucket: BucketRecord) -> None:
    uniform = bucket.settings.get("iamConfiguration", {}).get("uniformBucketLevelAccess") or {}
    if uniform.get("enabled") is True:
        raise invalid("Cannot use ACL API to access a bucket when uniform bucket-level access is enabled.")


class GcsAcl:
    """Handlers for `…/acl` and `…/defaultObjectAcl`, of buckets and of objects."""

    def __init__(self, *, store: ObjectStore) -> None:
        self._store = store

    async def get(self, request: HttpRequest) -> HttpResponse:
        entries = self._entries(request)
        entity = request.params.get("entity")
        if entity is not None:
            return json_response(_printed(_found(entries, entity), request))
        items = [_printed(entry, request) for entry in entries]
        return json_response({"kind": f"{_kind(request)}s", "items": items})

    async def insert(self, request: HttpRequest) -> HttpResponse:
        """POST adds an entry, PUT and PATCH change the one that the path names."""
        body = await json_object(request)
        entity = request.params.get("entity") or body.get("entity")
        if not isinstance(entity, str) or not isinstance(body.get("role"), str):
            raise StorageError(Reason.REQUIRED, "Required parameters: entity and role")
        entry = {"entity": entity, "role": body["role"]}
        self._change(request, lambda old: (*(one for one in old if one.get("entity") != entity), entry))
        return json_response(_printed(entry, request))

    async def delete(self, request: HttpRequest) -> HttpResponse:
        entity = request.params["entity"]
        _found(self._entries(request), entity)
        self._change(request, lambda old: tuple(one for one in old if one.get("entity") != entity))
        return HttpResponse(204)

    # -- inside

    def _entries(self, request: HttpRequest) -> Acl:
        bucket = self._store.bucket(request.params["bucket"])
        refuse_uniform_access(bucket)
        if "object" in request.params:
            return self._store.read(selection(request)).metadata.acl
        entries: Acl = bucket.settings.get(_field(request)) or ()
        return entries

    def _change(self, request: HttpRequest, change: Callable[[Acl], Acl]) -> None:
        new = tuple(change(self._entries(request)))
        check_acl_allowed(self._store.bucket(request.params["bucket"]), new)
        if "object" in request.params:
            self._store.edit(Edit(target=selection(request), change=lambda old: replace(old, acl=new)))
            return
        field = _field(request)
        self._store.edit_bucket(
            BucketEdit(
                name=request.params["bucket"],
                change=lambda old: replace(old, settings={**old.settings, field: list(new)}),
                preconditions=preconditions(request),
            )
        )


def _field(request: HttpRequest) -> str:
    return "defaultObjectAcl" if "/defaultObjectAcl" in request.raw_path else "acl"


def _kind(request: HttpRequest) -> str:
    is_bucket = "object" not in request.params and _field(request) == "acl"
    return "storage#bucketAccessControl" if is_bucket else "storage#objectAccessControl"


def _found(entries: Acl, entity: str) -> Mapping[str, object]:
    for entry in entries:
        if entry.get("entity") == entity:
            return entry
    raise StorageError(Reason.NOT_FOUND, f"No ACL entry for `{entity}`")


def _printed(entry: Mapping[str, object], request: HttpRequest) -> dict[str, object]:
    return {"kind": _kind(request), "bucket": request.params["bucket"], **entry}
