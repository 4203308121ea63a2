"""The client is a user: what the rules deny is denied, and nothing makes an administrator of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from afterimage_client import AuthError, Endpoints, FirebaseApp, FirestoreError, StorageError
from afterimage_client.firestore.wire.channel import checked_token
from tests.client.conftest import Apps

Own = Callable[[str], str]


async def test_the_rules_hold_for_reads_writes_queries_and_listeners(app: FirebaseApp, own: Own) -> None:
    """With an emulator too, where official server SDKs are always administrators."""
    note = app.firestore.document(own("notes/first"))
    await note.set({"text": "mine"})
    assert (await note.get()).to_dict() == {"text": "mine"}
    others = app.firestore.collection("players/somebody-else/notes")
    with pytest.raises(FirestoreError, match="permission-denied"):
        await others.document("x").set({"text": "theirs"})
    with pytest.raises(FirestoreError, match="permission-denied"):
        await others.document("x").get()
    with pytest.raises(FirestoreError, match="permission-denied"):
        await others.get()
    async with others.listen() as snapshots:
        with pytest.raises(FirestoreError, match="permission-denied"):
            await anext(snapshots)


async def test_who_is_not_signed_in_is_nobody(apps: Apps) -> None:
    """No default credentials are looked for: without a user there is no Authorization header at all."""
    app = await apps.open()
    assert "authorization" not in dict((await app.firestore._channel.credentials()).metadata)
    with pytest.raises(FirestoreError, match="permission-denied"):
        await app.firestore.document("cards/one").get()
    with pytest.raises(StorageError, match="unauthorized"):
        await app.storage.object("users/x/ai_generated/images/c_portrait.png").metadata()


@pytest.mark.parametrize(
    "token", ["owner", "Owner", "ya29.abc", "ya29.a.b", "a.b.c", "", "eyJ.x y.z", "eyJx", "eyJ.a.b.c", "eyJhé.b.c"]
)
def test_only_an_id_token_is_ever_sent(token: str) -> None:
    """`owner` and OAuth tokens make administrators in emulators: the channel refuses to send them."""
    with pytest.raises(AuthError, match="invalid-user-token"):
        checked_token(token)


def test_production_is_the_default_and_the_usual_variables_name_emulators() -> None:
    """Each service by its own variable; a scheme in it is named as the mistake it is."""
    assert Endpoints.from_environment({}) == Endpoints()
    found = Endpoints.from_environment({"FIRESTORE_EMULATOR_HOST": "127.0.0.1:8080"})
    assert (found.firestore, found.firestore_is_emulator) == ("127.0.0.1:8080", True)
    assert found.storage == Endpoints().storage
    with pytest.raises(Exception, match="`FIREBASE_STORAGE_EMULATOR_HOST` is `http://localhost:1`"):
        Endpoints.from_environment({"FIREBASE_STORAGE_EMULATOR_HOST": "http://localhost:1"})
