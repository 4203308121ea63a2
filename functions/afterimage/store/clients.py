"""The stores and the clients behind them: made once, at first use, and kept for the life of the process.

Nothing is made at import: a client starts threads and channels, which must not exist before a process forks, and
costs a cold start that does not need it. A process that has just started may be given twenty events at once, which all
ask for the same client; one of them makes it and the others wait. Whatever goes wrong meanwhile is counted as
transient, because it says nothing about the event: the platform delivers the event again, and nobody buries it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

from afterimage.faults import TransientError
from afterimage.made_once import made_once
from afterimage.settings import Settings, read_settings

if TYPE_CHECKING:
    from firebase_admin import App as FirebaseApp
    from google.cloud.firestore_v1 import Client as FirestoreClient
    from google.cloud.pubsub_v1 import PublisherClient
    from google.cloud.storage import Client as StorageClient

    from afterimage.store.cloud_files import CloudFiles
    from afterimage.store.cloud_links import CloudLinks
    from afterimage.store.firestore_documents import FirestoreDocuments

T = TypeVar("T")


def _client(make: Callable[[], T]) -> Callable[[], T]:
    @wraps(make)
    def attempt() -> T:
        try:
            return make()
        except Exception as error:
            # Every kind: credentials, network, imports and settings fail each in their library's own way.
            raise TransientError(f"no client for `{make.__name__}`: {type(error).__name__}: {error}") from error

    return made_once(attempt)


@made_once
def settings() -> Settings:
    return read_settings()


@_client
def storage() -> StorageClient:
    from google.cloud.storage import Client

    return Client(project=settings().project_id)


@_client
def firebase_app() -> FirebaseApp:
    import firebase_admin

    try:
        return firebase_admin.get_app()
    except ValueError:  # there is none yet
        return firebase_admin.initialize_app(options={"projectId": settings().project_id})


@_client
def firestore() -> FirestoreClient:
    from firebase_admin import firestore as admin_firestore

    return admin_firestore.client(firebase_app())


@_client
def publisher() -> PublisherClient:
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()


@made_once
def documents() -> FirestoreDocuments:
    # Imported here: the client is most of a cold start, and belongs to the first event.
    client = firestore()
    from afterimage.store.firestore_documents import FirestoreDocuments

    return FirestoreDocuments(client)


@made_once
def files() -> CloudFiles:
    client = storage()
    from afterimage.store.cloud_files import CloudFiles

    return CloudFiles(client)


@_client
def links() -> CloudLinks:
    import google.auth

    from afterimage.store.cloud_links import CloudLinks

    # Asked for apart from the client's: beside an emulator that one has none.
    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return CloudLinks(storage(), credentials)
