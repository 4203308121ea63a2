"""Whose a campaign is, kept beside it and for good: the security rules let nobody else bring a deleted one back.

What is kept follows the campaign's last write, whatever order events come in, and whether a client or a server deleted
it. A client may keep it too, with the commit that deletes the campaign; then the rules have compared it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from afterimage.delivery.document_changes import DocumentChange
from afterimage.delivery.events import DocumentEvent
from afterimage.faults import TransientError
from afterimage.paths import campaign_owners_path
from afterimage.store import clients
from afterimage.store.documents import ConflictError, Document, DocumentStore, compare_and_set

logger = logging.getLogger("afterimage.campaigns")

_ROUNDS: Final = 8
"""How often a lost race is run again before the platform is asked to deliver later."""


def campaign_written(event: DocumentEvent) -> None:
    if keep_owners(clients.documents(), event.change):
        logger.info("kept whose `%s` is", event.change.path)


def keep_owners(documents: DocumentStore, change: DocumentChange) -> bool:
    """Keeps whose a campaign is, as it is now or was last; says whether that had to be written.

    A campaign that names nobody, before and after, costs no look-up: those of clients without membership never do.
    """
    if not owners_of(change.before or {}) and not owners_of(change.after or {}):
        return False
    path = campaign_owners_path(change.path)
    for _ in range(_ROUNDS):
        # First what is kept: if it changes while the campaign is looked at, the write fails and all is read again.
        kept = documents.read(path)
        fields, version = _latest(documents.read(change.path), change)
        if kept is not None and _version_of(kept) >= version:
            return False
        try:
            compare_and_set(documents, path, {**owners_of(fields), "version": version}, kept)
            return True
        except ConflictError:
            continue
    raise TransientError(f"`{path}` is contended; deliver again")


def owners_of(campaign: Mapping[str, Any]) -> dict[str, Any]:
    """The owner and the members that a campaign names; what is no text is nobody."""
    found: dict[str, Any] = {}
    if isinstance(campaign.get("ownerId"), str):
        found["ownerId"] = campaign["ownerId"]
    if isinstance(campaign.get("members"), list):
        found["members"] = [member for member in campaign["members"] if isinstance(member, str)]
    return found


def _latest(campaign: Document | None, change: DocumentChange) -> tuple[Mapping[str, Any], int]:
    """The campaign as it is and when it was written; where it is gone, as the event shows it last."""
    if campaign is None:
        return change.after or change.before or {}, change.version
    return campaign.fields, campaign.updated


def _version_of(kept: Document) -> int:
    """Which write of the campaign it is about. A client keeps it as the campaign is deleted, later than any write."""
    stated = kept.fields.get("version")
    return stated if isinstance(stated, int) else kept.updated
