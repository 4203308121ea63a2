"""Outputs and files in the cloud, as their user writes and reads them under the project's rules."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from afterimage_client import FirestoreError, StorageError
from afterimage_client.repository import CloudStorageAIService, ContentType, FileOutput, FirestoreAIService
from tests.client.conftest import Apps
from tests.client.repository.conftest import Home, dialogue


async def test_a_dialogue_is_saved_as_the_contract_has_it(home: Home) -> None:
    """Every field of old, at the server's time, admitted by the rules."""
    await home.service.save_dialogue(
        card_id="c",
        interaction_id="1",
        text="hello",
        personality_traits={"warm": 0.5},
        model="gemini-2.5-pro",
        latency_ms=480,
        cost_usd=0.01,
    )
    stored = await home.stored("c_1") or {}
    assert isinstance(stored.pop("generated_at"), datetime)
    assert isinstance(stored.pop("last_accessed"), datetime)
    assert stored == {
        "card_id": "c",
        "interaction_id": "1",
        "text": "hello",
        "personality_traits": {"warm": 0.5},
        "model": "gemini-2.5-pro",
        "model_version": "2.5.20251001",
        "latency_ms": 480,
        "cost_usd": 0.01,
        "cached": True,
        "cache_hit_count": 0,
        "version": 1,
    }


async def test_a_hit_is_one_more_at_the_servers_time_and_nothing_else(home: Home) -> None:
    """The snapshot that is returned has the hit; what nobody has is no hit and no error."""
    await home.service.save_output(dialogue())
    before = await home.stored("c_1") or {}
    found = await home.service.get_dialogue("c", "1")
    after = await home.stored("c_1") or {}
    assert found is not None
    assert (found.text, found.cache_hit_count, after["cache_hit_count"]) == ("hello", 1, 1)
    assert after["last_accessed"] > before["last_accessed"]
    same = {"cache_hit_count": 0, "last_accessed": None}
    assert after | same == before | same
    assert await home.service.get_dialogue("c", "2") is None


async def test_a_save_again_keeps_hits_and_when_it_was_made(home: Home) -> None:
    """Only what changed is sent; the same again writes nothing at all."""
    await home.service.save_output(dialogue())
    await home.service.get_dialogue("c", "1")
    before = await home.stored("c_1") or {}
    await home.service.save_output(dialogue(text="new"))
    assert await home.stored("c_1") == before | {"text": "new"}
    path = f"ai_outputs/{home.uid}/dialogues/c_1"
    version = (await home.app.firestore.document(path).get()).update_time
    await home.service.save_output(dialogue(text="new"))
    assert (await home.app.firestore.document(path).get()).update_time == version


async def test_parts_that_make_one_id_are_told_apart(home: Home) -> None:
    """`a_b` and `c` are not `a` and `b_c`: neither is read or overwritten as the other."""
    await home.service.save_output(dialogue("a_b", "c", "first"))
    assert await home.service.get_dialogue("a", "b_c") is None
    with pytest.raises(FirestoreError, match="same id") as refusal:
        await home.service.save_output(dialogue("a", "b_c", "second"))
    assert refusal.value.code == "already-exists"
    assert (await home.stored("a_b_c") or {})["text"] == "first"
    assert await home.hits("a_b_c") == 0


async def test_more_than_a_batch_takes_is_saved_in_several(home: Home) -> None:
    """501 outputs are a batch of 500 and one more; of an id that comes twice the last one stands."""
    many = [dialogue("c", str(number), f"text {number}") for number in range(501)]
    await home.service.batch_save_dialogues([*many, dialogue("c", "7", "the last one")])
    collection = home.app.firestore.collection(f"ai_outputs/{home.uid}/dialogues")
    assert await collection.count() == 501
    assert (await home.stored("c_7") or {})["text"] == "the last one"


@pytest.mark.parametrize(
    ("output", "collection", "name"),
    [
        (FileOutput(content_type=ContentType.IMAGE, model="m", card_id="c", image_type="action"), "images", "c_action"),
        (FileOutput(content_type=ContentType.VIDEO, model="m", scene_id="s", duration_seconds=2.5), "videos", "s"),
        (FileOutput(content_type=ContentType.AUDIO, model="m", stem_id="1", stem_type="bass"), "audio", "bass_1"),
    ],
)
async def test_the_other_kinds_are_saved_and_read_too(
    output: FileOutput, collection: str, name: str, home: Home
) -> None:
    """Each in its collection, under the name that its file has."""
    await home.service.save_output(output)
    assert (await home.stored(name, collection) or {})["model_version"] == "unknown"
    assert await home.service.get_output(output.content_type, output.parts) == output


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: dialogue("a/b"),
        lambda: dialogue(""),
        lambda: FileOutput(content_type=ContentType.IMAGE, model="m", card_id="c", image_type="nude"),
        lambda: FileOutput(content_type=ContentType.VIDEO, model="m"),
        lambda: FileOutput(content_type=ContentType.DIALOGUE, model="m"),
    ],
)
def test_parts_that_make_no_name_are_refused(wrong: object) -> None:
    """Before anything is written, with the way out."""
    assert callable(wrong)
    with pytest.raises(ValueError, match="`"):
        wrong()


async def test_files_go_where_the_contract_says_with_its_metadata(home: Home) -> None:
    """Path, type and custom metadata of each kind; bytes come back verified, and by a URL."""
    files = CloudStorageAIService(home.app.storage, user_id=home.uid, books=home.service)
    made = datetime(2026, 5, 1, 12, tzinfo=UTC)
    image = await files.upload_image(card_id="c", image_type="portrait", image_bytes=b"RIFF", generated_at=made)
    video = await files.upload_video(scene_id="s", video_bytes=b"ftyp", generated_at=made)
    stem = await files.upload_audio_stem(stem_id="1", stem_type="bass", audio_bytes=b"OggS", generated_at=made)
    below = f"users/{home.uid}/ai_generated"
    assert [image, video, stem] == [
        f"{below}/images/c_portrait.webp",
        f"{below}/videos/s.mp4",
        f"{below}/audio/stems/bass_1.opus",
    ]
    moment = {"generated_at": "2026-05-01T12:00:00.000+00:00"}
    for path, kind, custom in (
        (image, "image/webp", {"card_id": "c", "image_type": "portrait"}),
        (video, "video/mp4", {"scene_id": "s"}),
        (stem, "audio/opus", {"stem_id": "1", "stem_type": "bass"}),
    ):
        metadata = await home.app.storage.object(path).metadata()
        assert (metadata.content_type, dict(metadata.custom)) == (kind, custom | moment)
    assert await files.download_image(image) == b"RIFF"
    assert "token=" in await files.download_url(image)
    await files.delete(image)
    with pytest.raises(StorageError, match="no such object"):
        await files.download_image(image)


async def test_a_file_that_exists_is_not_uploaded_again(home: Home) -> None:
    """The server decides by a precondition, so that two uploads at once cannot both win."""
    files = CloudStorageAIService(home.app.storage, user_id=home.uid)
    path = f"users/{home.uid}/ai_generated/images/c_portrait.webp"
    assert await files.upload_if_not_exists(path, b"first")
    assert not await files.upload_if_not_exists(path, b"second")
    assert await files.download_image(path) == b"first"
    with pytest.raises(StorageError) as refusal:
        await files.upload_if_not_exists(f"users/{home.uid}/elsewhere.webp", b"third")
    assert refusal.value.code == "unauthorized"


async def test_books_that_are_not_there_are_zero(home: Home) -> None:
    """A new user has no books yet: nothing is stored and nothing was spent."""
    files = CloudStorageAIService(home.app.storage, user_id=home.uid, books=home.service)
    assert await files.get_storage_usage() == 0
    assert (await home.service.get_cost_analytics())["total_generations"] == 0


async def test_another_users_outputs_are_refused(home: Home, apps: Apps) -> None:
    """The services are a user's, so the rules hold."""
    await home.service.save_output(dialogue())
    other = await apps.open()
    await other.auth.sign_in_anonymously()
    with pytest.raises(FirestoreError) as refusal:
        await FirestoreAIService(other.firestore, user_id=home.uid).get_dialogue("c", "1")
    assert refusal.value.code == "permission-denied"
