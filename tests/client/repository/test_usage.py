"""How much is stored, as the project's own functions count it."""

from __future__ import annotations

import asyncio

from afterimage_client.repository import CloudStorageAIService, FirestoreAIService
from tests.client.conftest import Apps

PATIENCE_SECONDS = 60.0


async def usage_reaches(deployed: Apps, files: CloudStorageAIService, wanted: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await files.get_storage_usage() != wanted:
            await asyncio.to_thread(deployed.suite.settled, PATIENCE_SECONDS)


async def test_storage_usage_is_the_servers_own_figure(deployed: Apps) -> None:
    """Files in several folders below each other count, deleted ones do not, and it is one read."""
    app = await deployed.open()
    user = await app.auth.sign_in_anonymously()
    books = FirestoreAIService(app.firestore, user_id=user.uid)
    files = CloudStorageAIService(app.storage, user_id=user.uid, books=books)
    stem = await files.upload_audio_stem(stem_id="1", stem_type="bass", audio_bytes=b"OggS" + bytes(96))
    await files.upload_video(scene_id="s", video_bytes=bytes(50))
    await usage_reaches(deployed, files, 150)
    await files.delete(stem)
    await usage_reaches(deployed, files, 50)
