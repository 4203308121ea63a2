"""Where the documents and files of one user begin, and those that are kept for the functions' own work."""

from __future__ import annotations

from typing import Final

CAMPAIGN_WRITTEN: Final = "campaigns/{campaignId}"
USERS: Final = "users"
USER_RECORDS: Final = "objects"
"""Records of a user's files: the collections of this name below each user."""
SHARED_RECORDS: Final = "mediaObjects"
DEAD_LETTERS: Final = "_events"
JOBS: Final = "_jobs"
NOTHING: Final = "_none/none"
"""A document that nobody writes: asked for where only the answer counts."""
LIMITS: Final = "_limits"
"""How often each user may ask just now."""
OWNED_FILES: Final = ("users", "generating", "artifacts")
"""Folders of which each user owns one."""
SHARED_FILES: Final = "media/"
OWNED_DOCUMENTS: Final = ("users", "ai_outputs", "generations", "players", "quota", "artifacts", "budgets", LIMITS)
"""Collections in which each user owns one document with everything beneath it, beside the books.

In the order in which they are erased: without an account of bytes, late events about contents write nothing.
"""


def campaign_owners_path(campaign: str) -> str:
    """Where it is kept whose a campaign is; the campaign's own path is `campaigns/{id}`."""
    return f"campaignOwners/{campaign.removeprefix('campaigns/')}"


def owned_folder(root: str, user: str) -> str:
    """The folder of one user below one of OWNED_FILES; ends with a slash."""
    return f"{root}/{user}/"


def owned_document(root: str, user: str) -> str:
    return f"{root}/{user}"


def job_path(job: str) -> str:
    return f"{JOBS}/{job}"


def rate_limit_path(user: str) -> str:
    return f"{LIMITS}/{user}"


def idempotency_path(operation: str) -> str:
    return f"_operations/{operation}"


def dead_letter_path(key: str) -> str:
    return f"{DEAD_LETTERS}/{key}"
