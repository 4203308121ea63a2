"""Answers that lie: nothing is written elsewhere, no token leaves for another host, and every error is a clear one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from afterimage_client import FirebaseApp, StorageError
from afterimage_client.app_check import AppCheckToken, DebugAppCheckProvider
from afterimage_client.storage import UploadSession
from tests.client.conftest import Apps
from tests.client.storage.lying_server import Asked, Lie, LyingServer, lying

SOUND: Final[dict[str, Any]] = {"bucket": "b", "name": "x", "generation": "1", "metageneration": "1", "size": "4"}
NONSENSE: Final[tuple[object, ...]] = (
    [],
    "text",
    {},
    {**SOUND, "generation": "../../../x"},
    {**SOUND, "generation": "1\0"},
    {**SOUND, "generation": {"a": 1}},
    {**SOUND, "size": "-1"},
    {**SOUND, "size": "many"},
    {**SOUND, "size": None},
    {**SOUND, "timeCreated": "yesterday"},
    {**SOUND, "metadata": ["a"]},
    {**SOUND, "md5Hash": 7},
    {**SOUND, "crc32c": {"a": 1}},
    {**SOUND, "name": 5},
)


async def facing(apps: Apps, server: LyingServer) -> FirebaseApp:
    """A signed-in app whose storage is that server."""
    app = await apps.open(endpoints=dataclasses.replace(apps.endpoints, storage=server.url))
    await app.auth.sign_in_anonymously()
    return app


def bytes_or(description: dict[str, Any], body: Lie) -> Callable[[Asked], Lie]:
    return lambda asked: body if "alt=media" in asked.target else Lie.of(description)


async def test_descriptions_that_make_no_sense_are_told_as_such(apps: Apps, tmp_path: Path) -> None:
    """Wrong types, missing fields, names with `..`: an error of storage's, and no file anywhere."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    answer = Lie()
    async with lying(lambda asked: answer) as server:
        app = await facing(apps, server)
        for told in NONSENSE:
            answer = Lie.of(told)
            for work in (app.storage.object("x").metadata(), app.storage.object("x").download(folder / "x")):
                with pytest.raises(StorageError, match="storage"):
                    await work
        answer = Lie(b"<html>")
        with pytest.raises(StorageError, match="no JSON"):
            await app.storage.object("x").metadata()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("listed", [{"items": [{}]}, {"items": 5}, {"items": [{"name": 5}]}, {"prefixes": [1]}, []])
async def test_listings_that_make_no_sense_are_told_as_such(apps: Apps, listed: object) -> None:
    """Names are texts, or the listing is none."""
    async with lying(lambda asked: Lie.of(listed)) as server:
        with pytest.raises(StorageError, match="storage"):
            await (await facing(apps, server)).storage.list_page("x")


async def test_a_page_that_leads_to_itself_ends_the_listing(apps: Apps) -> None:
    """A token that does not move on would be asked for for ever."""
    async with lying(lambda asked: Lie.of({"items": [{"name": "x/a"}], "nextPageToken": "same"})) as server:
        app = await facing(apps, server)
        with pytest.raises(StorageError, match="leads to itself"):
            assert [path async for path in app.storage.list("x")] == []
        assert len(server.asked) == 2, "each page was asked for once"


async def test_bytes_without_end_fill_neither_disk_nor_memory(apps: Apps, tmp_path: Path) -> None:
    """What is sent beyond the size that was promised is not taken."""
    endless = Lie(b"x" * 65536, is_endless=True)
    async with lying(bytes_or({**SOUND, "crc32c": "AAAAAA=="}, endless)) as server:
        app = await facing(apps, server)
        with pytest.raises(StorageError, match="invalid-checksum"):
            await app.storage.object("x").read()
        with pytest.raises(StorageError, match="invalid-checksum"):
            await app.storage.object("x").download(tmp_path / "x")
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4
    assert not (tmp_path / "x").exists()


async def test_no_token_goes_where_an_answer_leads(apps: Apps) -> None:
    """An upload session at another host, and redirects there: the user's token and bytes stay with the service."""
    async with lying(lambda asked: Lie.of(SOUND)) as thief:
        elsewhere = thief.url.replace("127.0.0.1", "localhost")
        answer = Lie.of({}, x_goog_upload_url=f"{elsewhere}/v0/b/b/o?upload_id=1")
        async with lying(lambda asked: answer) as server:
            app = await facing(apps, server)
            with pytest.raises(StorageError, match="not where storage is"):
                await app.storage.object("x").upload(b"secret")
            session = UploadSession(url=f"{elsewhere}/any", bucket="b", path="x", total_bytes=None, md5=None)
            with pytest.raises(StorageError, match="not where storage is"):
                await app.storage.resume_upload(session, b"secret")
            for status in (301, 302, 307, 308):
                answer = Lie(status=status, headers={"location": f"{elsewhere}/any"})
                for work in (app.storage.object("x").read(), app.storage.object("x").upload(b"secret")):
                    with pytest.raises(StorageError, match=str(status)):
                        await work
            assert server.asked
        assert thief.asked == []


async def test_a_link_in_the_place_of_half_a_file_is_not_followed(apps: Apps, tmp_path: Path) -> None:
    """In a folder that others write to, the hidden file's name can be guessed: their link's target stays as it is."""
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"keep me")
    (tmp_path / ".x.1.part").symlink_to(theirs)
    async with lying(bytes_or(SOUND, Lie(b"1234"))) as server:
        app = await facing(apps, server)
        await app.storage.object("x").download(tmp_path / "x")
    assert theirs.read_bytes() == b"keep me"
    assert (tmp_path / "x").read_bytes() == b"1234"
    assert not (tmp_path / "x").is_symlink()


async def test_buckets_and_paths_stay_what_they_are(app: FirebaseApp) -> None:
    """A place that a document names cannot lead to another address of the service."""
    for bucket in ("a?b", "a#b", "..", "a/b", "gs://a", " ", "a\n"):
        with pytest.raises(StorageError, match="the bucket is"):
            app.storage.object("x", bucket=bucket)
    for path in ("", ".", "..", "/x", "x" * 1025):
        with pytest.raises(StorageError, match="no object's path"):
            app.storage.object(path)


def test_what_is_printed_holds_no_secret() -> None:
    """Objects that end up in logs: tokens, and the address of an upload that anybody may add to."""
    session = UploadSession(url="https://secret", bucket="b", path="x", total_bytes=1, md5=None)
    provider = DebugAppCheckProvider(project_id="p", app_id="a", api_key="k", debug_token="secret")
    for shown in (session, provider, AppCheckToken(token="secret", ttl_seconds=60)):
        assert "secret" not in repr(shown)
    assert UploadSession.from_json(session.to_json()) == session
    for wrong in ("", "null", "[" * 100_000, json.dumps({**json.loads(session.to_json()), "url": 5})):
        with pytest.raises(StorageError, match="no upload session"):
            UploadSession.from_json(wrong)
