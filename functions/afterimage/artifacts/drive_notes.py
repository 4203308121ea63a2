"""Notes of what is to go to a user's Google Drive: one for each file that moved, written in the commit that moves it.

A note says that a file has something new, never what: whoever works on it looks at the file as it is then. Pure.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from afterimage.drive_paths import drive_note_path
from afterimage.store.documents import Change

WAITING: Final = "waiting"
HELD: Final = "held"
"""The link is broken: it waits for the user, and is tried by nobody."""


def drive_note(user: str, file: str, now: datetime) -> Change:
    """Asks for a look at a file; without a file, at the link itself. One that is there already is due at once."""
    return Change(
        path=drive_note_path(drive_note_id(user, file)),
        put={"uid": user, "file": file, "state": WAITING, "due_at": now, "noted_at": now},
        amounts={("wants",): 1},
    )


def drive_note_id(user: str, file: str) -> str:
    """Ids that lie far apart: those that follow each other would all be written to one place."""
    return hashlib.sha256(f"{user}/{file}".encode()).hexdigest()[:40]
