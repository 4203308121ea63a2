"""Addresses where a cloud stands behind: the cloud's own once it has confirmed a file, this machine's until then."""

from __future__ import annotations

import logging
from collections.abc import Callable

from afterimage.store.files import StoredFile
from afterimage.store.links import FileLink, FileLinks
from afterimage_server.doors.signed_addresses import LocalLinks
from afterimage_server.store.folder_files import FolderFiles

logger = logging.getLogger("afterimage_server.cloud")


class CloudFirstLinks:
    """Makes each address by whoever has the bytes."""

    def __init__(self, local: LocalLinks, cloud: Callable[[], FileLinks], files: FolderFiles) -> None:
        self._local = local
        self._cloud = cloud
        self._files = files

    def download(self, bucket: str, name: str, *, shown_as: str, content_type: str) -> FileLink:
        file = self._files.find(bucket, name)
        if file is not None and self._files.cloud_generation(file):
            there = self._tried(
                file, lambda: self._cloud().download(bucket, name, shown_as=shown_as, content_type=content_type)
            )
            if there is not None:
                return there
        return self._local.download(bucket, name, shown_as=shown_as, content_type=content_type)

    def download_generation(self, bucket: str, name: str, generation: int) -> FileLink:
        file = self._files.find(bucket, name)
        known = self._files.cloud_generation(file) if file is not None and file.generation == generation else 0
        if file is not None and known:
            there = self._tried(file, lambda: self._cloud().download_generation(bucket, name, known))
            if there is not None:
                return there
        return self._local.download_generation(bucket, name, generation)

    def start_upload(self, bucket: str, name: str, *, size: int, content_type: str) -> FileLink:
        return self._local.start_upload(bucket, name, size=size, content_type=content_type)

    def _tried(self, file: StoredFile, make: Callable[[], FileLink]) -> FileLink | None:
        try:
            return make()
        except Exception as error:
            # Every kind: without the network nobody signs, and the bytes are here.
            logger.info("no signed address of `%s` now: %s", file.name, error)
            return None
