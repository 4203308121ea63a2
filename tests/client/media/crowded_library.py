"""A library on a disk that is too small for its files, and has room later.

Run as `crowded_library.py FOLDER PROJECT BUCKET SESSION PATH`, with the folder on a small disk of its own, of which it
takes the most itself. It prints as JSON what it saw.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from afterimage_client import FirebaseApp, FirebaseOptions, StorageError
from afterimage_client.auth import FileStore
from afterimage_client.database.errors import StoreFullError
from afterimage_client.media import MediaLibrary
from afterimage_client.store import Store
from tests.client.quick_folder import files_in

MEGABYTE = 1024 * 1024


async def main(folder: Path, project: str, bucket: str, session: str, path: str) -> None:
    options = FirebaseOptions(project_id=project, api_key="any", storage_bucket=bucket)
    async with FirebaseApp(options, session_store=FileStore(session)) as app:
        store = Store(folder / "shelf.db")
        library = MediaLibrary(store, app)
        filler = folder / "filler"
        filler.write_bytes(bytes(5 * MEGABYTE))
        told: dict[str, object] = {}
        try:
            library.add("b", f"{path}-b", bytes(4 * MEGABYTE))
        except StoreFullError as error:
            told["add"] = str(error)
        entry = library.enqueue_download("a", path)
        assert entry is not None
        for _ in range(4):
            await library.sync_all()
        try:
            await library.transfers.finished(entry)
        except StorageError as error:
            told["download"] = str(error)
        told["status"] = store.get_download_status("a")
        told["left"] = [each.name for each in files_in(library.cache.folder)]
        told["faults"] = [*store.check_invariants(), *library.cache.check_invariants()]
        filler.unlink()
        library.start()
        told["size"] = (await library.fetch("a", path)).stat().st_size
        await library.stop()
        store.close()
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:6]))
