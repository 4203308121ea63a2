"""The double of links: addresses that lead nowhere and say what they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from afterimage.store.links import FileLink
from afterimage.store.memory_documents import EPOCH


@dataclass
class MemoryLinks:
    """Links by what they were asked for."""

    clock: Callable[[], datetime] = lambda: EPOCH

    def download(self, bucket: str, name: str, *, shown_as: str, content_type: str) -> FileLink:
        url = f"memory://{bucket}/{name}?as={shown_as}&type={content_type}"
        return FileLink(url=url, method="GET", expires_at=self.clock() + timedelta(hours=1))

    def download_generation(self, bucket: str, name: str, generation: int) -> FileLink:
        url = f"memory://{bucket}/{name}?generation={generation}"
        return FileLink(url=url, method="GET", expires_at=self.clock() + timedelta(hours=1))

    def start_upload(self, bucket: str, name: str, *, size: int, content_type: str) -> FileLink:
        headers = {"content-type": content_type, "x-goog-content-length-range": f"{size},{size}"}
        url = f"memory://{bucket}/{name}"
        return FileLink(url=url, method="POST", headers=headers, expires_at=self.clock() + timedelta(hours=1))
