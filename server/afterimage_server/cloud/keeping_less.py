"""Bytes that the cloud has too: let go of when they are old, and brought back for whoever reads them.

Never what has not been confirmed there, what is pinned, or the newest of anything.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from afterimage.artifacts.heads import head_in
from afterimage.paths import (
    USERS,
    USERS_GENERATIONS,
    artifacts_path,
    blob_path,
    parse_artifact_file,
)
from afterimage.store.files import FileStore, GoneError, StoredFile
from afterimage_server.store.durable_files import flush_folder, make_private_folder
from afterimage_server.store.held_bytes import pieces_of, write_held
from afterimage_server.store.machine_folder import MachineFolder

_PAGE: Final = 200


@dataclass(frozen=True, kw_only=True)
class KeepingLess:
    """One folder, its cache, and the cloud behind."""

    folder: MachineFolder
    files: Callable[[], FileStore]
    cache_folder: Path
    older_than: timedelta
    clock: Callable[[], float] = time.time

    def let_go_of_old_bytes(self) -> int:
        """Says of how many files."""
        before = int((self.clock() - self.older_than.total_seconds()) * 1_000_000)
        old = self.folder.files.confirmed_before(before)
        kept = self._kept(old)
        return sum(self.folder.keeping.send_away(file) for file in old if file.name not in kept)

    def bring_back(self, file: StoredFile) -> Path:
        """The bytes of a file that was let go of, as a file of the cache, laid out and sealed as they were here."""
        held = self.folder.files.held_id(file)
        path = self.cache_folder / held
        if path.exists():
            os.utime(path)
            return path
        there = self.files().find(file.bucket, file.name)
        if there is None or there.generation != self.folder.files.cloud_generation(file):
            raise GoneError(f"{file.bucket}/{file.name}")
        data = self.files().read(there)
        make_private_folder(self.cache_folder)
        part = self.folder.files.parts / f"{held}.{time.monotonic_ns()}"
        write_held(part, pieces_of(data), {"bucket": file.bucket, "name": file.name}, self.folder.vault, packs=False)
        os.replace(part, path)
        flush_folder(self.cache_folder)
        try:
            self.folder.files.held_id(file)
        except GoneError:
            # Deleted while its bytes came: whoever emptied the cache of them did not see these.
            path.unlink(missing_ok=True)
            raise
        return path

    def _kept(self, files: list[StoredFile]) -> set[str]:
        """Names of files that stay, however old."""
        users = {place.user for file in files if (place := parse_artifact_file(file.name)) is not None}
        kept = {name for user in users for name in self._kept_of(user)}
        if any(parse_artifact_file(file.name) is None for file in files):
            kept |= self._newest_archives()
        return kept

    def _kept_of(self, user: str) -> set[str]:
        kept: set[str] = set()
        after = ""
        while found := self.folder.documents.page(artifacts_path(user), after, _PAGE):
            after = found[-1].id
            for stored in found:
                head = head_in(stored)
                if head is not None:
                    staying = [head.newest, *(entry for entry in head.versions if entry.is_pinned)]
                    kept |= {blob_path(user, entry.digest) for entry in staying}
        return kept

    def _newest_archives(self) -> set[str]:
        kept: set[str] = set()
        after = ""
        while found := self.folder.documents.beneath(USERS, USERS_GENERATIONS, after=after, limit=_PAGE):
            after = found[-1].path
            kept |= {each.fields["archive"]["name"] for each in found if each.fields.get("archive")}
        return kept
