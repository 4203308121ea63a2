"""The synchronous face: the same promises, waited for, from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from afterimage_client import BlockingApp, Endpoints, FirebaseApp, FirebaseError, FirebaseOptions
from afterimage_client.auth import MemoryStore
from afterimage_client.firestore import Transaction
from afterimage_emulator.background import BackgroundSuite


@pytest.fixture
def script(suite: BackgroundSuite) -> Iterator[BlockingApp]:
    """What a script has: an app whose user is signed in, and no event loop of its own."""
    options = FirebaseOptions(project_id=suite.project_id, api_key="any", storage_bucket=suite.default_bucket)
    endpoints = Endpoints.from_environment(suite.environment())
    with BlockingApp(lambda: FirebaseApp(options, endpoints=endpoints, session_store=MemoryStore())) as app:
        app.run(app.auth.sign_in_anonymously())
        yield app


def path_of(app: BlockingApp, below: str) -> str:
    user = app.auth.current_user
    assert user is not None
    return f"players/{user.uid}/{below}"


def test_documents_queries_listeners_and_files(script: BlockingApp) -> None:
    """Everything that is awaited elsewhere."""
    notes = script.firestore.collection(path_of(script, "notes"))
    for number in range(3):
        script.run(notes.document(f"{number}").set({"n": number}))
    assert [note.get("n") for note in script.run(notes.order_by("n").get())] == [0, 1, 2]
    assert [note.id for note in script.each(notes.stream())] == ["0", "1", "2"]
    for snapshot in script.each(notes.listen()):
        if len(snapshot) == 3:
            script.run(notes.document("3").set({"n": 3}))
        if len(snapshot) == 4:
            break

    async def add_ten(transaction: Transaction) -> None:
        before = await transaction.get(notes.document("0"))
        transaction.update(notes.document("0"), {"n": before.get("n") + 10})

    script.run(script.firestore.run_transaction(add_ten))
    assert script.run(notes.document("0").get()).get("n") == 10
    user = script.auth.current_user
    assert user is not None
    stored = script.storage.object(f"users/{user.uid}/ai_generated/images/c_portrait.png")
    states = [progress.state for progress in script.each(stored.upload(b"x").watch())]
    assert states[-1] == "done"
    assert script.run(stored.read()) == b"x"


def test_several_threads_share_one_app(script: BlockingApp) -> None:
    """Each waits for its own; none waits for the others."""
    notes = script.firestore.collection(path_of(script, "notes"))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: script.run(notes.document(f"{number}").set({"n": number})), range(50)))
    assert script.run(notes.count()) == 50


def test_errors_come_out_as_they_are_and_a_timeout_ends_the_work(script: BlockingApp) -> None:
    """With the app still usable afterwards."""
    with pytest.raises(FirebaseError, match="permission-denied"):
        script.run(script.firestore.document("players/other/notes/x").get())
    ended = threading.Event()

    async def for_ever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        script.run(for_ever(), timeout_seconds=0.01)
    assert ended.wait(10)
    assert script.run(script.auth.id_token())


def test_wrong_use_is_named_instead_of_waiting_for_ever(script: BlockingApp) -> None:
    """From inside the app's own thread, and outside of `with`."""

    async def inside() -> None:
        work = script.auth.id_token()
        try:
            script.run(work)
        finally:
            work.close()

    with pytest.raises(FirebaseError, match="wrong-thread"):
        script.run(inside())
    closed = BlockingApp(lambda: FirebaseApp(FirebaseOptions(project_id="p")))
    with pytest.raises(FirebaseError, match="not open"):
        _ = closed.auth
