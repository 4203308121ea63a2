"""What the network has served, in the operators' books: a document a day, written over as figures grow."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import Final

from afterimage.edges.cdn.port import CdnProvider, UsageUnknownError
from afterimage.paths import cdn_day
from afterimage.store.documents import DocumentStore, Expect, Replace

logger = logging.getLogger("afterimage.cdn")
_DAYS: Final = 2
"""A network's figures of yesterday may still grow; those of the day before have settled."""


def book_usage(provider: CdnProvider, documents: DocumentStore, today: date) -> None:
    """Writes the days that are over; a network that does not tell leaves none, and says so in the log."""
    for back in range(1, _DAYS + 1):
        day = today - timedelta(days=back)
        try:
            usage = provider.usage(day)
        except UsageUnknownError as error:
            logger.info("no usage of %s: %s", day, error)
            return
        fields = {
            "provider": provider.name,
            "requests": usage.requests,
            "bytes": usage.bytes_served,
            "cached_requests": usage.cached_requests,
            "cached_bytes": usage.cached_bytes,
            "hit_rate": usage.hit_rate,
        }
        path = cdn_day(day.isoformat())
        documents.commit([Replace(path=path, fields=fields, expected=Expect.ANYTHING, server_times=("told_at",))])
