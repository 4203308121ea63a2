"""The record of one stored object: its shape, and the decisions taken by looking at it. Pure.

A record says which generation of the object it describes; everything else follows from that and from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from afterimage.media.inspection.inspect import Inspection
from afterimage.media.plan import Plan, Variant
from afterimage.media.render import RenderedFile
from afterimage.paths import Place, derived_path
from afterimage.store.documents import Document
from afterimage.store.files import StoredFile

MOST_ATTEMPTS: Final = 5
"""How often a picture may kill its function (out of memory, out of time) before it is given up."""
CHARGED: Final = "charged"

Fields = dict[str, Any]


class MediaStatus(StrEnum):
    """What a listening client sees."""

    PROCESSING = "processing"
    WAITING = "waiting"
    """Its owner's day is used up: it is worked on later, by itself."""
    READY = "ready"
    QUARANTINED = "quarantined"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


class Step(StrEnum):
    """What a delivery should do, having read the record."""

    WORK = "work"
    NOTHING = "nothing"
    """This very generation and plan has been dealt with."""
    YIELD = "yield"
    """A later generation has taken the record over."""
    GIVE_UP = "give up"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What a delivery is about: the identity that the result depends on, and nothing else."""

    original: StoredFile
    place: Place
    record: str
    plan: str

    @property
    def generation(self) -> int:
        return self.original.generation


def next_step(
    record: Document | None, subject: Subject, *, now: datetime, timeout: timedelta, again: bool = False
) -> Step:
    """Decides what to do; `again` asks for a failed one to be tried once more."""
    if record is None:
        return Step.WORK
    fields = record.fields
    if fields["generation"] > subject.generation:
        return Step.YIELD
    if fields["generation"] < subject.generation or fields["plan"] != subject.plan:
        return Step.WORK
    status = fields["status"]
    if status == MediaStatus.WAITING or (status == MediaStatus.FAILED and again):
        return Step.WORK
    if status != MediaStatus.PROCESSING:
        return Step.NOTHING
    return Step.GIVE_UP if _attempts(record, subject, now, timeout) > MOST_ATTEMPTS and not again else Step.WORK


def claimed(record: Document | None, subject: Subject, *, now: datetime, timeout: timedelta) -> Fields:
    """The record while the work is under way."""
    work = {"attempts": _attempts(record, subject, now, timeout), "claimed_at": now}
    if record is not None and _is_about(record, subject):
        work[CHARGED] = charged_for(record.fields)
    return _base(subject, now) | {"status": MediaStatus.PROCESSING, "work": work}


def is_first_work(record: Document | None, subject: Subject) -> bool:
    """Whether this is for what a user has stored, and not because operators want it made anew."""
    if record is None or record.fields["generation"] < subject.generation:
        return True
    return _is_about(record, subject) and record.fields["status"] in {MediaStatus.PROCESSING, MediaStatus.WAITING}


def charged_for(fields: Mapping[str, Any]) -> dict[str, int]:
    """What of the work under way has been counted in its owner's day."""
    return dict((fields.get("work") or {}).get(CHARGED) or {})


def charged(fields: Mapping[str, Any], use: Mapping[str, int]) -> Fields:
    """Says so as long as the work is under way."""
    work = fields["work"]
    return {**fields, "work": work and {**work, CHARGED: charged_for(fields) | dict(use)}}


def waits_today(record: Document | None, subject: Subject, now: datetime) -> bool:
    """Whether this very file was put off on the day that it still is."""
    if record is None or not _is_about(record, subject) or record.fields["status"] != MediaStatus.WAITING:
        return False
    return bool(record.fields["updated_at"].astimezone(UTC).date() == now.astimezone(UTC).date())


def pixels_of(inspection: Inspection, plan: Plan) -> int:
    """How many are worked on, those of each frame that is kept."""
    frames = (inspection.frames or 1) if any(variant.animated for variant in plan.variants) else 1
    return (inspection.width or 0) * (inspection.height or 0) * frames


def with_inspection(fields: Mapping[str, Any], inspection: Inspection) -> Fields:
    """Adds what the bytes turned out to be."""
    source = fields["source"] | {
        "content_type": inspection.file_type.content_type,
        "type_mismatch": inspection.mismatch,
        "width": inspection.width,
        "height": inspection.height,
        "frames": inspection.frames,
        "orientation": inspection.orientation,
        "has_alpha": inspection.has_alpha,
        "duration_seconds": inspection.duration_seconds,
        "note": inspection.note,
    }
    return {**fields, "kind": inspection.file_type.kind, "source": source}


def with_plan(fields: Mapping[str, Any], plan: Plan) -> Fields:
    """Adds what the plan says of the picture as a whole."""
    return with_note(fields, plan.note) if plan.note else dict(fields)


def with_note(fields: Mapping[str, Any], note: str) -> Fields:
    return {**fields, "source": {**fields["source"], "note": note}}


def with_variants(
    fields: Mapping[str, Any], subject: Subject, plan: Plan, files: Iterable[RenderedFile], bucket: str
) -> Fields:
    """Adds what has been stored so far, in the order of the plan."""
    order = [variant.name for variant in plan.variants]
    stored = sorted((file for file in files if file.data is not None), key=lambda file: order.index(file.variant.name))
    return {**fields, "variants": [_variant(subject, file, bucket) for file in stored]}


def finished(fields: Mapping[str, Any], status: MediaStatus, reason: str | None, now: datetime) -> Fields:
    """The record when there is nothing left to do."""
    return {**fields, "status": status, "reason": reason, "work": None, "updated_at": now}


def variant_path(subject: Subject, variant: Variant) -> str:
    original = subject.original
    return str(derived_path(original.bucket, original.name, original.generation, subject.plan, variant.name))


def _is_about(record: Document, subject: Subject) -> bool:
    return bool(record.fields["generation"] == subject.generation and record.fields["plan"] == subject.plan)


def _attempts(record: Document | None, subject: Subject, now: datetime, timeout: timedelta) -> int:
    """Counts only claims whose function must be dead by now: a duplicate working beside another is no failure."""
    if record is None or not _is_about(record, subject):
        return 1
    work = record.fields.get("work") or {"attempts": 0, "claimed_at": now - timeout}
    return int(work["attempts"]) + (1 if now - work["claimed_at"] >= timeout else 0)


def _base(subject: Subject, now: datetime) -> Fields:
    original, place = subject.original, subject.place
    return {
        "status": MediaStatus.PROCESSING,
        "reason": None,
        "kind": None,
        "family": place.family,
        "owner": place.owner,
        "generation": original.generation,
        "plan": subject.plan,
        "source": {
            "bucket": original.bucket,
            "name": original.name,
            "generation": original.generation,
            "bytes": original.size,
            "md5": original.md5,
            "declared_type": original.content_type,
            "stored_at": original.created,
        },
        "output": {"document": place.output.document, **place.output.parts},
        "variants": [],
        "placeholder": None,
        "work": None,
        "updated_at": now,
    }


def _variant(subject: Subject, file: RenderedFile, bucket: str) -> Fields:
    variant, data = file.variant, file.data or b""
    path = variant_path(subject, variant)
    return {
        "name": variant.name,
        "bucket": bucket,
        "path": path,
        "url": f"gs://{bucket}/{path}",
        "content_type": variant.content_type,
        "width": variant.width,
        "height": variant.height,
        "bytes": len(data),
        "sha256": file.sha256,
        "animated": file.frames > 1,
    }
