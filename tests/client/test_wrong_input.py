"""What is given wrong to the app's own parts is told in words of this library, before anybody is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afterimage_client import BackoffPolicy, FirebaseApp, FirebaseError, FirebaseOptions
from afterimage_client.auth import MemoryStore
from tests.client.conftest import Apps

# Types say what is right; programs that nobody checks give something else.
NO_TEXTS: tuple[Any, ...] = (None, 5, b"a@example.com", "\ud800@example.com")
NO_MAPS: tuple[Any, ...] = (None, 5, [], "text")
NO_OBJECTS: tuple[Any, ...] = (None, [], 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"project_id": 5},
        {"project_id": "a b"},
        {"project_id": ""},
        {"api_key": None},
        {"app_id": "a\r\nb: c"},
        {"storage_bucket": 5},
        {"database": "a/b"},
    ],
)
def test_options_are_texts_that_fit_into_addresses(wrong: dict[str, Any]) -> None:
    """Nothing that would end up in a header or an address as something else."""
    with pytest.raises(FirebaseError, match="invalid-options"):
        FirebaseOptions(**{"project_id": "p", **wrong})


def test_a_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    """No object, a file that is nested too deep, and attempts that would never begin."""
    for config in NO_OBJECTS:
        with pytest.raises(FirebaseError, match="no object"):
            FirebaseOptions.from_config(config)
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    with pytest.raises(FirebaseError, match="cannot be read"):
        FirebaseOptions.from_file(deep)
    with pytest.raises(ValueError, match="once at least"):
        BackoffPolicy(attempts=0)


async def test_a_sign_in_without_texts_signs_in_as_nobody(apps: Apps) -> None:
    """An account without e-mail is an anonymous one: nobody gets it by a variable that was empty."""
    app = await apps.open()
    for wrong in NO_TEXTS:
        for call in (
            app.auth.sign_up(wrong, "secret1"),
            app.auth.sign_in_with_password(wrong, "secret1"),
            app.auth.sign_in_with_custom_token(wrong),
            app.auth.sign_in_with_email_link("a@example.com", wrong),
            app.auth.send_password_reset(wrong),
        ):
            with pytest.raises(FirebaseError, match="is no text"):
                await call
    with pytest.raises(FirebaseError, match="`password` is no text"):
        await app.auth.sign_up("a@example.com", NO_TEXTS[0])
    with pytest.raises(FirebaseError, match="argument-error"):
        await app.auth.sign_in_with_email_link("a@example.com", "http://[")
    assert app.auth.current_user is None


async def test_what_is_no_document_is_told(app: FirebaseApp, own: Callable[[str], str]) -> None:
    """Anything but a map, for each way to write."""
    note = app.firestore.document(own("notes/n"))
    for wrong in NO_MAPS:
        for call in (note.set(wrong), note.set(wrong, merge=True), note.update(wrong), note.create(wrong)):
            with pytest.raises(FirebaseError, match="is no document"):
                await call


async def test_an_app_that_was_closed_says_so(apps: Apps) -> None:
    """Nothing opens again behind a program's back."""
    async with FirebaseApp(apps.options, endpoints=apps.endpoints, session_store=MemoryStore()) as app:
        await app.auth.sign_in_anonymously()
        await app.firestore.document("scenes/nowhere").get()
    for call in (
        app.firestore.document("scenes/nowhere").get(),
        app.storage.object("x").read(),
        app.auth.reload(),
        app.auth.sign_in_with_password("a@example.com", "secret1"),
    ):
        with pytest.raises(FirebaseError, match="app-deleted"):
            await asyncio.wait_for(call, 30)


async def test_what_cannot_be_uploaded_is_told(app: FirebaseApp, tmp_path: Path) -> None:
    """Folders, headers of two lines, metadata that is no text."""
    portrait = app.storage.object("users/x/portrait.png")
    with pytest.raises(FirebaseError, match="is a folder"):
        portrait.upload(tmp_path)
    for wrong in (5, "image/png\r\nx: y"):
        told: dict[str, Any] = {"content_type": wrong}
        with pytest.raises(FirebaseError, match="invalid-argument"):
            portrait.upload(b"", **told)
    custom: dict[str, Any] = {"a": 5}
    with pytest.raises(FirebaseError, match="invalid-argument"):
        portrait.upload(b"", custom=custom)
