"""From an event to a settled object, once: whatever is delivered twice, late, out of order, or cut off half-way.

How it holds. Storage alone says which generation is live; a record is written by compare-and-set only, and names its
generation; derived files carry generation and plan in their path. A delivery first makes sure that its generation is
live, claims the record, stores files, completes the record, and last stamps the original, which fails if the generation
died meanwhile; then everything it wrote is taken back. So if the stamp succeeds, the object died later than the last
write, and its delete event cleans up. What a crash leaves between two steps, the next delivery or the sweep completes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from afterimage.allowances.day_allowances import NOBODY, DayAllowances, UsedUpError
from afterimage.faults import FaultKind, PermanentError, TransientError, kind_of
from afterimage.media import records
from afterimage.media.inspection.inspect import Inspection, Verdict
from afterimage.media.inspection.stored_files import inspect_original
from afterimage.media.limits import limits_for
from afterimage.media.plan import Plan, PlanOptions, digest_of, make_plan, options_for
from afterimage.media.records import MediaStatus, Step, Subject
from afterimage.media.render import BrokenImageError, Doubt, Placeholder, RenderedFile, render
from afterimage.media.stores import MediaStores
from afterimage.paths import OBJECT_NAME_LIMIT_BYTES, Place, derived_folder, parse_derived, place_of, record_path
from afterimage.settings import Settings
from afterimage.store.documents import ConflictError, Document, Expect, Replace
from afterimage.store.files import GoneError, StoredFile

logger = logging.getLogger("afterimage.media")

_ROUNDS: Final = 8
"""How often a lost race for a record is run again before the platform is asked to deliver later."""
_LONGEST_VARIANT_NAME: Final = len("thumb_16383.webp")


class MediaOutcome(StrEnum):
    """How a delivery ended."""

    SETTLED = "settled"
    """The record says what became of this generation."""
    ALREADY = "already settled"
    SUPERSEDED = "superseded"
    WAITING = "waiting"
    """Its owner's day is used up; the record says so, and the sweep of a later night takes it up."""
    GONE = "gone"
    """Overwritten or deleted before or while it was worked on; whatever had been made of it is taken back."""
    TAKEN_BACK = "taken back"
    OUTSIDE = "outside the grammar"


class _SupersededError(Exception):
    """Somebody else owns the record now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Task:
    """What a delivery found out before it claims the record."""

    fields: records.Fields
    """What the claim says; all there is to say where there is no plan."""
    use: Mapping[str, int]
    """What of it is to be counted in its owner's day."""
    inspection: Inspection | None = None
    data: bytes = b""
    plan: Plan | None = None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """What finalized and deleted objects go through."""

    stores: MediaStores
    settings: Settings
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    workers: int | None = None
    allowances: DayAllowances | None = None
    """What is done for files as users store them is counted here; None: nothing is."""
    announce: Callable[[Mapping[str, Any]], None] = lambda _news: None
    """Told of each settled object, at least once; listeners of the record need no such news."""
    follow: Callable[[str, str, int, str | None], None] = lambda _bucket, _name, _generation, _owner: None
    """Told whenever the record of a generation has been settled or is gone: what is public of it follows."""

    def finalized(self, bucket: str, name: str, generation: int, *, again: bool = False) -> MediaOutcome:
        """A generation of an object came into being."""
        if place_of(name) is None:
            return MediaOutcome.OUTSIDE
        for _ in range(_ROUNDS):
            original = self.stores.originals.find(bucket, name)
            if original is None or original.generation != generation:
                break
            subject = self.subject_of(original)
            if subject is None:
                return MediaOutcome.OUTSIDE
            try:
                return self._settle(subject, again=again)
            except ConflictError:
                continue
            except _SupersededError:
                return MediaOutcome.SUPERSEDED
            except GoneError:
                break
        else:
            raise TransientError(f"`{name}` is contended; deliver again")
        # The generation is dead, and its delete event may have come and gone before this delivery (or an earlier one,
        # that crashed) stored something.
        self.take_back(bucket, name, generation)
        return MediaOutcome.GONE

    def deleted(self, bucket: str, name: str, generation: int) -> MediaOutcome:
        """A generation of an object ceased to be the live one."""
        if place_of(name) is None:
            return MediaOutcome.OUTSIDE
        self.take_back(bucket, name, generation)
        return MediaOutcome.TAKEN_BACK

    def take_back(self, bucket: str, name: str, generation: int) -> None:
        """Removes the record and the files of one generation, and of no other. The record first: it is looked at."""
        place = place_of(name)
        path = None if place is None else record_path(place, bucket, name)
        if path is not None:
            self._forget(path, generation)
            # Before its files: what is public is taken back as a whole, and caches are told.
            self.follow(bucket, name, generation, place.owner if place else None)
        folder = derived_folder(bucket, name, generation)
        for file in self.stores.derived.list(folder):
            parts = parse_derived(file.name)
            # A longer name may share the prefix; only the parsed parts say whose a file is.
            if parts and (parts.bucket, parts.name, parts.generation) == (bucket, name, generation):
                self.stores.derived.delete(file.name)

    def subject_of(self, original: StoredFile) -> Subject | None:
        """What is to be done with an original; None outside the grammar, or where no record of its kind is kept."""
        place = place_of(original.name, original.metadata)
        if place is None or place.records is None:
            return None
        path = record_path(place, original.bucket, original.name)
        if path is None:
            raise PermanentError(f"`{original.name}` is too long a name to keep a record of")
        return Subject(original=original, place=place, record=path, plan=digest_of(self.options(place)))

    def options(self, place: Place) -> PlanOptions:
        return options_for(place.family, self.settings.plan_overrides)

    def _forget(self, path: str, generation: int) -> None:
        for _ in range(_ROUNDS):
            record = self.stores.records.read(path)
            if record is None or record.fields["generation"] != generation:
                return
            try:
                self.stores.records.delete(record)
                return
            except ConflictError:
                continue
        raise TransientError(f"`{path}` is contended; deliver again")

    def _settle(self, subject: Subject, *, again: bool) -> MediaOutcome:
        record = self.stores.records.read(subject.record)
        now, timeout = self.now(), self.settings.timeout
        step = records.next_step(record, subject, now=now, timeout=timeout, again=again)
        if step is Step.YIELD:
            self._take_back_own(subject)
            return MediaOutcome.SUPERSEDED
        if step is Step.NOTHING and record is not None:
            # A delivery that died after its last write has told nobody.
            if record.fields["status"] == MediaStatus.QUARANTINED:
                self._take_back_own(subject)
            self._followed(subject)
            self._stamp(subject, record.fields)
            return MediaOutcome.ALREADY
        is_counted = self.allowances is not None and not again and records.is_first_work(record, subject)
        if is_counted and records.waits_today(record, subject, now):
            return MediaOutcome.WAITING
        fields = records.claimed(record, subject, now=now, timeout=timeout)
        claim, task = record, None
        try:
            if step is Step.GIVE_UP:
                raise PermanentError(f"gave up: {records.MOST_ATTEMPTS} attempts ended without a word")
            task = self._inspected(subject, fields, is_counted=is_counted)
            fields = task.fields
            claim = self._write_counted(subject, fields, record, task.use)
            done = claim if task.plan is None else self._publish(subject, claim, task.plan, self._rendered(task))
        except UsedUpError as error:
            # What was read is counted, whatever is lacking to work on it.
            use = _size_of(subject, fields) if task is not None else {}
            return self._put_off(subject, record, fields, error, use)
        except (ConflictError, GoneError, _SupersededError):
            raise
        except Exception as error:
            if kind_of(error) is FaultKind.PERMANENT:
                self._fail(subject, fields, claim, error)
                self._followed(subject)
            raise
        self._followed(subject)
        self._stamp(subject, done.fields, proving=True)
        self.announce({
            "bucket": subject.original.bucket,
            "name": subject.original.name,
            "generation": str(subject.generation),
            "record": subject.record,
            "status": str(done.fields["status"]),
        })  # fmt: skip
        return MediaOutcome.SETTLED

    def _followed(self, subject: Subject) -> None:
        original = subject.original
        self.follow(original.bucket, original.name, original.generation, subject.place.owner)

    def _write_counted(
        self, subject: Subject, fields: records.Fields, expected: Document | None, use: Mapping[str, int]
    ) -> Document:
        """Writes the record, and counts the use in the same commit."""
        if self.allowances is None or not use:
            return self.stores.records.write(subject.record, fields, expected)
        fields = records.charged(fields, use)
        write = Replace(path=subject.record, fields=fields, expected=expected.version if expected else Expect.ABSENT)
        [version] = self.allowances.charge(subject.place.owner or NOBODY, use, [write])
        return Document(path=subject.record, fields=fields, version=version)

    def _put_off(
        self,
        subject: Subject,
        record: Document | None,
        fields: records.Fields,
        error: UsedUpError,
        use: Mapping[str, int],
    ) -> MediaOutcome:
        """Says in the record why nothing is made of it now, or ever."""
        status = MediaStatus.UNSUPPORTED if error.is_for_good else MediaStatus.WAITING
        # Only over what this delivery has read: another one of the same may have been counted meanwhile.
        done = records.finished(fields, status, str(error), self.now())
        try:
            self._write_counted(subject, done, record, use)
        except UsedUpError:
            self.stores.records.write(subject.record, done, record)
        self._followed(subject)
        self._stamp(subject, done, proving=True)
        return MediaOutcome.SETTLED if error.is_for_good else MediaOutcome.WAITING

    def _inspected(self, subject: Subject, fields: records.Fields, *, is_counted: bool) -> _Task:
        """Reads and inspects the file, and makes a plan; what is beyond its owner's day is not even read."""
        use = _size_of(subject, fields) if is_counted else {}
        if self.allowances is not None and use:
            self.allowances.check(subject.place.owner or NOBODY, use)
        limits = limits_for(self.settings.memory_mib)
        inspection, data = inspect_original(self.stores.originals, subject.original, limits)
        fields = records.with_inspection(fields, inspection)
        status, reason = MediaStatus.READY, inspection.reason
        if inspection.verdict is not Verdict.ACCEPT:
            is_broken = inspection.verdict is Verdict.QUARANTINE
            status = MediaStatus.QUARANTINED if is_broken else MediaStatus.UNSUPPORTED
        elif data is not None and _leaves_no_room(subject):
            status, reason = MediaStatus.UNSUPPORTED, "the name leaves no room for variants"
        elif data is not None:
            plan = make_plan(self.options(subject.place), inspection, limits)
            if is_counted:
                use |= _not_counted(fields, {"pixels": records.pixels_of(inspection, plan)})
            return _Task(fields=records.with_plan(fields, plan), use=use, inspection=inspection, data=data, plan=plan)
        return _Task(fields=records.finished(fields, status, reason, self.now()), use=use)

    def _rendered(self, task: _Task) -> Iterator[Doubt | Placeholder | RenderedFile]:
        assert task.inspection is not None
        assert task.plan is not None
        limits = limits_for(self.settings.memory_mib)
        return render(task.data, task.inspection, task.plan, limits, workers=self.workers)

    def _publish(
        self,
        subject: Subject,
        record: Document,
        plan: Plan,
        results: Iterator[Doubt | Placeholder | RenderedFile],
    ) -> Document:
        """Stores each file as it is done; the first one is shown at once, the others when all are there."""
        done: list[RenderedFile] = []
        bucket = self.settings.derived_bucket
        claimed = fields = dict(record.fields)
        try:
            for result in results:
                if isinstance(result, Doubt):
                    fields = records.with_note(fields, result.text)
                    continue
                if isinstance(result, Placeholder):
                    fields = {**fields, "placeholder": {"blurhash": result.blurhash}}
                    continue
                if result.data is None:
                    continue
                path = records.variant_path(subject, result.variant)
                self.stores.derived.put(path, result.data, result.variant.content_type)
                done.append(result)
                if len(done) == 1 and len(plan.variants) > 1:
                    shown = records.with_variants(fields, subject, plan, done, bucket)
                    record = self._write(subject, shown, record)
        except BrokenImageError as error:
            # Only the whole picture tells: what was shown of it ahead is taken back.
            quarantined = self._finish(subject, record, claimed, MediaStatus.QUARANTINED, str(error))
            self._take_back_own(subject)
            return quarantined
        fields = records.with_variants(fields, subject, plan, done, bucket)
        return self._finish(subject, record, fields, MediaStatus.READY, None)

    def _finish(
        self, subject: Subject, record: Document, fields: Mapping[str, Any], status: MediaStatus, reason: str | None
    ) -> Document:
        return self._write(subject, records.finished(fields, status, reason, self.now()), record)

    def _write(self, subject: Subject, fields: Mapping[str, Any], expected: Document) -> Document:
        """Writes over what this delivery wrote last; finds out who came between, if somebody did."""
        for _ in range(_ROUNDS):
            try:
                return self.stores.records.write(subject.record, fields, expected)
            except ConflictError:
                found = self.stores.records.read(subject.record)
                if found is None:
                    raise
                if found.fields["generation"] != subject.generation or found.fields["plan"] != subject.plan:
                    self._take_back_own(subject)
                    raise _SupersededError from None
                if found.fields["status"] == MediaStatus.READY:
                    # Another delivery of the same was faster; both would have written the same.
                    return found
                expected = found
        raise TransientError(f"`{subject.record}` is contended; deliver again")

    def _take_back_own(self, subject: Subject) -> None:
        """Removes the files of this generation and plan, which no record will mention."""
        original = subject.original
        for file in self.stores.derived.list(
            f"{derived_folder(original.bucket, original.name, original.generation)}{subject.plan}/"
        ):
            self.stores.derived.delete(file.name)

    def _fail(self, subject: Subject, fields: records.Fields, claim: Document | None, error: Exception) -> None:
        """Says so in the record, as far as it can be said; the event itself is recorded by the delivery."""
        logger.exception("`%s` failed", subject.original.name)
        reason = f"{type(error).__name__}: {error}"[:300]
        failed = records.finished({**fields, "variants": []}, MediaStatus.FAILED, reason, self.now())
        with suppress(ConflictError):  # somebody else is at work on it, and has the last word
            self.stores.records.write(subject.record, failed, claim)

    def _stamp(self, subject: Subject, fields: Mapping[str, Any], *, proving: bool = False) -> None:
        """Writes the result into the original's metadata, keeping what others wrote there.

        With `proving`, returning means that the generation was live after everything written before.
        """
        original = subject.original
        wanted = _stamp_of(subject, fields)
        for round_number in range(_ROUNDS):
            is_fresh = round_number > 0 or not proving
            if is_fresh and all(original.metadata.get(key) == value for key, value in wanted.items()):
                return
            try:
                self.stores.originals.stamp(original, wanted)
                return
            except ConflictError:
                found = self.stores.originals.find(original.bucket, original.name)
                if found is None or found.generation != original.generation:
                    raise GoneError from None
                original = found
        raise TransientError(f"the metadata of `{original.name}` is contended; deliver again")


def _size_of(subject: Subject, fields: Mapping[str, Any]) -> dict[str, int]:
    """What is counted for looking at it."""
    return _not_counted(fields, {"files": 1, "bytes": subject.original.size})


def _not_counted(fields: Mapping[str, Any], use: Mapping[str, int]) -> dict[str, int]:
    counted = records.charged_for(fields)
    return {name: amount for name, amount in use.items() if name not in counted}


def _stamp_of(subject: Subject, fields: Mapping[str, Any]) -> dict[str, str]:
    source = fields["source"]
    stamp = {
        "afterimage_status": str(fields["status"]),
        "afterimage_plan": subject.plan,
        "afterimage_record": subject.record,
        "afterimage_type": source.get("content_type"),
        "afterimage_width": source.get("width"),
        "afterimage_height": source.get("height"),
    }
    return {key: str(value) for key, value in stamp.items() if value is not None}


def _leaves_no_room(subject: Subject) -> bool:
    original = subject.original
    folder = derived_folder(original.bucket, original.name, original.generation)
    longest = len(folder.encode()) + len(subject.plan) + 1 + _LONGEST_VARIANT_NAME
    return longest > OBJECT_NAME_LIMIT_BYTES
