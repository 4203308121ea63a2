"""Generations by HTTP: requests to what is decided beside the API, and documents to what a client is shown."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from afterimage.api.cursors import cursor_at, place_at
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.api.rooms.generation_routes import (
    DetailQuery,
    FileEntry,
    GenerateBody,
    GenerationPage,
    GenerationView,
    IterateBody,
    IterationPage,
    IterationsQuery,
    ListQuery,
)
from afterimage.api.routes import Asked, Caller, NoQuery
from afterimage.api.services import Services
from afterimage.generations import faults
from afterimage.generations.opening import Opening, Wish
from afterimage.generations.reading import ListPlace, Reading
from afterimage.generations.records import VersionKey, archive_in
from afterimage.store.documents import Document

POLL_SECONDS: Final = 0.25
_CODES: Final[Mapping[type[faults.GenerationError], ErrorCode]] = {
    faults.NotTheirsError: ErrorCode.FORBIDDEN,
    faults.NoGenerationError: ErrorCode.NOT_FOUND,
    faults.NotReadyError: ErrorCode.CONFLICT,
    faults.OverBudgetError: ErrorCode.BUDGET_EXCEEDED,
}


def generate(services: Services, caller: Caller, asked: Asked[NoQuery, GenerateBody]) -> GenerationView:
    wish = Wish(uid=caller.uid, operation=asked.operation_id, prompt=asked.body.prompt, mode=asked.body.mode)
    with _refused_by_code():
        key = _opening(services).generation(wish, asked.body.project_id)
    return _begun(services, key)


def iterate(services: Services, caller: Caller, asked: Asked[NoQuery, IterateBody]) -> GenerationView:
    wish = Wish(uid=caller.uid, operation=asked.operation_id, prompt=asked.body.prompt, mode=asked.body.mode)
    with _refused_by_code():
        key = _opening(services).iteration(wish, asked.body.generation_id)
    return _begun(services, key)


def list_generations(services: Services, caller: Caller, asked: Asked[ListQuery, None]) -> GenerationPage:
    found = _reading(services, caller).page(_behind(asked.query), asked.query.limit)
    return _page(services, found, asked.query)


def list_active(services: Services, caller: Caller, asked: Asked[ListQuery, None]) -> GenerationPage:
    found = _reading(services, caller).active(_behind(asked.query), asked.query.limit)
    return _page(services, found, asked.query)


def list_of_project(services: Services, caller: Caller, asked: Asked[ListQuery, None]) -> GenerationPage:
    with _refused_by_code():
        reading = _reading(services, caller)
        found = reading.in_project(asked.path["project_id"], _behind(asked.query), asked.query.limit)
    return _page(services, found, asked.query)


def show(services: Services, caller: Caller, asked: Asked[DetailQuery, None]) -> GenerationView:
    with _refused_by_code():
        found = _reading(services, caller).one(asked.path["generation_id"])
    return _view(services, found, found.id, with_url=asked.query.include_download_url)


def list_iterations(services: Services, caller: Caller, asked: Asked[IterationsQuery, None]) -> IterationPage:
    generation, query = asked.path["generation_id"], asked.query
    with _refused_by_code():
        found = _reading(services, caller).iterations(generation, query.before, query.limit)
    more = len(found) == query.limit and found[-1].fields["version"] > 1
    return IterationPage(
        generation_id=generation,
        iterations=[_view(services, each, generation, with_url=query.include_download_url) for each in found],
        next_before=found[-1].fields["version"] if more else None,
    )


def _begun(services: Services, key: VersionKey) -> GenerationView:
    """Hands the version to the queue, and waits a while for its end."""
    reading = Reading(documents=services.documents(), uid=key.uid)
    version = reading.version(key.generation, key.version)
    if version is not None and version.fields["status"] == "processing":
        services.enqueue(replace(key, project=version.fields["project_id"]))
    until = time.monotonic() + services.settings().generate_wait_seconds
    while version is not None and version.fields["status"] == "processing" and time.monotonic() < until:
        time.sleep(min(POLL_SECONDS, max(0.0, until - time.monotonic())))
        version = reading.version(key.generation, key.version)
    if version is None:
        raise ApiError(ErrorCode.CONFLICT, "the generation was deleted meanwhile")
    return _view(services, version, key.generation, with_url=True)


def _opening(services: Services) -> Opening:
    return Opening(
        documents=services.documents(), generator=services.generator(), prices=services.prices(), now=services.now
    )


def _reading(services: Services, caller: Caller) -> Reading:
    return Reading(documents=services.documents(), uid=caller.uid)


def _behind(query: ListQuery) -> ListPlace | None:
    if not query.cursor:
        return None
    moment, identifier = place_at(query.cursor)
    return ListPlace(created_at=moment, id=identifier)


def _page(services: Services, found: Sequence[Document], query: ListQuery) -> GenerationPage:
    more = len(found) == query.limit
    return GenerationPage(
        generations=[_view(services, each, each.id, with_url=query.include_download_url) for each in found],
        next_cursor=cursor_at(found[-1].fields["created_at"], found[-1].id) if more else None,
    )


def _view(services: Services, document: Document, generation: str, *, with_url: bool) -> GenerationView:
    fields: Mapping[str, Any] = document.fields
    archive = archive_in(fields)
    ended = fields.get("updated_at") or fields.get("completed_at") or fields["created_at"]
    return GenerationView(
        id=generation,
        project_id=fields["project_id"],
        version=fields["version"],
        status=fields["status"],
        mode=fields["mode"],
        prompt=fields["prompt"],
        files_count=fields["files_count"],
        files=[FileEntry(path=each["path"], bytes=each["bytes"]) for each in fields["files"]],
        download_url=archive.link(services.links()).url if with_url and archive is not None else None,
        cloud_storage_enabled=services.is_in_cloud,
        model=fields["model"],
        error=fields["error"],
        created_at=fields["created_at"],
        updated_at=ended,
    )


@contextmanager
def _refused_by_code() -> Iterator[None]:
    """What is decided beside the API, in the API's own codes."""
    try:
        yield
    except faults.GenerationError as error:
        code = _CODES.get(type(error))
        if code is None:
            raise
        raise ApiError(code, str(error)) from error
