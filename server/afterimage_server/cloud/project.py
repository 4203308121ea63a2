"""The project behind one machine, through the official clients: each made once, at its first use."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from afterimage.made_once import made_once
from afterimage.settings import SettingsError
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore
from afterimage.store.links import FileLinks


@dataclass(frozen=True, kw_only=True)
class CloudProject:
    """Stores and links in the cloud."""

    files: Callable[[], FileStore]
    documents: Callable[[], DocumentStore]
    links: Callable[[], FileLinks]


def cloud_project(project_id: str) -> CloudProject:
    """By the account of FIREBASE_SERVICE_ACCOUNT_KEY, a path or the JSON itself; else by the machine's own."""
    account = os.environ.get("FIREBASE_SERVICE_ACCOUNT_KEY", "").strip()

    @made_once
    def storage_client() -> Any:
        from google.cloud.storage import Client

        return Client(project=project_id, credentials=account_credentials(account))

    def files() -> FileStore:
        from afterimage.store.cloud_files import CloudFiles

        return CloudFiles(storage_client())

    def documents() -> DocumentStore:
        from google.cloud.firestore import Client

        from afterimage.store.firestore_documents import FirestoreDocuments

        return FirestoreDocuments(Client(project=project_id, credentials=account_credentials(account)))

    def links() -> FileLinks:
        import google.auth

        from afterimage.store.cloud_links import CloudLinks

        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        credentials = account_credentials(account) or google.auth.default(scopes=scopes)[0]
        return CloudLinks(storage_client(), credentials)

    return CloudProject(files=made_once(files), documents=made_once(documents), links=made_once(links))


def account_credentials(account: str) -> Any:
    """Of a path or the JSON itself; None where neither is given."""
    if not account:
        return None
    from google.oauth2 import service_account

    try:
        if account.startswith("{"):
            return service_account.Credentials.from_service_account_info(json.loads(account))
        return service_account.Credentials.from_service_account_file(account)
    except (OSError, ValueError) as error:
        # Never the text itself: it may be the key.
        raise SettingsError(
            "FIREBASE_SERVICE_ACCOUNT_KEY holds no service account: give the path of its key file, or the JSON"
        ) from error
