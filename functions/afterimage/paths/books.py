"""Where the ledger keeps what it books, and which documents it books."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from afterimage.paths.identifiers import DOCUMENT_ID_LIMIT_BYTES
from afterimage.paths.users import JOBS

OUTPUT_KINDS: Final = ("dialogues", "images", "videos", "audio", "code")
"""Collections below a user in `ai_outputs`."""
OUTPUT_WRITTEN: Final = "ai_outputs/{uid}/{kind}/{outputId}"
GENERATION_WRITTEN: Final = "generations/{uid}/files/{fileUid}"
"""Patterns of the documents whose writes are booked, as triggers spell them."""
BOOKED_ROOTS: Final[Mapping[str, tuple[str, ...]]] = {"ai_outputs": OUTPUT_KINDS, "generations": ("files",)}
"""Collections whose ids are users, and the collections below them whose documents are booked."""
BOOKS: Final = "usage"
"""The books of each user, one document, and below it what the ledger keeps of that user."""
BUCKETS: Final = "buckets"
ROLL_UP_MARK: Final = f"{JOBS}/ledger.roll-up"
AUDIT_MARK: Final = f"{JOBS}/ledger.audit"
BUDGETS: Final = "budgets"
OPERATIONS_TOTALS: Final = "operations/totals"


def booked_collections(user: str) -> list[str]:
    """The collections of a user's outputs in the order of their kinds, which is the order of their records."""
    places = [(group, f"{root}/{user}/{group}") for root, groups in BOOKED_ROOTS.items() for group in groups]
    return [place for _, place in sorted(places)]


def booked_document(user: str, kind: str, identifier: str) -> str | None:
    """The document of an output; None for a kind that is no document's."""
    root = next((root for root, groups in BOOKED_ROOTS.items() if kind in groups), None)
    return f"{root}/{user}/{kind}/{identifier}" if root else None


def parse_booked(path: str) -> tuple[str, str, str] | None:
    """User, kind and id of a document that is booked; None for any other."""
    match path.split("/"):
        case [root, user, kind, identifier] if kind in BOOKED_ROOTS.get(root, ()):
            return user, kind, identifier
    return None


def books_path(user: str) -> str:
    return f"{BOOKS}/{user}"


def buckets_path(user: str) -> str:
    """The collection into which a hot user's bookings are spread."""
    return f"{BOOKS}/{user}/{BUCKETS}"


def bucket_path(user: str, number: int) -> str:
    return f"{buckets_path(user)}/{number:06d}"


def user_of_bucket(path: str) -> str | None:
    """Whose bucket stands at a path; None where none belongs."""
    match path.split("/"):
        case [root, user, group, _] if (root, group) == (BOOKS, BUCKETS):
            return user
    return None


def days_path(user: str) -> str:
    """The collection of a user's closed days."""
    return f"{BOOKS}/{user}/days"


def day_path(user: str, day: str) -> str:
    return f"{days_path(user)}/{day}"


def ledger_records_path(user: str) -> str:
    """The collection of the ledger's records, one for each output of a user."""
    return f"{BOOKS}/{user}/records"


def ledger_record_path(user: str, kind: str, identifier: str) -> str:
    """The ledger's record of one output; ids too long to carry the kind as well are hashed."""
    name = f"{kind}~{identifier}"
    if len(name.encode()) > DOCUMENT_ID_LIMIT_BYTES:
        name = f"{kind}-long~{hashlib.sha256(identifier.encode()).hexdigest()}"
    return f"{ledger_records_path(user)}/{name}"


def published_path(user: str) -> str:
    """Where it is kept how much of a user's live books the operators' view has been given."""
    return f"{BOOKS}/{user}/published/operations"


def repairs_path(user: str) -> str:
    """Where the audit counts its repairs of a user's books."""
    return f"{BOOKS}/{user}/repairs/books"


def operations_day(day: str) -> str:
    return f"operations/days/totals/{day}"


def code_output_path(user: str, name: str) -> str:
    """A version as the output that the ledger books."""
    return f"ai_outputs/{user}/code/{name}"


def budget_path(user: str) -> str:
    return f"{BUDGETS}/{user}"


def reservation_path(user: str, name: str) -> str:
    """What is reserved of a budget for one piece of work."""
    return f"{BUDGETS}/{user}/reservations/{name}"
