"""What keeps an object from going: holds, the bucket's retention policy, a retention of its own (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from afterimage_emulator.clock import NANOS_PER_SECOND
from afterimage_emulator.storage.errors import Reason, SpecificError, StorageError, invalid
from afterimage_emulator.storage.messages.timestamps import parse_time, print_time
from afterimage_emulator.storage.objects.records import BucketRecord, ObjectMetadata, ObjectRecord


def retained_until_ns(bucket: BucketRecord, record: ObjectRecord) -> int | None:
    """Until when, by the policy or by the object's own; None while an event-based hold keeps time from counting."""
    ends: list[int] = []
    if bucket.retention_seconds and not record.metadata.event_based_hold:
        began = record.created_ns if record.hold_released_ns is None else record.hold_released_ns
        ends.append(began + bucket.retention_seconds * NANOS_PER_SECOND)
    if record.metadata.retention:
        ends.append(_end_of(record.metadata.retention))
    return max(ends, default=None)


def is_kept(bucket: BucketRecord, record: ObjectRecord, now_ns: int, *, archives: bool) -> bool:
    try:
        refuse_kept(bucket, record, now_ns, archives=archives)
    except StorageError:
        return True
    return False


def refuse_kept(bucket: BucketRecord, record: ObjectRecord, now_ns: int, *, archives: bool) -> None:
    """`archives` says that the generation stays as an earlier one: a retention allows that, a hold does not."""
    place = f"Object '{record.bucket}/{record.name}'"
    for is_held, kind in (
        (record.metadata.temporary_hold, "Temporary"),
        (record.metadata.event_based_hold, "Event-Based"),
    ):
        if is_held:
            raise SpecificError(
                Reason.FORBIDDEN,
                "ObjectUnderActiveHold",
                f"{place} is under active {kind} hold and cannot be deleted, overwritten or archived until hold is "
                "removed.",
            )
    until = None if archives else retained_until_ns(bucket, record)
    if until is not None and until > now_ns:
        raise SpecificError(
            Reason.RETENTION_NOT_MET,
            "RetentionPolicyNotMet",
            f"{place} is subject to bucket's retention policy or object retention and cannot be deleted or overwritten "
            f"until {print_time(until)}",
        )


def check_retention(bucket: BucketRecord | None, metadata: ObjectMetadata, now_ns: int) -> None:
    """Whether an object that is made or changed may have the retention that it asks for."""
    if metadata.retention is None:
        return
    if bucket is None or not bucket.allows_object_retention:
        raise invalid("Object retention can only be configured in buckets that were created with it enabled.")
    if metadata.event_based_hold:
        raise invalid("Object retention cannot be set on an object that is under an event-based hold.")
    if _end_of(metadata.retention) <= now_ns:
        raise invalid(
            f"Invalid value for `retention.retainUntilTime`: `{metadata.retention['retainUntilTime']}` is past"
        )


def check_retention_change(old: ObjectMetadata, new: ObjectMetadata, *, overrides: bool) -> None:
    """A locked retention can only last longer; an unlocked one is weakened by who says so."""
    if old.retention is None or old.retention == new.retention:
        return
    is_longer = new.retention is not None and _end_of(new.retention) >= _end_of(old.retention)
    is_locked = old.retention["mode"] == "Locked"
    stays = new.retention is not None and new.retention["mode"] == old.retention["mode"]
    if is_longer and stays:
        return
    if is_locked or not overrides:
        raise StorageError(
            Reason.FORBIDDEN,
            "The retention of this object is locked: it can only be made longer"
            if is_locked
            else "To shorten, remove or lock this object's retention, send `overrideUnlockedRetention=true`",
        )


def _end_of(retention: Mapping[str, str]) -> int:
    return parse_time(retention["retainUntilTime"]) or 0
