"""What a user could do for more room, each with its reason and the bytes it frees; and the overview of what is used.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from afterimage.artifacts.heads import Head
from afterimage.quota.account import ALERT_LEVELS, Account
from afterimage.quota.cleanup import CleanupOptions, planned
from afterimage.quota.review import Review

UNTOUCHED_FOR: Final = timedelta(days=90)
LARGE_SHARE: Final = 0.1
"""A file that takes a tenth of all that is used is worth a look."""
MOST_NAMED: Final = 10


def recommendations(found: Review, account: Account, now: datetime) -> list[dict[str, Any]]:
    """The one that frees most comes first; what frees nothing is left out, except duplicates, which only confuse."""
    advice = [
        _old_versions(found, now),
        _auto_saves(found, now),
        _untouched(found, now),
        *_duplicates(found),
        *_large(found, account),
    ]
    wanted = [each for each in advice if each["bytes"] or (each["kind"] == "duplicates" and each["files"])]
    return sorted(wanted, key=lambda each: (-each["bytes"], each["kind"]))


def storage_overview(account: Account, *, drive: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Both places where a user's files can be, each with its share of what there is."""
    return {
        "google_drive": {
            "connected": drive is not None and drive["state"] == "active",
            "state": drive["state"] if drive else "unlinked",
            "quota": dict(drive["quota"]) if drive else {"usage_percentage": 0.0},
        },
        "local_storage": {
            "used_bytes": account.used_bytes,
            "reserved_bytes": account.reserved_bytes,
            "limit_bytes": account.limit_bytes,
            "free_bytes": account.free_bytes,
            "usage_percentage": account.usage_percentage(),
        },
        "alerts": [level for level in ALERT_LEVELS if level <= account.alert_level],
    }


def _old_versions(found: Review, now: datetime) -> dict[str, Any]:
    options = CleanupOptions()
    plan = planned(found, options, now)
    reason = (
        f"{plan.versions} versions are older than {options.older_than_days} days, not pinned, and not among the "
        f"{options.keep_newest} newest of their file"
    )
    return _advice("old_versions", "cleanup", reason, plan.freed_bytes, [each.file for each in plan.files])


def _auto_saves(found: Review, now: datetime) -> dict[str, Any]:
    options = CleanupOptions(older_than_days=1, keep_newest=1, auto_saves_only=True)
    plan = planned(found, options, now)
    reason = f"{plan.versions} versions were saved automatically more than a day ago, and newer ones followed"
    return _advice("auto_saves", "cleanup", reason, plan.freed_bytes, [each.file for each in plan.files])


def _untouched(found: Review, now: datetime) -> dict[str, Any]:
    def is_untouched(head: Head) -> bool:
        saved = head.newest.saved_at
        return head.archived_at is None and saved is not None and saved <= now - UNTOUCHED_FOR

    untouched = [head for head in found.heads if is_untouched(head) and len(head.versions) > 1]
    gone = [entry for head in untouched for entry in head.versions[:-1] if not entry.is_pinned]
    reason = (
        f"{len(untouched)} files have not been saved for {UNTOUCHED_FOR.days} days; archived, they keep their newest "
        "and their pinned versions"
    )
    return _advice("untouched_files", "archive", reason, found.freed_by(gone), [head.file for head in untouched])


def _duplicates(found: Review) -> list[dict[str, Any]]:
    groups: dict[str, list[Head]] = {}
    for head in found.heads:
        if head.archived_at is None:
            groups.setdefault(head.newest.digest, []).append(head)
    advice = []
    for heads in groups.values():
        spare = [head for head in heads[1:] if not any(entry.is_pinned for entry in head.versions)]
        if spare:
            freed = found.freed_by(entry for head in spare for entry in head.versions)
            reason = f"{len(spare) + 1} files hold the same bytes, which are stored once; merged, older versions go"
            advice.append(
                _advice("duplicates", "merge", reason, freed, [heads[0].file, *(head.file for head in spare)])
            )
    return advice


def _large(found: Review, account: Account) -> list[dict[str, Any]]:
    advice = []
    for head in found.heads:
        freed = found.freed_by(head.versions)
        if account.used_bytes and freed >= account.used_bytes * LARGE_SHARE and len(found.heads) > 1:
            share = round(100 * freed / account.used_bytes)
            reason = f"`{head.name}` with its {len(head.versions)} versions takes {share} % of what is used"
            advice.append(_advice("large_file", "delete", reason, freed, [head.file]))
    return advice


def _advice(kind: str, action: str, reason: str, freed: int, files: list[str]) -> dict[str, Any]:
    return {"kind": kind, "action": action, "reason": reason, "bytes": freed, "files": files[:MOST_NAMED]}
