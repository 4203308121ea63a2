"""What handlers reach beyond their request: stores, settings, the clock. Each is made at its first use.

`cloud_services()` composes them for Firebase. Another home of the API composes its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from afterimage.api.admission.tokens import FirebaseTokens
from afterimage.settings import Settings
from afterimage.store import clients
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore
from afterimage.store.links import FileLinks


@dataclass(frozen=True, kw_only=True)
class Services:
    """The collaborators of every handler."""

    documents: Callable[[], DocumentStore]
    files: Callable[[], FileStore]
    links: Callable[[], FileLinks]
    settings: Callable[[], Settings]
    tokens: FirebaseTokens
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def cloud_services() -> Services:
    return Services(
        documents=clients.documents,
        files=clients.files,
        links=clients.links,
        settings=clients.settings,
        tokens=FirebaseTokens(),
    )
