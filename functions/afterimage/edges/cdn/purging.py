"""Making caches forget: takes the notes that are due, as many as one request holds, and notes how it went.

A purge that fails stays noted, with what was said, and is due again later; nothing is ever given up. A note may be
purged more often than it had to be (two instances at once, a death before the result was noted), never less.

Notes are taken in the order in which they came, and name nobody: one user can publish and take back more files than a
network takes tags. So a queue that grows too long is ended by forgetting everything, and nobody waits behind another.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterimage.edges.cdn.port import CdnBusyError, CdnProvider, CdnRefusedError
from afterimage.edges.cdn.tokens import SharedTokens
from afterimage.paths import PURGES
from afterimage.publications.purge_notes import EVERYTHING, cache_tag, postponed, purged
from afterimage.settings import KEEP_FINISHED_FOR
from afterimage.store.documents import MOST_WRITES, ConflictError, Document, DocumentStore, Query, Replace, Where

logger = logging.getLogger("afterimage.cdn")
_PAGE: Final = 500
_MOST_WAITING: Final = timedelta(minutes=2)
"""For how long more than one request holds may wait; then all is forgotten at once, by one tag."""
_MOST_AT_ONCE: Final = 5000
"""Notes that are read for such a request, and written after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PurgeRound:
    """What one request came to."""

    found: int = 0
    purged: int = 0
    postponed: int = 0
    wait: timedelta = timedelta()
    """Where there were too few tokens: how long until there are enough."""

    @property
    def is_last(self) -> bool:
        """Whether going on at once would find nothing, or be refused."""
        return self.purged == 0


@dataclass(frozen=True, kw_only=True)
class Purger:
    """Purges what is noted, within what the network takes."""

    documents: DocumentStore
    provider: CdnProvider
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    keep_for: timedelta = KEEP_FINISHED_FOR

    def run(self) -> PurgeRound:
        """One request at most."""
        limits = self.provider.limits
        now = self.now()
        is_due = Where(field="due_at", comparison="<=", value=now)
        most = min(limits.most_tags, _PAGE, limits.burst if limits.counts_tags else _PAGE)
        due = self.documents.find(Query(collection=PURGES, where=(is_due,), order_by="due_at", limit=most))
        if not due:
            return PurgeRound()
        tags = sorted({note.fields["tag"] for note in due})
        if len(due) == most and now - due[0].fields["due_at"] > _MOST_WAITING:
            # Read before the purge: what is noted while it runs is written anew, or is not among these.
            due = self.documents.find(Query(collection=PURGES, where=(is_due,), order_by="due_at", limit=_MOST_AT_ONCE))
            tags = [cache_tag(EVERYTHING)]
        bucket = SharedTokens(documents=self.documents, provider=self.provider.name, limits=limits, now=self.now)
        wait = bucket.take(len(tags) if limits.counts_tags else 1)
        if wait:
            logger.info("%d purges wait %.0f seconds for `%s`", len(due), wait.total_seconds(), self.provider.name)
            return PurgeRound(found=len(due), wait=wait)
        if tags == [cache_tag(EVERYTHING)] and len(due) > 1:
            logger.warning("%d purges have waited too long: everything is forgotten instead", len(due))
        try:
            receipt = self.provider.purge(tags, _key_of(due))
        except (CdnBusyError, CdnRefusedError) as error:
            wanted = error.retry_after if isinstance(error, CdnBusyError) else None
            level = logging.WARNING if isinstance(error, CdnBusyError) else logging.ERROR
            logger.log(level, "%d purges failed and are tried again: %s", len(due), error)
            self._note([(note, postponed(note.fields, str(error), now, wait=wanted)) for note in due])
            return PurgeRound(found=len(due), postponed=len(due))
        logger.info("purged %d tags: %s", len(tags), receipt)
        self._note([(note, purged(note.fields, receipt, now, self.keep_for)) for note in due])
        return PurgeRound(found=len(due), purged=len(due))

    def _note(self, results: Sequence[tuple[Document, dict[str, Any]]]) -> None:
        """Writes how it went; a note that was written anew meanwhile is about a later withdrawal, and stays due."""
        writes = [Replace(path=note.path, fields=fields, expected=note.version) for note, fields in results]
        for start in range(0, len(writes), MOST_WRITES):
            part = writes[start : start + MOST_WRITES]
            try:
                self.documents.commit(part)
            except ConflictError:
                for write in part:
                    try:
                        self.documents.commit([write])
                    except ConflictError:
                        logger.info("`%s` was noted anew meanwhile", write.path)


def _key_of(due: Sequence[Document]) -> str:
    """Names the request: a repetition whose answer was lost is the same request, a second pass is another."""
    parts = sorted(f"{note.fields['tag']} {note.fields['noted_at']} {note.fields['passes']}" for note in due)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
