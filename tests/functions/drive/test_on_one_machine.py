"""Drive over one machine's own stores: the very parts that run in the cloud, with a loop in place of triggers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.library import Saving
from afterimage.drive_paths import drive_mirror_path, drive_path
from afterimage.edges.drive.composition import drive_links_over, drive_queue_over
from afterimage.edges.drive.keys.key_file import add_key
from afterimage.settings import Settings, read_settings
from afterimage_server.store.machine_folder import MachineFolder
from afterimage_server.work.drive_thread import DriveThread
from tests.functions.drive.google_server import GoogleServer, served
from tests.functions.store.conftest import machine
from tests.waiting import waited_for


@dataclass(frozen=True)
class Machine:
    """What a server on one machine has."""

    folder: MachineFolder
    settings: Settings

    def link(self, google: GoogleServer) -> None:
        links = drive_links_over(self.folder.documents, self.settings)
        assert links is not None
        begun, url = links.begin("ana")
        back = parse_qs(urlsplit(google.consents.consent(url, "ana@example.com")).query)
        _, ticket = links.park(begun.state, code=back["code"][0], refused="")
        links.complete("ana", begun.state, ticket)

    def save(self, data: bytes, file: str | None = None) -> str:
        library = library_over(self.folder.documents, self.folder.files, self.settings)
        said = Description(name=None if file else "notes.txt")
        saved = library.save("ana", data, said, Saving(file=file), save=f"save {data.decode()[:20]}")
        assert saved.goes_to_drive
        return saved.head.file

    def loop(self) -> None:
        """What the server's loop does, until there is nothing to do."""
        queue = drive_queue_over(self.folder.documents, self.folder.files, self.settings)
        assert queue is not None
        queue.run()


@pytest.fixture
def google() -> Iterator[GoogleServer]:
    with served(GoogleServer(clock=[datetime.now(UTC)])) as running:
        running.consents.redirects = ("http://localhost:8000/api/phase5/auth/callback",)
        yield running
        assert running.broken_contracts == []


def settings_for(google: GoogleServer, folder: Path) -> Settings:
    add_key(folder / "keys.json")
    return read_settings({
        "GCLOUD_PROJECT": "one-machine", "DRIVE_KEY": str(folder / "keys.json"),
        "GOOGLE_CLIENT_ID": google.consents.client_id, "GOOGLE_CLIENT_SECRET": google.consents.client_secret,
        "GOOGLE_REDIRECT_URI": google.consents.redirects[0], "GOOGLE_OAUTH_URL": google.url,
        "GOOGLE_API_URL": google.url,
    })  # fmt: skip


@pytest.mark.parametrize("kind", ["machine", "sealed machine"])
def test_a_save_on_one_machine_lies_in_the_user_s_drive(google: GoogleServer, tmp_path: Path, kind: str) -> None:
    """Linked, saved, brought there; a server that starts again goes on with what waits in its folder."""
    settings = settings_for(google, tmp_path)
    with machine(tmp_path, kind) as folder:
        here = Machine(folder, settings)
        here.link(google)
        file = here.save(b"one")
        here.loop()
        here.save(b"two" * 200_000, file)
    with machine(tmp_path, kind) as folder:
        here = Machine(folder, settings)
        here.loop()
        mirror, shown = folder.documents.read_many([drive_mirror_path("ana", file), drive_path("ana")])
        assert mirror is not None
        assert shown is not None
        assert (mirror.fields["state"], mirror.fields["version_number"]) == ("current", 2)
        assert shown.fields["quota"]["limit_bytes"] == 15 * 1024**3
    [there] = google.drive().of_file(file)
    assert [revision.data for revision in there.revisions] == [b"one", b"two" * 200_000]


def test_a_save_wakes_the_work_that_nobody_else_would_wake(google: GoogleServer, tmp_path: Path) -> None:
    """What is new is brought there at once: here the thread's own next look is an hour away."""
    settings = settings_for(google, tmp_path)
    with machine(tmp_path, "machine") as folder:
        queue = drive_queue_over(folder.documents, folder.files, settings)
        assert queue is not None
        thread = DriveThread(queue, folder.erasures, look_every_seconds=3600)
        folder.following.documents = thread.documents_changed
        here = Machine(folder, settings)
        here.link(google)
        thread.start()
        for data in (b"one", b"two"):
            file = here.save(data)
            waited_for(partial(google.drive().of_file, file))
        thread.stop()
