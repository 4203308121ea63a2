"""One account's day: how much the functions have done for it, counted in the same commit as what they do.

A document for each account and UTC day holds what was used. It is written by compare-and-set beside the caller's own
writes, so what is used and what was done for it never part, whatever is delivered twice or dies in between.

Accounts without a name cost nothing to make, so all of them together have what a number of named ones have. Such an
account takes its share out of common pots in pieces that double, so that a pot is not written with every file.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from afterimage.allowances.allowance_paths import allowance_path
from afterimage.store.documents import ConflictError, Document, DocumentStore, Expect, Replace, Version, Write

Use = Mapping[str, int]
"""How much of each figure: `files` and their `bytes`, `pixels`, `documents` that are booked."""

POTS: Final = 8
"""Into how many the share of all unnamed accounts is divided, because each document takes about one write a second."""
NOBODY: Final = ""
"""Stands for all who leave no name on what they store."""
LATER: Final = "it is taken up after midnight (UTC)"
_KEPT_FOR: Final = timedelta(days=2)
_ROUNDS: Final = 10
_LONGEST_PAUSE_SECONDS: Final = 0.5
_MEGA: Final = 1_000_000
_MOST_ASKED: Final = 1_000


class UsedUpError(Exception):
    """The day's allowance does not reach; says so in a sentence for users."""

    def __init__(self, reason: str, *, is_for_good: bool = False) -> None:
        super().__init__(reason)
        self.is_for_good = is_for_good
        """More than a whole day's: no other day will do."""


@dataclass(frozen=True, kw_only=True)
class DayAllowances:
    """Counts what accounts use, and refuses what is beyond."""

    documents: DocumentStore
    limits: Use
    """What one account has for a day."""
    anonymous_accounts: int
    """All accounts without a name together have as much as so many."""
    is_anonymous: Callable[[str], bool | None]
    """None where it cannot be told now: then the account has what unnamed ones have, until it can be told."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    wait: Callable[[float], None] = time.sleep
    dice: random.Random = field(default_factory=random.Random)
    _asked: dict[str, bool | None] = field(default_factory=dict, init=False, repr=False)

    def check(self, account: str, use: Use) -> None:
        """Raises UsedUpError where a use would be refused now, before anything is done for it."""
        self._check_limits(use)
        self._asked.pop(account, None)  # of an earlier check that no charge followed
        self._counted(account, use)

    def _is_anonymous(self, account: str) -> bool | None:
        """Asked once for a check and the charge that follows it."""
        if account in self._asked:
            return self._asked.pop(account)
        if len(self._asked) >= _MOST_ASKED:
            self._asked.clear()
        found = self._asked[account] = self.is_anonymous(account)
        return found

    def _check_limits(self, use: Use) -> None:
        for name, amount in use.items():
            if amount > self.limits[name]:
                raise UsedUpError(f"more than {_spelt(name, self.limits)} in a day", is_for_good=True)

    def charge(self, account: str, use: Use, beside: Sequence[Write] = ()) -> list[Version]:
        """Counts a use and commits what it is for; returns the versions of `beside`. Nothing is done if it is refused.

        Raises UsedUpError, and ConflictError where `beside` was not as expected or others went first again and again.
        """
        self._check_limits(use)
        for attempt in range(_ROUNDS):
            counted = self._counted(account, use)
            try:
                return self.documents.commit([*beside, *counted])[: len(beside)]
            except ConflictError:
                self.wait(self.dice.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.02 * 2**attempt)))
        raise ConflictError(f"the allowance of `{account}` is contended")

    def _counted(self, account: str, use: Use) -> list[Write]:
        """The writes that count a use."""
        day = f"{self.now().astimezone(UTC):%Y-%m-%d}"
        path = allowance_path(day, _key(account))
        own = self.documents.read(path)
        is_anonymous = own.fields["is_anonymous"] if own else None
        if is_anonymous is None:
            is_anonymous = account == NOBODY or self._is_anonymous(account)
        used = _sum(_figures(own, "used"), use)
        if account != NOBODY:
            for name in use:
                if used[name] > self.limits[name]:
                    raise UsedUpError(f"{_spelt(name, self.limits)} in a day are used up: {LATER}")
        fields: dict[str, Any] = {"is_anonymous": is_anonymous, "used": used}
        writes = list[Write]()
        if is_anonymous is not False:
            granted = _figures(own, "granted")
            if any(used[name] > granted[name] for name in use):
                granted, pot = self._grant(day, account, used, granted)
                writes.append(pot)
            fields["granted"] = granted
        return [*writes, self._replace(path, fields, own)]

    def _grant(
        self, day: str, account: str, used: dict[str, int], granted: dict[str, int]
    ) -> tuple[dict[str, int], Write]:
        """More out of the first pot that has enough: as much again as was granted, or just what is used."""
        limit = {name: self.limits[name] * self.anonymous_accounts // POTS for name in self.limits}
        first = sha256(account.encode()).digest()[0]
        for number in range(POTS):
            path = allowance_path(day, f"pot-{(first + number) % POTS}")
            pot = self.documents.read(path)
            taken = _figures(pot, "used")
            for factor in (2, 1):
                wanted = {
                    name: max(used[name], factor * granted[name]) if used[name] > granted[name] else granted[name]
                    for name in used
                }
                after = {name: taken[name] + wanted[name] - granted[name] for name in used}
                if all(after[name] <= max(limit[name], taken[name]) for name in used):
                    return wanted, self._replace(path, {"used": after}, pot)
        raise UsedUpError(f"what all unnamed accounts together may have worked on in a day is used up: {LATER}")

    def _replace(self, path: str, fields: Mapping[str, Any], found: Document | None) -> Replace:
        expires_at = {"expires_at": self.now() + _KEPT_FOR}
        expected = found.version if found else Expect.ABSENT
        return Replace(path=path, fields={**fields, **expires_at}, expected=expected)


def _spelt(name: str, limits: Use) -> str:
    """How much of it there is."""
    whole, mega = limits[name], limits[name] // _MEGA
    figure = {"files": f"{whole} files", "bytes": f"{mega} megabytes", "pixels": f"{mega} megapixels"}
    return f"the {figure.get(name, f'{whole} outputs')} that one account may have worked on"


def _key(account: str) -> str:
    """As text of its own: no account can be called as a pot is."""
    return sha256(account.encode()).hexdigest()[:40]


def _figures(found: Document | None, name: str) -> dict[str, int]:
    held = found.fields.get(name, {}) if found else {}
    return {figure: int(held.get(figure, 0)) for figure in ("files", "bytes", "pixels", "documents")}


def _sum(figures: Use, more: Use) -> dict[str, int]:
    return {name: amount + more.get(name, 0) for name, amount in figures.items()}
