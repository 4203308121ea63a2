"""Owns a user with saved files and a Google Drive: Google on a socket, stores in memory, one clock for all."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2

from afterimage.artifacts.drive_notes import drive_note_id
from afterimage.drive_paths import drive_link_path, drive_mirror_path, drive_note_path, drive_path
from afterimage.edges.drive.google.google_oauth import GoogleOAuth
from afterimage.edges.drive.keys.key_file import KeyFile
from afterimage.edges.drive.keys.sealing import KeyKeeper, Sealer
from afterimage.edges.drive.links.links import PROVIDER, DriveLinks
from afterimage.edges.drive.mirroring.mirror_work import MirrorTools
from afterimage.edges.drive.mirroring.queue import DriveQueue
from tests.functions.artifacts.desk import Desk
from tests.functions.drive.drive_model import Drive, KeptFile
from tests.functions.drive.google_server import GoogleServer, served

REDIRECT = "https://api.example.com/api/phase5/auth/callback"
KEYS = KeyFile(current="one", keys={"one": b"k" * 32})
PIECE = 256 * 1024


@dataclass
class DriveWorld:
    """All parts, and what a person does."""

    google: GoogleServer
    desk: Desk = field(default_factory=lambda: Desk(notes_drive=True, room=1 << 30))
    keeper: KeyKeeper = KEYS
    waits: list[float] = field(default_factory=list)
    oauth_api: str = ""
    api_root: str = ""
    """Empty: the server's."""
    step: Callable[[str], None] = lambda _what: None
    """Called around everything that reaches a store or Google, and may raise."""

    def __post_init__(self) -> None:
        self.desk.clock = self.google.now
        self.restart()

    def restart(self) -> None:
        """Another process in place of this one, with nothing in memory."""
        self.watch_stores()
        self.links = self.new_links()
        self.queue = self.new_queue()

    def watch_stores(self) -> None:
        for port in (self.desk.store, self.desk.uploads):
            port.before = lambda call: self.step(f"before {call}")
            port.after = lambda call: self.step(f"after {call}")

    def _client(self) -> httpx2.Client:
        return httpx2.Client(
            timeout=20,
            event_hooks={
                "request": [lambda request: self.step(f"before {request.method} {request.url.path}")],
                "response": [lambda answer: self.step(f"after {answer.request.method} {answer.request.url.path}")],
            },
        )

    def new_links(self) -> DriveLinks:
        """As another instance would have them: with nothing in memory."""
        oauth = GoogleOAuth(
            client_id=self.google.consents.client_id,
            client_secret=self.google.consents.client_secret,
            redirect_uri=REDIRECT,
            oauth_api=self.oauth_api or self.google.url,
            client=self._client(),
            wait=self.waits.append,
            now=lambda: self.google.now,
        )
        return DriveLinks(
            documents=self.desk.store,
            oauth=oauth,
            sealer=Sealer(keeper=self.keeper, provider=PROVIDER),
            api_root=self.api_root or self.google.url,
            client=self._client(),
            wait=self.waits.append,
            now=lambda: self.google.now,
        )

    def new_queue(self, piece_bytes: int = PIECE) -> DriveQueue:
        tools = MirrorTools(
            documents=self.desk.store,
            links=self.links,
            contents=self.desk.versions.contents,
            piece_bytes=piece_bytes,
            now=lambda: self.google.now,
        )
        return DriveQueue(tools=tools, dice=random.Random(3), seconds=lambda: 0.0)

    # -- a person

    def link(self, user: str = "ana", email: str = "ana@example.com") -> dict[str, Any]:
        """Begins, consents and completes in one browser."""
        begun, url = self.links.begin(user)
        back = self.google.consents.consent(url, email)
        query = {name: values[0] for name, values in parse_qs(urlsplit(back).query).items()}
        _, ticket = self.links.park(query["state"], code=query["code"], refused="")
        return dict(self.links.complete(user, begun.state, ticket))

    def pass_time(self, **span: float) -> None:
        """For Google and for the desk alike."""
        self.google.pass_time(**span)
        self.desk.clock = self.google.now

    def work(self) -> dict[str, int]:
        """One round."""
        return self.queue.run()

    def settle(self, *, most: int = 60, step: timedelta = timedelta(minutes=15)) -> None:
        """Rounds, and time between them, until nothing but looks at links is left."""
        for _ in range(most):
            self.work()
            if not self.waiting():
                return
            self.pass_time(seconds=step.total_seconds())
        raise AssertionError(f"never settled: {self.notes()}")

    # -- what there is

    @property
    def now(self) -> datetime:
        return self.google.now

    def drive(self, email: str = "ana@example.com") -> Drive:
        return self.google.drive(email)

    def notes(self) -> dict[str, dict[str, Any]]:
        found = {path: fields for path, (fields, *_) in self.desk.store.documents.items()}
        return {path: fields for path, fields in found.items() if path.startswith("_driveQueue/")}

    def waiting(self) -> list[dict[str, Any]]:
        """Notes of files, which are to become none."""
        return [fields for fields in self.notes().values() if fields["file"]]

    def note(self, file: str, user: str = "ana") -> dict[str, Any]:
        return self.desk.store.fields(drive_note_path(drive_note_id(user, file)))

    def mirror(self, file: str, user: str = "ana") -> dict[str, Any]:
        return self.desk.store.fields(drive_mirror_path(user, file))

    def shown(self, user: str = "ana") -> dict[str, Any]:
        return self.desk.store.fields(drive_path(user))

    def stored_link(self, user: str = "ana") -> dict[str, Any]:
        return self.desk.store.fields(drive_link_path(user))

    def there(self, file: str) -> KeptFile:
        """The one file in Drive that is this saved file."""
        [found] = self.drive().of_file(file)
        return found

    def contents(self, file: str) -> list[bytes]:
        return [revision.data for revision in self.there(file).revisions]


@contextmanager
def drive_world(**parts: Any) -> Iterator[DriveWorld]:
    with served(GoogleServer()) as google:
        world = DriveWorld(google=google, **parts)
        yield world
        assert google.broken_contracts == []
        assert world.desk.faults() == []
