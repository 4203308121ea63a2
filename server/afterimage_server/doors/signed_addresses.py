"""Addresses of files on this machine: each good for one thing, signed, and until a moment that it names."""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

from afterimage.store.links import FileLink
from afterimage_client.database import Database
from afterimage_server.store.tables import noted

LIFETIME: Final = timedelta(hours=1)
FILES: Final = "/local/files/"
UPLOADS: Final = "/local/uploads/"
_KEY: Final = "address key"


class LocalLinks:
    """Makes addresses of this machine, and tells its own from any other."""

    def __init__(self, database: Database, base: Callable[[], str], *, clock: Callable[[], float] = time.time) -> None:
        self._key = _kept_key(database)
        self._base = base
        self._clock = clock

    # -- the port

    def download(self, bucket: str, name: str, *, shown_as: str, content_type: str) -> FileLink:
        return self._made("GET", FILES, bucket, name, {"as": shown_as, "type": content_type})

    def download_generation(self, bucket: str, name: str, generation: int) -> FileLink:
        return self._made("GET", FILES, bucket, name, {"generation": str(generation)})

    def start_upload(self, bucket: str, name: str, *, size: int, content_type: str) -> FileLink:
        asked = {"size": str(size), "type": content_type}
        return self._made("POST", UPLOADS, bucket, name, asked, headers={"content-type": content_type})

    # -- what the doors ask

    def is_ours(self, method: str, place: str, asked: Mapping[str, str]) -> bool:
        """Whether this machine made the address for exactly this, and its time has not run out."""
        said = dict(asked)
        signature, expires = said.pop("signature", ""), said.get("expires", "")
        if not hmac.compare_digest(signature.encode(), self._signature(method, place, said).encode()):
            return False
        return expires.isdigit() and len(expires) < 12 and int(expires) > self._clock()

    def address_of(self, path: str) -> str:
        return f"{self._base()}{path}"

    # -- within

    def _made(
        self,
        method: str,
        door: str,
        bucket: str,
        name: str,
        asked: dict[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> FileLink:
        # By the half hour: whoever asks twice is given one address, which is good for half an hour at least.
        half = int(LIFETIME.total_seconds()) // 2
        expires = (int(self._clock()) // half + 2) * half
        asked["expires"] = str(expires)
        place = f"{bucket}/{name}"
        asked["signature"] = self._signature(method, place, asked)
        url = f"{self._base()}{door}{quote(place, safe='/')}?{urlencode(asked, quote_via=quote)}"
        moment = datetime.fromtimestamp(expires, UTC)
        return FileLink(url=url, method=method, headers=dict(headers or {}), expires_at=moment)

    def _signature(self, method: str, place: str, asked: Mapping[str, str]) -> str:
        # Lengths stand before the parts: no two requests are one text.
        parts = [method, place, *(text for pair in sorted(asked.items()) for text in pair)]
        text = b"".join(b"%d:%s" % (len(part.encode()), part.encode()) for part in parts)
        return base64.urlsafe_b64encode(hmac.digest(self._key, text, "sha256")).rstrip(b"=").decode()


def _kept_key(database: Database) -> bytes:
    with database.transaction() as transaction:
        found = transaction.row("SELECT value FROM machine WHERE name = ?", (_KEY,))
        if found is not None:
            return bytes(found[0])
        key = secrets.token_bytes(32)
        noted(transaction, _KEY, key)
        return key
