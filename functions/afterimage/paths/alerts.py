"""Where an account of room or money says that it runs out."""

from __future__ import annotations

from typing import Final

from afterimage.paths.books import BUDGETS

QUOTA: Final = "quota"
QUOTA_ALERT_WRITTEN: Final = "quota/{uid}/alerts/{level}"
BUDGET_ALERT_WRITTEN: Final = "budgets/{uid}/alerts/{level}"
"""The pattern of the documents that say that a user's room is running out."""


def quota_path(user: str) -> str:
    return f"{QUOTA}/{user}"


def alert_path(account: str, level: int) -> str:
    return f"{account}/alerts/{level}"


def parse_alert(path: str) -> tuple[str, str] | None:
    """What an alert is about, room or money (`QUOTA`, `BUDGETS`), and whose; None where no alert stands."""
    match path.split("/"):
        case [root, user, "alerts", _] if root in {QUOTA, BUDGETS}:
            return root, user
    return None
