"""Where users say what the world may see, what is public now, and what has to be purged."""

from __future__ import annotations

import hashlib
from typing import Final

from afterimage.paths.users import SHARED_RECORDS, USER_RECORDS, USERS

PUBLISHED: Final = "published"
"""What users want the world to see: below each user a document of the user's own for a file, named as its record."""
PUBLISHED_WRITTEN: Final = "published/{uid}/objects/{objectId}"
PUBLICATIONS: Final = "publications"
"""What is public now, under ids that say nothing of whose it is."""
PURGES: Final = "_purges"
PURGE_WRITTEN: Final = "_purges/{purgeId}"
CDN_TOKENS: Final = "_cdn/tokens"
"""Not in `_limits`, whose ids are users. How many requests to the CDN's own API are left."""


def published_mark_path(user: str, identifier: str) -> str:
    """Where a user says that the world may see a file of theirs."""
    return f"{PUBLISHED}/{user}/{USER_RECORDS}/{identifier}"


def parse_published_mark(path: str) -> tuple[str, str] | None:
    """Whose mark stands at a path, and the id of the file's record; None where no mark belongs."""
    match path.split("/"):
        case [root, user, group, identifier] if (root, group) == (PUBLISHED, USER_RECORDS):
            return user, identifier
    return None


def records_of(user: str, identifier: str) -> tuple[str, str]:
    """Where the record of a file may stand that a user has marked: among the user's own, or among the shared ones."""
    return f"{USERS}/{user}/{USER_RECORDS}/{identifier}", f"{SHARED_RECORDS}/{identifier}"


def public_id(bucket: str, name: str, generation: int) -> str:
    """What one generation of a file is called in public: its owner can compute it, and nobody can read it backwards."""
    return hashlib.sha256(f"{bucket}/{name}#{generation}".encode()).hexdigest()[:40]


def publication_path(public: str) -> str:
    return f"{PUBLICATIONS}/{public}"


def purge_path(public: str) -> str:
    return f"{PURGES}/{public}"


def cdn_day(day: str) -> str:
    """The operators' figures of one day at the CDN."""
    return f"operations/cdn/days/{day}"
