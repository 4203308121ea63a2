"""What handlers reach beyond their request: stores, settings, the clock. Each is made at its first use.

`cloud_services()` composes them for Firebase. Another home of the API composes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from afterimage.api.admission.tokens import CallerTokens, FirebaseTokens
from afterimage.api.errors import ApiError, ErrorCode
from afterimage.delivery.messages import publish
from afterimage.edges.generators import generator_of
from afterimage.generations.generator import Generator
from afterimage.generations.records import VersionKey
from afterimage.generations.tasks import enqueue
from afterimage.generations.templates import TemplateGenerator
from afterimage.ledger.prices.pricing import Prices
from afterimage.made_once import made_once
from afterimage.settings import Settings
from afterimage.store import clients
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore
from afterimage.store.links import FileLinks

if TYPE_CHECKING:
    from afterimage.edges.drive.links.links import DriveLinks


def no_jobs(topic: str, _body: Mapping[str, Any]) -> None:
    """A home of the API that has no topics says so, instead of taking what nobody will do."""
    raise ApiError(
        ErrorCode.UNAVAILABLE, f"`{topic}` is a job of the cloud, and none runs here", "ask the deployed API"
    )


@dataclass(frozen=True, kw_only=True)
class Services:
    """The collaborators of every handler."""

    documents: Callable[[], DocumentStore]
    files: Callable[[], FileStore]
    links: Callable[[], FileLinks]
    settings: Callable[[], Settings]
    tokens: CallerTokens
    generator: Callable[[], Generator] = TemplateGenerator
    enqueue: Callable[[VersionKey], None] = enqueue
    """Hands a version to the queue; one that is there already stays as it is."""
    publish: Callable[[str, Mapping[str, Any]], None] = no_jobs
    """Starts a job by a message on its topic."""
    prices: Callable[[], Prices] = Prices
    drive: Callable[[], DriveLinks | None] = lambda: None
    """None: users cannot link a Google Drive."""
    is_in_cloud: bool = True
    """Whether what is stored here is, or will be, in a cloud as well."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def cloud_services() -> Services:
    return Services(
        documents=clients.documents,
        files=clients.files,
        links=clients.links,
        settings=clients.settings,
        tokens=FirebaseTokens(),
        generator=made_once(lambda: generator_of(clients.settings())),
        publish=publish,
        prices=made_once(Prices),
        drive=made_once(_drive),
    )


def _drive() -> DriveLinks | None:
    # Imported here: most requests have nothing to do with Google, and its clients are a good part of a cold start.
    from afterimage.edges.drive.composition import drive_links_over

    return drive_links_over(clients.documents(), clients.settings())
