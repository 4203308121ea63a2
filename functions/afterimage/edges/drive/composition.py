"""How links and their queue are composed over any stores, from the settings: Google's addresses, the keeper of keys."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from afterimage.artifacts.handlers import library_over
from afterimage.edges.drive.google.google_oauth import GoogleOAuth
from afterimage.edges.drive.keys.key_file import read_key_file
from afterimage.edges.drive.keys.sealing import KeyKeeper, Sealer
from afterimage.edges.drive.links.links import PROVIDER, DriveLinks
from afterimage.edges.drive.mirroring.mirror_work import MirrorTools
from afterimage.edges.drive.mirroring.queue import DriveQueue
from afterimage.made_once import made_once
from afterimage.settings import DriveSettings, Settings, SettingsError
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore


def drive_links_over(documents: DocumentStore, settings: Settings) -> DriveLinks | None:
    """None where no Drive can be linked."""
    drive = settings.drive
    if drive is None:
        return None
    if not drive.client_secret:
        raise SettingsError("GOOGLE_CLIENT_ID is set: set the secret GOOGLE_CLIENT_SECRET too")
    oauth = GoogleOAuth(
        client_id=drive.client_id,
        client_secret=drive.client_secret,
        redirect_uri=drive.redirect_uri,
        authorize_url=drive.consent_url,
        oauth_api=drive.oauth_url,
    )
    sealer = Sealer(keeper=key_keeper(drive), provider=PROVIDER)
    return DriveLinks(documents=documents, oauth=oauth, sealer=sealer, api_root=drive.api_url)


def drive_queue_over(documents: DocumentStore, files: FileStore, settings: Settings) -> DriveQueue | None:
    """The queue, which a loop or triggers call; None where no Drive can be linked."""
    links = drive_links_over(documents, settings)
    if links is None:
        return None
    contents = library_over(documents, files, settings).versions.contents
    return DriveQueue(tools=MirrorTools(documents=documents, links=links, contents=contents))


def key_keeper(drive: DriveSettings) -> KeyKeeper:
    """Cloud KMS where a key of it is named; otherwise a file of this machine."""
    if drive.key.startswith("projects/"):
        # Imported here: one machine with a key file need not have what only Cloud KMS asks for.
        from afterimage.edges.drive.keys.cloud_kms import CloudKms

        return CloudKms(name=drive.key, token=_own_tokens(), api=drive.kms_url)
    return read_key_file(Path(drive.key).expanduser())


def _own_tokens() -> Callable[[], str]:
    """Tokens of the account that this process runs as, looked up at the first use and renewed as they run out."""
    lock = threading.Lock()

    @made_once
    def account() -> Any:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError

        from afterimage.edges.drive.keys.cloud_kms import KMS_SCOPE

        try:
            return google.auth.default(scopes=[KMS_SCOPE])[0]
        except DefaultCredentialsError as error:
            raise SettingsError(
                "DRIVE_KEY names a key of Cloud KMS, and no account at Google is here to use it with: give this "
                "process one, or name a key file"
            ) from error

    def token() -> str:
        from google.auth.transport.requests import Request

        with lock:
            if not account().valid:
                account().refresh(Request())
            return str(account().token)

    return token
