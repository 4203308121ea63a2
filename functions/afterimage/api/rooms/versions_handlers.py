"""Handlers of a file's versions: translation only."""

from __future__ import annotations

from typing import Any

from afterimage.api.rooms.storage_handlers import library_of, refusals_answered, shown_file, shown_save, version_number
from afterimage.api.rooms.storage_routes import SavedFile, StoredArtifact
from afterimage.api.rooms.versions_routes import (
    CompareQuery,
    Comparison,
    History,
    Timeline,
    TimelineDay,
    TimelineEvent,
    ToPin,
    ToRevert,
    VersionShown,
)
from afterimage.api.routes import Asked, Caller
from afterimage.api.services import Services
from afterimage.artifacts.timeline import shown_version, timeline


def show_history(services: Services, caller: Caller, asked: Asked[Any, None]) -> History:
    with refusals_answered():
        head, versions = library_of(services).history(caller.uid, asked.path["file_id"])
    return History(
        file_id=head.file,
        name=head.name,
        current_version=head.newest.number,
        versions=[VersionShown(**shown_version(fields)) for fields in versions],
    )


def show_timeline(services: Services, caller: Caller, asked: Asked[Any, None]) -> Timeline:
    with refusals_answered():
        head, versions = library_of(services).history(caller.uid, asked.path["file_id"])
    days = [
        TimelineDay(day=each["day"], events=[TimelineEvent(**event) for event in each["events"]])
        for each in timeline(versions)
    ]
    return Timeline(file_id=head.file, days=days)


def compare_versions(services: Services, caller: Caller, asked: Asked[CompareQuery, None]) -> Comparison:
    from afterimage.artifacts.comparison.compare import compare

    said = asked.query
    numbers = version_number(said.version1_id), version_number(said.version2_id)
    with refusals_answered():
        found = compare(library_of(services), caller.uid, said.file_id, *numbers)
    return Comparison(
        file_id=said.file_id,
        version1_id=f"v{found.left.number}",
        version2_id=f"v{found.right.number}",
        differences=found.differences,
    )


def revert_version(services: Services, caller: Caller, asked: Asked[Any, ToRevert]) -> SavedFile:
    said = asked.body
    with refusals_answered():
        saved = library_of(services).revert(
            caller.uid,
            said.file_id,
            version_number(said.version_id),
            save=asked.operation_id,
            description=said.description,
        )
    return shown_save(saved)


def pin_version(services: Services, caller: Caller, asked: Asked[Any, ToPin]) -> StoredArtifact:
    said = asked.body
    with refusals_answered():
        head = library_of(services).pin(
            caller.uid, said.file_id, version_number(said.version_id), is_pinned=said.pinned
        )
    return shown_file(head)
