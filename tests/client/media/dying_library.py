"""A process that moves files and kills itself when a transfer has come so far.

Run as `dying_library.py FOLDER PROJECT BUCKET SESSION BYTES`: killed once that many bytes of a transfer are known
to have gone; 0 is never killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from afterimage_client import FirebaseApp, FirebaseOptions
from afterimage_client.auth import FileStore
from afterimage_client.media import MediaCache, MediaTransfers
from afterimage_client.queue import Entry
from afterimage_client.storage import Progress
from afterimage_client.storage.transfers import OnProgress
from afterimage_client.store import Store


class DyingTransfers(MediaTransfers):
    """Dies as soon as a transfer is past `most` bytes."""

    most = 0

    def _reporter(self, entry: Entry) -> OnProgress:
        note = super()._reporter(entry)

        def report(progress: Progress) -> None:
            note(progress)
            if self.most and progress.transferred_bytes >= self.most:
                os.kill(os.getpid(), signal.SIGKILL)

        return report


async def main(folder: Path, project: str, bucket: str, session: str, most: int) -> None:
    options = FirebaseOptions(project_id=project, api_key="any", storage_bucket=bucket)
    async with FirebaseApp(options, session_store=FileStore(session)) as app:
        store = Store(folder / "shelf.db")
        cache = MediaCache(store)
        cache.repair()
        transfers = DyingTransfers(store, app.storage, cache, piece_bytes=256 * 1024)
        transfers.most = most
        await transfers.sync_all()
        store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])))
