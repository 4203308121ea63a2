"""From coarse to fine, as the project's own functions prepare it."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

from PIL import Image

from afterimage_client.media import StepKind, record_path
from tests.client.conftest import Apps
from tests.client.media.conftest import Shelf

PATIENCE_SECONDS = 60.0


def picture(width: int, height: int) -> bytes:
    image = Image.radial_gradient("L").resize((width, height)).convert("RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


async def test_blurhash_then_smallest_then_what_was_asked_for_then_the_original(deployed: Apps, tmp_path: Path) -> None:
    """Each step is a file that can be shown, from the server's record and the bucket of derived files."""
    app = await deployed.open()
    await app.auth.sign_in_anonymously()
    shelf = Shelf(app, tmp_path)
    data = picture(1000, 500)
    path = await shelf.put("a", data)
    where = record_path(app.options.storage_bucket, path)
    assert where is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await app.firestore.document(where).get()).get("status") != "ready":
            await asyncio.to_thread(deployed.suite.settled, PATIENCE_SECONDS)
    shelf.library.start()
    steps = [step async for step in shelf.library.progressive("a", path, width=400)]
    assert [step.kind for step in steps] == list(StepKind)
    assert steps[0].blurhash
    widths = []
    for step in steps[1:]:
        assert step.path is not None
        with Image.open(step.path) as image:
            widths.append(image.width)
    assert widths == [200, 400, 1000]
    assert steps[-1].path is not None
    assert steps[-1].path.read_bytes() == data
    again = [step.kind async for step in shelf.library.progressive("a", path, width=400)]
    assert again == [StepKind.ORIGINAL]
    await shelf.library.stop()
    shelf.close()
