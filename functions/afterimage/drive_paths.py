"""Where the documents of linked Google Drives stand: the part of the grammar of paths that is about them alone."""

from __future__ import annotations

from typing import Final

DRIVE: Final = "drive"
"""What a user is shown of a linked Google Drive; below it each saved file as it stands there."""
DRIVE_MIRRORS: Final = "mirrors"
DRIVE_LINKS: Final = "_driveLinks"
"""Permissions of users, sealed; no client reads them."""
DRIVE_BEGUN: Final = "_driveBegun"
"""Links that users have begun and not completed, under digests."""
DRIVE_QUEUE: Final = "_driveQueue"
"""What is to go to the Drives of all users."""
DRIVE_NOTED: Final = "_driveQueue/{noteId}"


def drive_path(user: str) -> str:
    return f"{DRIVE}/{user}"


def drive_mirrors_path(user: str) -> str:
    return f"{DRIVE}/{user}/{DRIVE_MIRRORS}"


def drive_mirror_path(user: str, file: str) -> str:
    """A saved file as it stands in the user's Drive."""
    return f"{drive_mirrors_path(user)}/{file}"


def drive_link_path(user: str) -> str:
    return f"{DRIVE_LINKS}/{user}"


def drive_begun_path(digest: str) -> str:
    return f"{DRIVE_BEGUN}/{digest}"


def drive_note_path(note: str) -> str:
    return f"{DRIVE_QUEUE}/{note}"
