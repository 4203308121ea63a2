"""What events about publications call: a mark that was written, and the nightly look at all of them."""

from __future__ import annotations

import logging

from afterimage.delivery.events import DocumentEvent, MessageEvent
from afterimage.delivery.messages import publish
from afterimage.made_once import made_once
from afterimage.paths import parse_published_mark
from afterimage.publications.publications import Publications
from afterimage.store import clients

logger = logging.getLogger("afterimage.publications")


@made_once
def publications() -> Publications:
    return Publications(documents=clients.documents(), has_cdn=bool(clients.settings().cdn_provider))


def mark_written(event: DocumentEvent) -> None:
    """An owner has published a file, or takes it back."""
    found = parse_published_mark(event.change.path)
    if found is not None:
        outcome = publications().settle(*found)
        logger.info("`%s`: %s", event.change.path, outcome)


def audit_publications(event: MessageEvent) -> None:
    from afterimage.jobs.take_turn import take_turn
    from afterimage.publications.audit import PublicationAudit

    take_turn("publications.audit", event, PublicationAudit(publications=publications()).turn)


def start_nightly_publications(event: object) -> None:
    """The schedule only publishes: one audit a day, however often the schedule fires for that day."""
    day = getattr(event, "schedule_time", None)
    publish("publications.audit", {"job": f"publications.audit-{day:%Y-%m-%d}"})
