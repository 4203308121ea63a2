"""Signed URLs of archives: made at a read, good for an hour, kept in memory for half of it, stored nowhere."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from afterimage.generations.records import Archive

if TYPE_CHECKING:
    from google.cloud.storage import Client

LIFETIME: Final = timedelta(hours=1)
MOST_KEPT: Final = 5_000
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"


class SignedUrls:
    """Signs with the key of the account where there is one; in the cloud there is none, and IAM signs (`signBlob`)."""

    def __init__(self, client: Callable[[], Client], now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._lock = threading.Lock()
        self._kept: OrderedDict[Archive, tuple[str, datetime]] = OrderedDict()
        self._credentials: Any = None

    def url_of(self, archive: Archive) -> str:
        """A V4 URL of exactly this generation of the archive, good for at least half an hour."""
        now = self._now()
        with self._lock:
            kept = self._kept.get(archive)
        if kept is not None and now < kept[1] + LIFETIME / 2:
            return kept[0]
        url = self._signed(archive)
        with self._lock:
            self._kept[archive] = (url, now)
            self._kept.move_to_end(archive)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return url

    def _signed(self, archive: Archive) -> str:
        blob = self._client().bucket(archive.bucket).blob(archive.name)
        url: str = blob.generate_signed_url(
            version="v4",
            expiration=LIFETIME,
            method="GET",
            generation=archive.generation,
            scheme="https",
            **self._signer(),
        )
        return url

    def _signer(self) -> dict[str, Any]:
        import google.auth
        import google.auth.credentials
        import google.auth.transport.requests

        with self._lock:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[_SCOPE])
            credentials = self._credentials
            if isinstance(credentials, google.auth.credentials.Signing):
                return {"credentials": credentials}
            if not credentials.valid:
                credentials.refresh(google.auth.transport.requests.Request())
        return {
            "credentials": credentials,
            "service_account_email": credentials.service_account_email,
            "access_token": credentials.token,
        }
