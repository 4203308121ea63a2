"""The settings that keep objects: a bucket's retention policy with its lock, and soft delete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.messages.timestamps import print_time

RETENTION_LIMIT_SECONDS: Final = 3_155_760_000
SOFT_DELETE_SECONDS: Final = 604_800
_SOFT_DELETE_LIMIT_SECONDS: Final = 7_776_000
_DIGITS: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


def changed_retention(
    bucket: str, old: Mapping[str, object] | None, said: object, now_ns: int
) -> Mapping[str, object] | None:
    """The policy after a patch that says `said`. A locked one lasts as long or longer, and stays."""
    is_locked = old is not None and old.get("isLocked") is True
    if said is None:
        if is_locked:
            raise StorageError(
                Reason.RETENTION_NOT_MET, f"Bucket '{bucket}' has a locked Retention Policy which cannot be removed."
            )
        return None
    policy = _object(said, "retentionPolicy")
    if not policy:
        return old
    seconds = _seconds(policy.get("retentionPeriod"), "retentionPolicy.retentionPeriod")
    if not 1 <= seconds <= RETENTION_LIMIT_SECONDS:
        raise invalid(f"Invalid value for `retentionPeriod`: `{seconds}`; use 1 to {RETENTION_LIMIT_SECONDS} seconds")
    if policy.get("isLocked") is True and not is_locked:
        raise invalid("`isLocked` is not set but asked for: POST to lockRetentionPolicy")
    if old is None:
        return {"retentionPeriod": str(seconds), "effectiveTime": print_time(now_ns)}
    if is_locked and seconds < int(str(old["retentionPeriod"])):
        raise StorageError(
            Reason.FORBIDDEN, f"Bucket '{bucket}' has a locked Retention Policy whose period cannot be reduced."
        )
    return {**old, "retentionPeriod": str(seconds)}


def locked_retention(bucket: str, old: Mapping[str, object] | None) -> Mapping[str, object]:
    if old is None or old.get("isLocked") is True:
        raise invalid(f"Bucket '{bucket}' does not have an unlocked retention policy.")
    return {**old, "isLocked": True}


def changed_soft_delete(old: Mapping[str, object] | None, said: object, now_ns: int) -> Mapping[str, object] | None:
    """Null is the default again; zero seconds turn it off."""
    if said is None:
        return soft_delete_policy(SOFT_DELETE_SECONDS, now_ns)
    policy = _object(said, "softDeletePolicy")
    if "retentionDurationSeconds" not in policy:
        return old
    seconds = _seconds(policy["retentionDurationSeconds"], "softDeletePolicy.retentionDurationSeconds")
    if seconds and not SOFT_DELETE_SECONDS <= seconds <= _SOFT_DELETE_LIMIT_SECONDS:
        raise invalid(
            f"Invalid value for `softDeletePolicy.retentionDurationSeconds`: `{seconds}`; use 0, or "
            f"{SOFT_DELETE_SECONDS} to {_SOFT_DELETE_LIMIT_SECONDS}"
        )
    if old is not None and old.get("retentionDurationSeconds") == str(seconds):
        return old
    return soft_delete_policy(seconds, now_ns)


def soft_delete_policy(seconds: int, now_ns: int) -> Mapping[str, object]:
    return {"retentionDurationSeconds": str(seconds), "effectiveTime": print_time(now_ns)}


def _object(said: object, field: str) -> Mapping[str, object]:
    if not isinstance(said, Mapping):
        raise invalid(f"Invalid value for `{field}`: it must be an object, not `{str(said)[:60]}`")
    return said


def _seconds(value: object, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int) or not _DIGITS.fullmatch(str(value)):
        raise invalid(f"Invalid value for `{field}`: `{str(value)[:60]}` is no number of seconds")
    return int(value)
