"""A disk without room for a file: it is told, nothing half is left in the way, and with room the file comes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from afterimage_client.auth import FileStore
from tests.client.conftest import Apps
from tests.client.small_disk import run_on_small_disk

PROGRAM = Path(__file__).with_name("crowded_library.py")
SIZE = 4 * 1024 * 1024


async def test_files_that_have_no_room_are_told_and_come_later(apps: Apps, tmp_path: Path) -> None:
    """A file to be added is refused with the way out; a download is tried four times, then a dead letter, then asked
    for again."""
    app = await apps.open(store=FileStore(tmp_path / "session.json"))
    user = await app.auth.sign_in_anonymously()
    path = f"users/{user.uid}/ai_generated/images/a_portrait.png"
    await app.storage.object(path).upload(bytes(SIZE), content_type="image/png")
    folder = tmp_path / "small"
    folder.mkdir()
    suite = apps.suite
    arguments = [suite.project_id, suite.default_bucket, str(tmp_path / "session.json"), path]
    told = json.loads(await asyncio.to_thread(run_on_small_disk, folder, "7m", PROGRAM, arguments, suite.environment()))
    assert "free some, then add it again" in told["add"], told
    assert "No space left" in told["download"], told
    assert told["status"] == "failed", told
    assert (told["left"], told["faults"]) == ([], []), told
    assert told["size"] == SIZE, told
