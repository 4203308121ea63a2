"""The two documents of a link, always written together: what functions need, and what the user is shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from afterimage.drive_paths import drive_link_path, drive_path
from afterimage.edges.drive.google.drive_api import DriveAbout, DriveRoom
from afterimage.store.documents import Change, Document, Expect, Remove, Replace, Write

ACTIVE: Final = "active"
BROKEN: Final = "broken"
UNLINKED: Final = "unlinked"


def linked_writes(
    uid: str,
    *,
    about: DriveAbout,
    changes_token: str,
    sealed: Mapping[str, Any],
    earlier: Mapping[str, Any] | None,
    now: datetime,
) -> list[Replace]:
    """A link that has just been given; the folder of an earlier one to the same account is found again by its id."""
    account = about.user.permission_id
    is_same = earlier is not None and earlier["account_id"] == account
    folder = str(earlier["folder_id"]) if earlier is not None and is_same else ""
    link = {
        "state": ACTIVE,
        "permission": dict(sealed),
        "account": account,
        "folder": folder,
        "changes_token": changes_token,
        "wait_until": None,
        "error": "",
        "linked_at": now,
    }
    shown = {
        "state": ACTIVE,
        "account_id": account,
        "account_email": about.user.email_address,
        "account_name": about.user.display_name,
        "folder_id": folder,
        "quota": room_shown(about.storage_quota, now),
        "error": "",
        "linked_at": now,
    }
    return [
        Replace(path=drive_link_path(uid), fields=link, expected=Expect.ANYTHING),
        Replace(path=drive_path(uid), fields=shown, expected=Expect.ANYTHING),
    ]


def broken_writes(link: Document, shown: Document | None, reason: str, now: datetime) -> list[Write]:
    said = {"state": BROKEN, "error": reason[:300], "broken_at": now}
    writes: list[Write] = [Change(path=link.path, put=said, expected=link.version)]
    return writes if shown is None else [*writes, Change(path=shown.path, put=said, expected=shown.version)]


def unlinked_writes(uid: str, shown: Document | None, now: datetime) -> list[Write]:
    """The permission goes; whose Drive it was stays, so that another link to it goes on where this one ended."""
    writes: list[Write] = [Remove(path=drive_link_path(uid), expected=Expect.ANYTHING)]
    if shown is not None:
        writes.append(Change(path=drive_path(uid), put={"state": UNLINKED, "error": "", "unlinked_at": now}))
    return writes


def room_shown(room: DriveRoom, now: datetime) -> dict[str, Any]:
    """Numbers; no limit is null, and then nothing is a share of it."""
    limit = _whole(room.limit) if room.limit else None
    usage = _whole(room.usage)
    if limit is None:
        share = 0.0
    elif limit == 0:
        share = 100.0
    else:
        share = round(100 * usage / limit, 2)
    return {
        "limit_bytes": limit,
        "usage_bytes": usage,
        "usage_in_drive_bytes": _whole(room.usage_in_drive),
        "usage_in_trash_bytes": _whole(room.usage_in_drive_trash),
        "usage_percentage": share,
        "as_of": now,
    }


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0
