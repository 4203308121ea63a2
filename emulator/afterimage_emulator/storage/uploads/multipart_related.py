"""Reads multipart/related uploads as they arrive: one part of JSON, then one of media, never whole in memory."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.uploads.bounded_body import HEAD_LIMIT_BYTES, BoundedBody

_METADATA_LIMIT_BYTES: Final = 1024 * 1024
_BOUNDARY = re.compile(r""";\s*boundary\s*=\s*(?:"([^"]{1,200})"|'([^']{1,200})'|([^\s;,"']{1,200}))""", re.IGNORECASE)


def boundary_of(content_type: str | None) -> bytes:
    """From `multipart/related; boundary=…`; some clients quote it, some do not."""
    found = _BOUNDARY.search(content_type or "")
    if not (content_type or "").lower().lstrip().startswith("multipart/") or found is None:
        raise invalid(f"Invalid multipart request: `{content_type}` is no multipart/related with a boundary")
    return next(group for group in found.groups() if group is not None).encode("latin-1")


class MultipartRelated:
    """First `metadata()`, then `media_type`, then `media()`."""

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        self._body = BoundedBody(body, boundary, kind="multipart request", too_large=_too_large)
        self.media_type: str | None = None

    async def metadata(self) -> dict[str, object]:
        await self._body.read_until(self._body.mark, HEAD_LIMIT_BYTES)
        await self._part_head()
        raw = await self._body.read_until(self._body.mark, _METADATA_LIMIT_BYTES)
        self.media_type = await self._part_head()
        try:
            metadata = read_json(raw) if raw.strip() else {}
        except UnreadableJsonError as error:
            raise invalid(f"Invalid multipart request: its first part is not JSON: {error}") from None
        if not isinstance(metadata, dict):
            raise invalid("Invalid multipart request: its first part must be a JSON object")
        return metadata

    def media(self) -> AsyncIterator[bytes]:
        """Up to the closing boundary."""
        return self._body.content()

    # -- inside

    async def _part_head(self) -> str | None:
        """The part's Content-Type; a boundary that closes the body here comes too early."""
        if await self._body.is_over():
            raise invalid("Invalid multipart request: it must have two parts, JSON metadata and then the media")
        if self._body.skip_empty_head():
            return None
        head = await self._body.head()
        for line in head.split(b"\r\n"):
            name, found, value = line.partition(b":")
            if found and name.strip().lower() == b"content-type":
                return value.strip().decode("latin-1")
        return None


def _too_large(limit_bytes: int) -> StorageError:
    return StorageError(Reason.TOO_LARGE, f"Invalid multipart request: a head larger than {limit_bytes} bytes")
