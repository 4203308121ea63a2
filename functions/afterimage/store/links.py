"""The port for links: addresses by which a client moves bytes itself, each good for one thing and for a while.

`store/cloud_links.py` is the real one, `store/memory_links.py` its double in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class FileLink:
    """What a client sends, and where to. Whoever has it can do that one thing, so it is stored nowhere."""

    url: str
    method: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent exactly so, or the link is refused."""
    expires_at: datetime


class FileLinks(Protocol):
    """Makes links."""

    def download(self, bucket: str, name: str, *, shown_as: str, content_type: str) -> FileLink:
        """Reads a file, which a browser then saves under the name `shown_as` and never runs."""
        ...

    def download_generation(self, bucket: str, name: str, generation: int) -> FileLink:
        """Reads exactly this generation of a file, as it is stored."""
        ...

    def start_upload(self, bucket: str, name: str, *, size: int, content_type: str) -> FileLink:
        """Starts a resumable upload of exactly so many bytes of that type, where there is no file yet.

        The answer's `Location` then takes the bytes, in pieces, and says how many have come.
        """
        ...
