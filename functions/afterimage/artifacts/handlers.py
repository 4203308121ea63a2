"""What storage events call, and how saved files are composed over the cloud's stores, once for each process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from afterimage.artifacts.arrivals import Arrivals
from afterimage.artifacts.collector import Collector
from afterimage.artifacts.content_bytes import ContentBytes
from afterimage.artifacts.library import Library
from afterimage.artifacts.uploads import Uploads
from afterimage.artifacts.versions import Versions
from afterimage.delivery.events import ObjectEvent
from afterimage.made_once import made_once
from afterimage.settings import Settings
from afterimage.store import clients
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore
from afterimage.store.links import FileLinks

logger = logging.getLogger("afterimage.artifacts")


def artifact_arrived(event: ObjectEvent) -> None:
    arrival = collector().arrivals.finalized(event.bucket, event.name, event.generation)
    logger.info("finalized `%s` generation %d: %s", event.name, event.generation, arrival)


def artifact_gone(event: ObjectEvent) -> None:
    arrival = collector().arrivals.deleted(event.bucket, event.name, event.generation)
    logger.info("deleted `%s` generation %d: %s", event.name, event.generation, arrival)


def library_over(
    documents: DocumentStore,
    files: FileStore,
    settings: Settings,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Library:
    """Saved files over any stores."""
    contents = ContentBytes(files=files, bucket=settings.originals_bucket, pack_from_bytes=settings.pack_from_bytes)
    versions = Versions(
        documents=documents,
        contents=contents,
        quota_bytes=settings.quota_bytes,
        now=now,
        notes_drive=settings.drive is not None,
    )
    return Library(versions=versions, most_bytes=settings.most_file_bytes)


def collector_over(library: Library, links: FileLinks) -> Collector:
    return Collector(arrivals=Arrivals(uploads=Uploads(library=library, links=links)))


@made_once
def collector() -> Collector:
    """With everything beneath it: arrivals, uploads, the library."""
    library = library_over(clients.documents(), clients.files(), clients.settings())
    return collector_over(library, clients.links())
