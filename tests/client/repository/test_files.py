"""Pictures, films and sounds: kept here at once with what is told of them, up and down when there is a network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from afterimage_client import FirebaseApp
from afterimage_client.media import MediaLibrary
from afterimage_client.repository import CloudAIRepository
from tests.client.quick_folder import files_in
from tests.client.repository.conftest import Home, home_of


class Studio:
    """A home with a library of files."""

    def __init__(self, app: FirebaseApp, folder: Path) -> None:
        folder.mkdir()
        self.home: Home = home_of(app, folder / "outputs.db")
        self.library = MediaLibrary(self.home.store, app)
        self.repository = CloudAIRepository(self.home.store, self.home.service, media=self.library)

    async def sync(self) -> None:
        await self.repository.sync_all()
        await self.library.sync_all()

    async def close(self) -> None:
        await self.library.stop()
        assert self.home.store.check_invariants() == []
        assert self.library.cache.check_invariants() == []
        self.home.store.close()


@pytest.fixture
async def here(app: FirebaseApp, tmp_path: Path) -> AsyncIterator[Studio]:
    """The first studio of a user."""
    made = Studio(app, tmp_path / "here")
    yield made
    await made.close()


@pytest.fixture
async def there(app: FirebaseApp, tmp_path: Path) -> AsyncIterator[Studio]:
    """A studio of the same user on another machine."""
    made = Studio(app, tmp_path / "there")
    made.library.start()
    yield made
    await made.close()


async def test_files_are_here_at_once_and_everywhere_later(here: Studio, there: Studio) -> None:
    """The three kinds, from one machine of a user to another, with the contract's metadata; what nobody has is None."""
    saved = [
        here.repository.save_image(card_id="c", image_type="action", image_bytes=b"RIFF", model="m", width=4),
        here.repository.save_video(scene_id="s", video_bytes=b"ftyp", model="m", cost_usd=0.5),
        here.repository.save_audio_stem(stem_id="1", stem_type="bass", audio_bytes=b"OggS", model="m"),
    ]
    found = await here.repository.get_image("c", "action")
    assert found is not None
    assert found.read_bytes() == b"RIFF"
    await here.sync()
    assert here.home.store.queue.stats().size == 0
    metadata = await here.home.app.storage.object(saved[2]).metadata()
    told = {key: value for key, value in metadata.custom.items() if key != "generated_at"}
    assert (metadata.content_type, told) == ("audio/opus", {"stem_id": "1", "stem_type": "bass"})
    assert (await here.home.stored("s", "videos") or {})["path"] == saved[1]
    films = [await there.repository.get_image("c", "action"), await there.repository.get_video("s")]
    films.append(await there.repository.get_audio_stem("1", "bass"))
    assert [each.read_bytes() for each in films if each] == [b"RIFF", b"ftyp", b"OggS"]
    assert await there.repository.get_video("nothing") is None


async def test_a_file_and_what_is_told_of_it_are_one(here: Studio) -> None:
    """What cannot be told leaves no file and nothing in the queue."""
    with pytest.raises(ValueError, match="Firestore does not hold"):
        here.repository.save_video(scene_id="s", video_bytes=b"x", model="m", metadata={"a": object()})
    with pytest.raises(ValueError, match="use one of"):
        here.repository.save_image(card_id="c", image_type="selfie", image_bytes=b"x", model="m")
    assert here.library.cache.files() == []
    assert here.home.store.queue.entries() == []
    assert files_in(here.library.cache.folder) == []


async def test_without_a_place_for_files_there_is_a_way_out(here: Studio) -> None:
    """A repository of texts alone says what it lacks."""
    with pytest.raises(ValueError, match="`media`"):
        here.home.repository.save_video(scene_id="s", video_bytes=b"x", model="m")
