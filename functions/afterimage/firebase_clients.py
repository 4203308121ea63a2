"""The clients of Cloud Storage, Firestore and Pub/Sub: built at first use and kept for the life of the process.

Nothing is built at import: a client starts threads and channels, which must not exist before a process forks, and
costs a cold start that does not need it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from afterimage.settings import Settings, read_settings

if TYPE_CHECKING:
    from google.cloud.firestore_v1 import Client as FirestoreClient
    from google.cloud.pubsub_v1 import PublisherClient
    from google.cloud.storage import Client as StorageClient


@cache
def settings() -> Settings:
    return read_settings()


@cache
def storage() -> StorageClient:
    from google.cloud.storage import Client

    return Client(project=settings().project_id)


@cache
def firestore() -> FirestoreClient:
    import firebase_admin
    from firebase_admin import firestore as admin_firestore

    try:
        app = firebase_admin.get_app()
    except ValueError:  # there is none yet
        app = firebase_admin.initialize_app(options={"projectId": settings().project_id})
    return admin_firestore.client(app)


@cache
def publisher() -> PublisherClient:
    from google.cloud.pubsub_v1 import PublisherClient

    return PublisherClient()
