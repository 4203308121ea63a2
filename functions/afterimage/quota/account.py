"""A user's account of bytes: what is used, what is reserved, the limit, and the alerts that follow. Pure.

`used_bytes` is the sum of what the user's contents take, `reserved_bytes` that of the uploads under way; both move only
in the commit that moves what they are the sum of, and only where the account is as it was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from afterimage.artifacts.refusals import RefusalKind, RefusedError
from afterimage.paths import alert_path, quota_path
from afterimage.store.documents import ConflictError, Document, Expect, Replace, Write

ALERT_LEVELS: Final = (80, 90, 100)
"""At which share of the limit, in percent, a user is told."""
ALERT_ENDS_BELOW: Final = 5
"""How many points below its level an alert ends: who saves and deletes around a level is told once."""
MOST_LIMIT_BYTES: Final = 2**50


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """What one document says."""

    user: str
    used_bytes: int = 0
    reserved_bytes: int = 0
    limit_bytes: int
    own_limit_bytes: int | None = None
    """A limit that an operator has given to this user alone."""
    alert_level: int = 0
    """The highest level whose alert is on; nought where none is."""

    @property
    def committed_bytes(self) -> int:
        return self.used_bytes + self.reserved_bytes

    @property
    def free_bytes(self) -> int:
        return max(0, self.limit_bytes - self.committed_bytes)

    def moved(self, *, used: int = 0, reserved: int = 0, is_forced: bool = False) -> Account:
        """The account after a move; refused where it would grow beyond the limit.

        What does not make it larger is never refused: a limit that was lowered must not keep anybody from deleting.
        Nor is what has happened already (`is_forced`): an account tells the truth, also beyond its limit.
        """
        if not is_forced and used + reserved > 0 and used + reserved > self.limit_bytes - self.committed_bytes:
            raise RefusedError(
                RefusalKind.STORAGE_QUOTA_EXCEEDED,
                f"{used + reserved} bytes more do not fit: {self.used_bytes} of {self.limit_bytes} are used and "
                f"{self.reserved_bytes} reserved for uploads; delete or clean up first",
            )
        after = replace(self, used_bytes=self.used_bytes + used, reserved_bytes=self.reserved_bytes + reserved)
        if after.used_bytes < 0 or after.reserved_bytes < 0:
            raise ConflictError(
                f"the account of `{self.user}` would fall below nought: {after.used_bytes} used, "
                f"{after.reserved_bytes} reserved: read again, or run quota.audit"
            )
        return replace(after, alert_level=after.alert_due())

    def alert_due(self) -> int:
        """The level that is to be on: reached, or on already and not yet clearly left."""
        reached = max((level for level in ALERT_LEVELS if self._is_at(level)), default=0)
        kept = max((level for level in ALERT_LEVELS if level <= self.alert_level and self._is_near(level)), default=0)
        return max(reached, kept)

    def usage_percentage(self) -> float:
        if self.limit_bytes == 0:
            return 100.0 if self.used_bytes else 0.0
        return round(100 * self.used_bytes / self.limit_bytes, 2)

    def _is_at(self, level: int) -> bool:
        return self.used_bytes > 0 and self.used_bytes * 100 >= self.limit_bytes * level

    def _is_near(self, level: int) -> bool:
        return self.used_bytes > 0 and self.used_bytes * 100 >= self.limit_bytes * (level - ALERT_ENDS_BELOW)


def account_in(user: str, found: Document | None, default_limit_bytes: int) -> Account:
    """The account that a document holds; one that only holds a limit, or none at all, is empty."""
    fields: Mapping[str, Any] = found.fields if found else {}
    own = fields.get("limit_bytes")
    is_given = isinstance(own, int) and not isinstance(own, bool) and 0 <= own <= MOST_LIMIT_BYTES
    return Account(
        user=user,
        used_bytes=fields.get("used_bytes", 0),
        reserved_bytes=fields.get("reserved_bytes", 0),
        limit_bytes=own if is_given and own is not None else default_limit_bytes,
        own_limit_bytes=own if is_given else None,
        alert_level=fields.get("alert_level", 0),
    )


def account_writes(before: Account, after: Account, found: Document | None, now: datetime) -> list[Write]:
    """What takes the stored account to `after`, with the alerts that begin or end; nothing where nothing moved."""
    if before == after and found is not None:
        return []
    fields = {
        "used_bytes": after.used_bytes,
        "reserved_bytes": after.reserved_bytes,
        "limit_bytes": after.own_limit_bytes,
        "shown_limit_bytes": after.limit_bytes,
        "usage_percentage": after.usage_percentage(),
        "alert_level": after.alert_level,
    }
    expected = found.version if found else Expect.ABSENT
    writes: list[Write] = [
        Replace(path=quota_path(after.user), fields=fields, expected=expected, server_times=("updated_at",))
    ]
    for level in ALERT_LEVELS:
        if before.alert_level < level <= after.alert_level:
            writes.append(_alert(after, level, "raised", now))
        elif after.alert_level < level <= before.alert_level:
            writes.append(_alert(after, level, "cleared", now))
    return writes


def _alert(account: Account, level: int, state: str, now: datetime) -> Write:
    fields = {
        "level": level,
        "state": state,
        "used_bytes": account.used_bytes,
        "limit_bytes": account.limit_bytes,
        "at": now,
    }
    return Replace(path=alert_path(quota_path(account.user), level), fields=fields, expected=Expect.ANYTHING)
