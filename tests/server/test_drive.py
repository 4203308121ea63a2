"""Google Drive on one machine: linked over its API, brought there by its own work, killed on the way, and erased."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from afterimage.drive_paths import drive_link_path
from afterimage_client.queue import PostponedError
from afterimage_server.configuration import read_server_settings
from afterimage_server.machine import open_machine
from afterimage_server.store.rescue import DATABASE
from afterimage_server.work.tasks import JOB
from tests.client.quick_folder import quick_folder
from tests.functions.drive.google_server import Fault, GoogleServer, served
from tests.functions.drive.test_on_one_machine import Machine as Linking
from tests.functions.drive.test_on_one_machine import settings_for
from tests.server.server_process import ServerProcess, command, environment
from tests.waiting import waited_for

ROOT = "/api/phase5"
SECRET = "a sentence that nobody finds any more"


@dataclass
class Linked:
    """A server whose Google is on a socket, and what a user does."""

    google: GoogleServer
    server: ServerProcess

    def link(self, user: str = "ana", email: str = "ana@example.com") -> dict[str, Any]:
        begun = self.server.call("POST", f"{ROOT}/auth/authorize", user=user)
        back = self.google.consents.consent(begun["authorization_url"], email)
        parked = self.server.http.get(self.server.address + back.partition(":8000")[2])
        assert parked.status_code == 200, parked.text
        said = {"state": begun["state"], "ticket": parked.json()["ticket"]}
        shown: dict[str, Any] = self.server.call("POST", f"{ROOT}/auth/complete", user=user, json=said)
        return shown

    def save(self, text: str, *, user: str = "ana", **said: str) -> str:
        answer = self.server.call("POST", f"{ROOT}/storage/save-artifact", user=user, json={"text": text, **said})
        assert answer["drive_result"] == {"file_id": answer["file_id"], "queued": True}
        return str(answer["file_id"])

    def contents(self, file: str) -> list[bytes]:
        found = self.google.drive().of_file(file)
        return [revision.data for each in found for revision in each.revisions]


@pytest.fixture
def linked() -> Iterator[Linked]:
    with quick_folder() as folder, served(GoogleServer(clock=[datetime.now(UTC)])) as google:
        google.consents.redirects = (f"http://localhost:8000{ROOT}/auth/callback",)
        key = folder / "drive-keys.json"
        made = subprocess.run(
            [sys.executable, "-m", "afterimage.edges.drive", str(key)], env=environment(), check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        assert "has a new key" in made.stdout
        variables = {
            "GOOGLE_CLIENT_ID": google.consents.client_id, "GOOGLE_CLIENT_SECRET": google.consents.client_secret,
            "GOOGLE_REDIRECT_URI": google.consents.redirects[0], "DRIVE_KEY": str(key),
            "GOOGLE_OAUTH_URL": google.url, "GOOGLE_API_URL": google.url,
        }  # fmt: skip
        server = ServerProcess(folder / "machine", variables).start()
        yield Linked(google, server)
        assert server.stop() == 0
        assert google.broken_contracts == []


def test_what_is_saved_goes_to_the_drive_by_itself_and_a_kill_on_the_way_doubles_nothing(linked: Linked) -> None:
    """Killed while Google is silent in the middle of an upload; started again it goes on at once, to one file."""
    server, google = linked.server, linked.google
    assert linked.link()["state"] == "active"
    file = linked.save("one", name="a.txt")
    server.until(lambda: linked.contents(file) == [b"one"])
    google.faults = [None, None, Fault(status=503, retry_after="3000")]
    linked.save("two", file_id=file)
    server.until(lambda: not google.faults)
    server.kill()
    server.start()
    linked.save("three", file_id=file)
    server.until(lambda: linked.contents(file)[-1:] == [b"three"])
    assert linked.contents(file) == [b"one", b"two", b"three"]
    shown = server.call("GET", f"{ROOT}/auth/link")
    assert (shown["state"], shown["account_email"]) == ("active", "ana@example.com")
    assert server.call("GET", f"{ROOT}/storage/overview")["google_drive"]["connected"] is True


def test_an_erased_user_is_gone_from_the_folder_and_from_google_and_nobody_else_is(linked: Linked) -> None:
    """Files, documents, the permission, and every byte that told of them; another user keeps everything."""
    server = linked.server
    linked.link()
    file = linked.save(SECRET, name="secret.txt", description=SECRET)
    other = server.call("POST", f"{ROOT}/storage/save-artifact", user="bob", json={"text": "bob's", "name": "b.txt"})
    server.call("POST", "/generations/generate", json={"prompt": SECRET, "project_id": "the-project"})
    server.until(lambda: linked.contents(file) == [SECRET.encode()])
    assert files_with(server.folder, SECRET.encode())
    job = server.call("POST", "/api/account/erase", json={"confirm": "ana"}, expect=202)["job"]
    server.until(lambda: linked.google.consents.revoked == ["ana@example.com"])
    server.until(lambda: server.call("GET", f"{ROOT}/storage/files")["files"] == [])
    try:
        server.until(lambda: not files_with(server.folder, SECRET.encode()))
    except AssertionError as error:
        raise AssertionError(where_it_is(server.folder)) from error
    assert server.call("GET", "/generations")["generations"] == []
    assert server.call("GET", f"{ROOT}/auth/link")["state"] == "unlinked"
    assert server.call("GET", f"{ROOT}/storage/files", user="bob")["files"][0]["file_id"] == other["file_id"]
    assert linked.contents(file) == [SECRET.encode()], "what lies in the user's Drive is the user's"
    assert job.startswith("user.erase-")


def test_an_erasure_waits_for_google_and_is_not_kept_from_its_end(tmp_path: Path) -> None:
    """Google that is not there counts no attempt; where Google refuses, the user is erased all the same."""
    with served(GoogleServer(clock=[datetime.now(UTC)])) as google:
        google.consents.redirects = (f"http://localhost:8000{ROOT}/auth/callback",)
        machine = open_machine(
            replace(read_server_settings({}), api=settings_for(google, tmp_path), folder=tmp_path / "m")
        )
        Linking(machine.folder, machine.settings.api).link(google)
        links = machine.tasks.jobs.drive_links
        assert links is not None
        hurried = replace(links, oauth=replace(links.oauth, wait=lambda _seconds: None))
        tasks = replace(machine.tasks, jobs=replace(machine.tasks.jobs, drive_links=hurried))
        tasks.publish("user.erase", {"job": "erase", "uid": "ana"})
        [entry] = machine.queue.entries(kinds=[JOB])
        google.faults = [Fault(status=503)] * 4
        with pytest.raises(PostponedError):
            tasks.handlers()[JOB](entry)
        assert machine.folder.documents.read(drive_link_path("ana")) is not None
        google.faults = [Fault(status=403)]
        tasks.handlers()[JOB](entry)
        assert google.consents.revoked == []
        machine.start_work()
        waited_for(lambda: machine.folder.documents.read(drive_link_path("ana")) is None)
        machine.stop_work()
        machine.close()


def test_a_new_key_takes_over_by_one_request(linked: Linked, tmp_path: Path) -> None:
    """A key is added, the server started anew, `drive.rewrap` asked for over the API; the old key can go."""
    server = linked.server
    linked.link()
    server.token("root", is_admin=True)
    key = Path(server.variables["DRIVE_KEY"])
    [old] = named_keys(key)
    subprocess.run([sys.executable, "-m", "afterimage.edges.drive", str(key)], env=environment(), check=True)
    assert server.stop() == 0
    server.start()
    server.call("POST", "/api/operations/jobs", json={"kind": "drive.rewrap"}, user="ana", expect=403)
    server.call("POST", "/api/operations/jobs", json={"kind": "drive.rewrap"}, user="root", expect=202)
    server.until(lambda: server.call("GET", "/local/queue", user="root")["size"] == 0)
    text = key.read_text()
    assert old in text
    key.write_text(text.replace(old, "gone"))
    assert server.stop() == 0
    server.start()
    file = linked.save("under the new key", name="c.txt")
    server.until(lambda: linked.contents(file) == [b"under the new key"])


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"GOOGLE_CLIENT_ID": "app"}, "DRIVE_KEY"),
        ({"GOOGLE_CLIENT_ID": "app", "DRIVE_KEY": "/nowhere", "GOOGLE_REDIRECT_URI": "http://localhost/x"}, "SECRET"),
        (
            {"GOOGLE_CLIENT_ID": "app", "DRIVE_KEY": "/nowhere", "GOOGLE_REDIRECT_URI": "http://localhost/x",
             "GOOGLE_CLIENT_SECRET": "secret"},
            "the key file `/nowhere` cannot be read",
        ),
    ],
)  # fmt: skip
def test_half_a_drive_is_told_at_the_start(tmp_path: Path, variables: dict[str, str], told: str) -> None:
    """And not to the first user who would link one."""
    ended = command("--folder", str(tmp_path / "machine"), "serve", "--port", "0", **variables)
    assert ended.returncode == 1
    assert told in ended.stderr


def named_keys(path: Path) -> list[str]:
    return list(json.loads(path.read_text())["keys"])


def files_with(folder: Path, what: bytes) -> list[Path]:
    """Every file below that holds the bytes, the database, its log and the journal included."""
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            found += [path] if path.is_file() and what in path.read_bytes() else []
        except FileNotFoundError:
            continue
    return found


def where_it_is(folder: Path) -> str:
    """Which files and rows still tell of the secret, and what waits in the queue: a failure that explains itself."""
    told = [f"{path}: byte {path.read_bytes().find(SECRET.encode())}" for path in files_with(folder, SECRET.encode())]
    with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = database.execute(f"SELECT * FROM {table}").fetchall()
            told += [f"{table}: {row}" for row in rows if table == "queue" or SECRET in repr(row)]
    return "\n".join(told)
