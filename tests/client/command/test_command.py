"""The command `afterimage-client`, run as a person runs it: words in, lines and exit codes out."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_client import FirebaseApp, FirebaseOptions
from afterimage_client.auth.persistence import FileStore
from afterimage_client.command.showing import bar_line, one_line, size_text
from afterimage_client.firestore import GeoPoint
from afterimage_client.media import MediaCache
from afterimage_client.queue import RefusedError
from afterimage_client.repository import CloudAIRepository, Dialogue, FirestoreAIService
from afterimage_client.store import Store
from afterimage_client.store.copies import Kept
from afterimage_client.store.metadata import DownloadStatus
from afterimage_client.sync import value_kinds
from afterimage_emulator.background import BackgroundSuite
from tests.client.conftest import Apps

MODULE = "afterimage_client.command"


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-m", MODULE, *words],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "content.db")
    yield made
    assert made.check_invariants() == []
    made.close()


def path_of(store: Store) -> str:
    return store.database.path


def fail(store: Store, kind: str) -> None:
    """Makes the first entry of a kind a dead letter."""
    (entry,) = store.queue.take([kind])
    store.queue.fail(entry, RefusedError("the rules say no"))


@pytest.mark.parametrize("command", [[], ["dead-letters"], ["conflicts"], ["cache"], ["sync"], ["queue"]])
def test_help_teaches(command: list[str]) -> None:
    """Each command says what it is for; the first page has examples and the exit codes."""
    told = run(*command, "--help")
    assert told.returncode == 0
    assert "usage: afterimage-client" in told.stdout
    if not command:
        assert "examples:" in told.stdout
        assert "exit code" in told.stdout


@pytest.mark.parametrize(
    ("words", "way_out"),
    [
        (["status"], "give `--store`"),
        (["--store", "nowhere.db", "status"], "the app that uses it makes it"),
        (["--store", __file__, "status"], "is no store"),
        (["--store", "{store}", "dead-letters", "retry", "99"], "lists them"),
        (["--store", "{store}", "dead-letters", "discard"], "--all"),
        (["--store", "{store}", "conflicts", "resolve", "9", "--take", "here"], "lists them"),
        (["--store", "{store}", "conflicts", "resolve", "9", "--value", "{{"], "is no JSON"),
        (["--store", "{store}", "--passphrase-variable", "NO_SUCH", "status"], "is not set"),
        (["--store", "{store}", "sync", "--config", "nowhere.json"], "cannot be read"),
    ],
)
def test_a_mistake_has_a_way_out_and_changes_nothing(words: list[str], way_out: str, store: Store) -> None:
    """One line that names what was given, exit code 2, no traceback and no new store."""
    told = run(*(word.format(store=path_of(store)) for word in words), AFTERIMAGE_CLIENT_STORE="")
    assert told.returncode == 2
    assert way_out in told.stderr
    assert "Traceback" not in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert not Path("nowhere.db").exists()


def test_status_and_queue_say_what_waits(store: Store) -> None:
    """Counts by kind, then each entry; the store may be named by a variable."""
    store.upsert_local("campaigns", {"id": "c", "name": "n"})
    store.enqueue_download(asset_id="a", storage_path="media/a/x.png", priority=10)
    told = run("status", AFTERIMAGE_CLIENT_STORE=path_of(store))
    assert told.returncode == 0
    assert "2 (1 download, 1 push)" in told.stdout
    listed = run("--store", path_of(store), "queue", "--kind", "push").stdout
    assert "campaigns/c" in listed
    assert "media" not in listed


def test_dead_letters_are_retried_and_discarded(store: Store) -> None:
    """A retry gives the attempts again; a document's edit that is given up is kept, the document goes back."""
    store.upsert("campaigns", {"id": "c", "name": "old", "rev": 0}, mark_dirty=False)
    store.upsert_local("campaigns", {"id": "c", "name": "new"})
    fail(store, "push")
    told = run("--store", path_of(store), "dead-letters")
    assert told.returncode == 1
    assert "RefusedError: the rules say no" in told.stdout
    (dead,) = store.queue.dead_letters()
    assert run("--store", path_of(store), "dead-letters", "retry", str(dead.id)).returncode == 0
    assert store.queue.dead_letters() == []
    fail(store, "push")
    told = run("--store", path_of(store), "dead-letters", "discard", "--all")
    assert "1 edits are kept" in told.stdout
    assert (store.get_by_id("campaigns", "c") or {})["name"] == "old"
    assert [kept.kind for kept in store.kept()] == ["refused"]


def test_conflicts_are_shown_and_resolved(store: Store) -> None:
    """What is kept shows both sides on one line, whatever stands in it; a value of the person's own is taken."""
    store.upsert("campaigns", {"id": "c", "name": "theirs", "rev": 3}, mark_dirty=False)
    with store.database.transaction() as transaction:
        kept = Kept(
            kind="field", collection="campaigns", doc_id="c", path=("name",), base="b", local="a\x1b[2J\nb", remote="r"
        )
        store.rows.keep(transaction, kept)
    told = run("--store", path_of(store), "conflicts")
    assert told.returncode == 1
    assert "a?[2J?b" in told.stdout
    (found,) = store.kept()
    assert run("--store", path_of(store), "conflicts", "resolve", str(found.id), "--value", '"ours"').returncode == 0
    assert (store.get_by_id("campaigns", "c") or {})["name"] == "ours"
    assert store.kept() == []


def test_values_of_firestores_own_types_are_written_back_as_they_were(store: Store, tmp_path: Path) -> None:
    """The command has no connection, and a store with places and references in it loses none of them."""
    app = FirebaseApp(FirebaseOptions(project_id="demo-p"), session_store=FileStore(tmp_path / "s"))
    path = tmp_path / "typed.db"
    typed = Store(path, kinds=value_kinds(app.firestore))
    fields = {"id": "c", "at": GeoPoint(1, 2), "of": app.firestore.document("a/b"), "name": "old"}
    typed.upsert("campaigns", {**fields, "rev": 0}, mark_dirty=False)
    typed.upsert_local("campaigns", {**fields, "name": "new"})
    fail(typed, "push")
    assert run("--store", str(path), "dead-letters", "discard", "--all").returncode == 0
    assert typed.get_by_id("campaigns", "c") == {**fields, "rev": 0}
    told = run("--store", str(path), "conflicts")
    assert "a/b" in told.stdout
    typed.close()


def test_the_folder_of_files_is_shown_and_cleared(store: Store) -> None:
    """What stays says why; what may go goes."""
    cache = MediaCache(store)
    with store.database.transaction() as transaction:
        for name in ("mine", "pinned", "free"):
            local = cache.add(transaction, name, f"media/{name}/x.png", cache.prepare(b"x" * 2048), {})
            if name != "mine":
                cache.note_uploaded(transaction, name, f"media/{name}/x.png")
                store.update_download_status("mediaAssets", name, DownloadStatus.CACHED, local_path=str(local))
    assert run("--store", path_of(store), "cache", "pin", "pinned").returncode == 0
    told = run("--store", path_of(store), "cache").stdout
    assert "3 files, 6.0 KiB" in told
    assert "not uploaded" in told
    assert "1 files removed, 2.0 KiB" in run("--store", path_of(store), "cache", "clear").stdout
    assert [each.asset_id for each in cache.files()] == ["mine", "pinned"]
    stray = cache.folder / "stray"
    stray.write_bytes(b"x")
    assert "1 stray files removed" in run("--store", path_of(store), "cache", "repair").stdout
    assert not stray.exists()


async def test_sync_does_what_waits_as_the_apps_user(apps: Apps, suite: BackgroundSuite, tmp_path: Path) -> None:
    """Documents, outputs and files in one go, with the session that the app left; nobody signed in is told."""
    environment = {**suite.environment(), "XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"projectId": suite.project_id, "apiKey": "any", "storageBucket": suite.default_bucket})
    )
    app = await apps.open(store=FileStore(session := tmp_path / "session.json"))
    store = Store(tmp_path / "content.db", kinds=value_kinds(app.firestore))
    words = ("--store", path_of(store), "sync", "--config", str(config))
    told = await asyncio.to_thread(run, *words, **environment)
    assert (told.returncode, "nobody is signed in" in told.stderr) == (2, True)
    user = await app.auth.sign_in_anonymously()
    home = await asyncio.to_thread(_place_of_session, suite, environment)
    home.parent.mkdir(parents=True)
    session.rename(home)
    name = f"c-{user.uid}"
    kinds = {"of": app.firestore.document("a/b"), "at": GeoPoint(1, 2)}
    store.upsert_local("campaigns", {"id": name, "name": "n", **kinds})
    CloudAIRepository(store, FirestoreAIService(app.firestore, user_id=user.uid)).save_dialogue(
        Dialogue(card_id="c", interaction_id="1", text="hello", model="m")
    )
    await app.storage.object(f"media/{name}/x.png").upload(b"x", content_type="image/png")
    store.enqueue_download(asset_id=name, storage_path=f"media/{name}/x.png")
    told = await asyncio.to_thread(run, *words, **environment)
    assert (told.returncode, told.stderr) == (0, "")
    assert "3 done, 0 waiting, 0 failed" in told.stdout
    pushed = (await app.firestore.document(f"campaigns/{name}").get()).to_dict() or {}
    assert (pushed["rev"], pushed["of"], pushed["at"]) == (0, kinds["of"], kinds["at"])
    assert (await app.firestore.document(f"ai_outputs/{user.uid}/dialogues/c_1").get()).get("text") == "hello"
    assert store.is_cached(name)
    store.close()


def _place_of_session(suite: BackgroundSuite, environment: dict[str, str]) -> Path:
    """Where an app of this configuration keeps its session on a machine without a keyring."""
    program = (
        "from afterimage_client import FirebaseOptions as O\n"
        "from afterimage_client.auth.persistence import default_store\n"
        f"print(default_store(O(project_id={suite.project_id!r}, api_key='any')).path)"
    )
    paths = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(ran.stdout.strip())


def test_bars_and_sizes_are_drawn() -> None:
    """A bar is as full as its share, and a name cannot forge a line."""
    assert bar_line("a", 0.5, "12 of 24") == f"{'a'.ljust(40)} [{'#' * 12}{'.' * 12}] 12 of 24"
    assert bar_line("a", 7, "x").count("#") == 24
    assert [size_text(count) for count in (0, 1023, 1024, 3 * 1024**3)] == ["0 B", "1023 B", "1.0 KiB", "3.0 GiB"]
    assert one_line("a\x1b\r\nb") == "a???b"


def test_nothing_that_others_wrote_moves_the_cursor_or_hides_the_rest(store: Store) -> None:
    """Names and values of documents end up in tables and errors: one line each, and none without an end."""
    evil = "\x1b[2J\u202e" + "x" * 100_000
    kept = Kept(kind="field", collection="scenes", doc_id="a", path=("text",), base=1, local=evil, remote=evil)
    with store.database.transaction() as transaction:
        store.rows.keep(transaction, kept)
    shown = run("--store", path_of(store), "conflicts")
    assert shown.returncode == 1
    assert "\x1b" not in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) < 1000
    assert "(100005 characters)" in shown.stdout
    for words in (["cache", "pin", evil[:10]], ["conflicts", "resolve", "1", "--value", evil[:10]]):
        done = run("--store", path_of(store), *words)
        assert "\x1b" not in done.stdout + done.stderr
    deep = run("--store", path_of(store), "conflicts", "resolve", "1", "--value", "[" * 100_000)
    assert (deep.returncode, deep.stderr.count("\n")) == (2, 1)


def test_a_reader_that_has_enough_is_no_fault(store: Store) -> None:
    """As `head` has after some lines: no traceback."""
    for number in range(2000):
        store.queue.enqueue("push", f"scenes/{number}")
    paths = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, "--store", path_of(store), "queue"],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == b""
