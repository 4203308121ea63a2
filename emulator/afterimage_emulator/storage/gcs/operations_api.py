"""What takes long in production: bulk restores, and operations on folders. Here each is done when it is answered."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.partial_response import select_fields
from afterimage_emulator.storage.messages.request_fields import json_object, number, said_flag, text
from afterimage_emulator.storage.messages.timestamps import parse_time, print_time
from afterimage_emulator.storage.objects.globs import compile_glob
from afterimage_emulator.storage.objects.records import ObjectRecord
from afterimage_emulator.storage.objects.requests import Selection
from afterimage_emulator.storage.objects.store import ObjectStore
from afterimage_emulator.storage.origins import origin_of
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse, json_response

_TYPE: Final = "type.googleapis.com/google.storage.control.v2."
_PAGE_LIMIT: Final = 1000
_REMEMBERED: Final = 1000
_STEP: Final = 200
"""Objects that are restored before others have their turn."""
_GLOBS: Final = 16

Operation = dict[str, Any]


class OperationsApi:
    """Handlers for `/b/{bucket}/operations` and `/b/{bucket}/o/bulkRestore`; the last thousand are remembered."""

    def __init__(self, *, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._numbers = itertools.count(1)
        self._done: dict[tuple[str, str], Operation] = {}
        self._restoring: set[str] = set()

    def reset(self) -> None:
        self._done.clear()

    def answer_done(
        self, request: HttpRequest, what: str, told: Mapping[str, object], response: Mapping[str, object]
    ) -> HttpResponse:
        bucket, now = request.params["bucket"], print_time(self._clock.now_ns())
        operation_id = f"{self._clock.now_ns():x}-{next(self._numbers):x}"
        common = {"createTime": now, "endTime": now, "updateTime": now, "progressPercent": 100, "type": what}
        operation: Operation = {
            "kind": "storage#operation",
            "name": f"projects/_/buckets/{bucket}/operations/{operation_id}",
            "selfLink": f"{origin_of(request)}/storage/v1/b/{bucket}/operations/{operation_id}",
            "done": True,
            "metadata": {"@type": f"{_TYPE}{what}Metadata", "commonMetadata": common, **told},
            "response": {"@type": f"{_TYPE}{what}Response", **response},
        }
        self._done[bucket, operation_id] = operation
        while len(self._done) > _REMEMBERED:
            del self._done[next(iter(self._done))]
        return json_response(select_fields(operation, request.query_value("fields")))

    async def get(self, request: HttpRequest) -> HttpResponse:
        return json_response(select_fields(self._found(request), request.query_value("fields")))

    async def list(self, request: HttpRequest) -> HttpResponse:
        name, after = request.params["bucket"], text(request, "pageToken")
        self._store.bucket(name)
        if request.query_value("filter"):
            raise invalid("Invalid value for `filter`: operations are listed whole here; leave it out")
        size = number(request, "pageSize")
        if size is not None and size < 0:
            raise invalid(f"Invalid value for `pageSize`: `{size}`; use 1 to {_PAGE_LIMIT}")
        found = sorted((key, one) for (bucket, key), one in self._done.items() if bucket == name and key > after)
        shown = found[: min(size or _PAGE_LIMIT, _PAGE_LIMIT)]
        body: dict[str, Any] = {"kind": "storage#operations"}
        if shown:
            body["operations"] = [one for _, one in shown]
        if len(found) > len(shown):
            body["nextPageToken"] = shown[-1][0]
        return json_response(select_fields(body, request.query_value("fields")))

    async def cancel(self, request: HttpRequest) -> HttpResponse:
        """What is done cannot be called back; production takes the call all the same."""
        self._found(request)
        return HttpResponse(204)

    async def bulk_restore(self, request: HttpRequest) -> HttpResponse:
        """The newest deleted generation of every name that fits; one call a bucket at a time."""
        name, body = request.params["bucket"], await json_object(request)
        if not self._store.bucket(name).soft_delete_seconds:
            raise invalid("bucket soft delete policy must be set.")
        wanted, overwrites = list(self._to_restore(name, body)), said_flag(body, "allowOverwrite")
        keeps_acl = said_flag(body, "copySourceAcl")
        if name in self._restoring:
            raise StorageError(Reason.RATE_LIMITED, "Another bulk restore of this bucket is under way.")
        self._restoring.add(name)
        counts = {"succeededCount": 0, "failedCount": 0, "skippedCount": 0}
        try:
            for place, record in enumerate(wanted):
                counts[self._restored(record, overwrites=overwrites, keeps_acl=keeps_acl)] += 1
                if place % _STEP == _STEP - 1:
                    await asyncio.sleep(0)
        finally:
            self._restoring.discard(name)
        told = {field: str(count) for field, count in counts.items()}
        return self.answer_done(request, "BulkRestoreObjects", told, {})

    # -- inside

    def _restored(self, record: ObjectRecord, *, overwrites: bool, keeps_acl: bool) -> str:
        if not overwrites and self._store.live(record.bucket, record.name) is not None:
            return "skippedCount"
        wanted = Selection(bucket=record.bucket, name=record.name, generation=record.generation)
        try:
            self._store.restore(wanted, keeps_acl=keeps_acl)
        except StorageError:  # gone meanwhile, or kept from being overwritten
            return "failedCount"
        return "succeededCount"

    def _to_restore(self, bucket: str, body: Mapping[str, object]) -> Iterator[ObjectRecord]:
        said = body.get("matchGlobs")
        if said is not None and (not isinstance(said, list) or not all(isinstance(one, str) for one in said)):
            raise invalid("Invalid value for `matchGlobs`: it must be a list of strings")
        globs = [compile_glob(str(one)) for one in said or []]
        if len(globs) > _GLOBS:
            raise invalid(f"Invalid value for `matchGlobs`: {len(globs)} globs; use at most {_GLOBS}")
        times = {field: _time(body, field) for field in _LIMITS}
        newest = {record.name: record for record in self._store.soft_deleted(bucket) if _is_within(record, times)}
        for name, record in newest.items():
            if not globs or any(glob.covers(name) for glob in globs):
                yield record

    def _found(self, request: HttpRequest) -> Operation:
        self._store.bucket(request.params["bucket"])
        operation = self._done.get((request.params["bucket"], request.params["operation"]))
        if operation is None:
            raise StorageError(Reason.NOT_FOUND, "The requested operation does not exist.")
        return operation


_LIMITS: Final = ("softDeletedAfterTime", "softDeletedBeforeTime", "createdAfterTime", "createdBeforeTime")


def _time(body: Mapping[str, object], field: str) -> int | None:
    said = body.get(field)
    moment = parse_time(said) if isinstance(said, str) else None
    if said is not None and moment is None:
        raise invalid(f"Invalid value for `{field}`: `{str(said)[:60]}`; send an RFC 3339 time with its zone")
    return moment


def _is_within(record: ObjectRecord, times: Mapping[str, int | None]) -> bool:
    deleted_after, deleted_before, created_after, created_before = (times[field] for field in _LIMITS)
    deleted = record.soft_deleted_ns or 0
    return (
        (deleted_after is None or deleted > deleted_after)
        and (deleted_before is None or deleted < deleted_before)
        and (created_after is None or record.created_ns > created_after)
        and (created_before is None or record.created_ns < created_before)
    )
