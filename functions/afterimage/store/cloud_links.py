"""Links to files in Cloud Storage: V4 signatures, by a key where there is one, else by IAM on the account's behalf."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from afterimage.store.links import FileLink

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client

LINK_LIFETIME: Final = timedelta(hours=1)
MOST_CACHED: Final = 5_000
_ANSWERED_AS: Final = "attachment; filename*=UTF-8''{}"


class CloudLinks:
    """Makes links as the account that the credentials are for. Links to read are made again at half their life."""

    def __init__(
        self,
        client: Client,
        credentials: Credentials,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._now = now
        self._made: OrderedDict[tuple[object, ...], FileLink] = OrderedDict()
        self._lock = threading.Lock()
        self._renewal = threading.Lock()
        """Another than the cache's: nobody who finds a link waits for the network."""

    def download(self, bucket: str, name: str, *, shown_as: str, content_type: str) -> FileLink:
        shown = _ANSWERED_AS.format(quote(shown_as, safe=""))
        return self._to_read(bucket, name, response_disposition=shown, response_type=content_type)

    def download_generation(self, bucket: str, name: str, generation: int) -> FileLink:
        return self._to_read(bucket, name, generation=generation)

    def start_upload(self, bucket: str, name: str, *, size: int, content_type: str) -> FileLink:
        limits = {
            "content-type": content_type,
            "x-goog-if-generation-match": "0",
            "x-goog-content-length-range": f"{size},{size}",
        }
        return self._signed(bucket, name, method="RESUMABLE", headers=limits)

    def _to_read(self, bucket: str, name: str, **options: Any) -> FileLink:
        key = (bucket, name, *options.items())
        with self._lock:
            known = self._made.get(key)
        if known is not None and known.expires_at - self._now() > LINK_LIFETIME / 2:
            return known
        link = self._signed(bucket, name, method="GET", **options)
        with self._lock:
            self._made[key] = link
            self._made.move_to_end(key)
            while len(self._made) > MOST_CACHED:
                self._made.popitem(last=False)
        return link

    def _signed(self, bucket: str, name: str, *, method: str, **options: Any) -> FileLink:
        expires_at = self._now() + LINK_LIFETIME
        # Left to itself, the client takes the moment from a clock of its own.
        url = self._client.bucket(bucket).blob(name).generate_signed_url(
            version="v4", expiration=LINK_LIFETIME, method=method, **options, **self._signer()
        )  # fmt: skip
        headers = dict(options.get("headers", {}))
        if method == "RESUMABLE":
            return FileLink(
                url=url, method="POST", headers=headers | {"x-goog-resumable": "start"}, expires_at=expires_at
            )
        return FileLink(url=url, method=method, headers=headers, expires_at=expires_at)

    def _signer(self) -> dict[str, Any]:
        from google.auth.credentials import Signing

        if isinstance(self._credentials, Signing):
            return {"credentials": self._credentials}
        # No key at hand, as on Google's machines: IAM signs for the account, with the account's own token.
        from google.auth.transport.requests import Request

        credentials: Any = self._credentials
        with self._renewal:
            if not credentials.valid:
                credentials.refresh(Request())
        return {"service_account_email": credentials.service_account_email, "access_token": credentials.token}
