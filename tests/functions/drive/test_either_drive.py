"""The same promises twice: against the contract server, and against the real Drive where an account is named.

The real one is asked where the environment holds REAL_DRIVE_CLIENT_ID, REAL_DRIVE_CLIENT_SECRET and
REAL_DRIVE_REFRESH_TOKEN of a spare account; everything that is made there is deleted at the end.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

import msgspec
import pytest

from afterimage.edges.drive.faults import DriveThereError
from afterimage.edges.drive.google.drive_api import GOOGLE_API, DriveApi, DriveRevision
from afterimage.edges.drive.google.google_oauth import OAUTH_API, GoogleOAuth
from afterimage.edges.drive.mirroring.mirrors import FOLDER_MARK, FOLDER_NAME
from tests.functions.drive.drive_world import PIECE, DriveWorld, drive_world
from tests.functions.drive.google_server import GoogleServer
from tests.functions.drive.test_cut_anywhere import quiet
from tests.functions.media_world import Crash

NEEDED = ("REAL_DRIVE_CLIENT_ID", "REAL_DRIVE_CLIENT_SECRET", "REAL_DRIVE_REFRESH_TOKEN")


@dataclass
class EitherDrive:
    """A linked user, and what can be seen through Drive's own calls alone."""

    world: DriveWorld

    @property
    def api(self) -> DriveApi:
        link = self.world.links.opened("ana")
        assert link is not None
        return self.world.links.api_of(link)

    def revisions(self, file: str) -> list[DriveRevision]:
        found = self.api.revisions(self.world.mirror(file)["drive_id"])
        return sorted(found, key=lambda revision: revision.modified_time or self.world.now)

    def dies_at(self, step: Callable[[str], None]) -> None:
        """Its work, until that step raises; what comes afterwards is undisturbed."""
        self.world.step = step
        with pytest.raises(Crash):
            self.world.work()
        self.world.step = quiet

    def settle(self) -> None:
        for _ in range(20):
            self.world.work()
            if not self.world.waiting():
                return
            self.world.pass_time(minutes=11)
        raise AssertionError(self.world.notes())

    def look(self) -> None:
        """What the feed tells, an hour later."""
        self.world.pass_time(hours=1, minutes=1)
        self.settle()

    def as_a_person(self, file: str, **said: object) -> None:
        """Changes a file as somebody would, past all that is written down here."""
        identifier = self.world.mirror(file)["drive_id"]
        url = f"{self.api.root}/drive/v3/files/{quote(identifier)}?fields=id"
        headers = {"Content-Type": "application/json"}
        self.api.exchange.send("PATCH", url, content=msgspec.json.encode(said), headers=headers)

    def edit(self, file: str, data: bytes) -> None:
        identifier = self.world.mirror(file)["drive_id"]
        session = self.api.start_upload(
            identifier, {}, is_new=False, size=len(data), content_type="text/plain", is_kept=False
        )
        span = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
        self.api.exchange.send("PUT", session, content=data, headers=span)


@pytest.fixture
def here() -> Iterator[EitherDrive]:
    with drive_world() as world:
        world.link()
        yield EitherDrive(world)


@pytest.fixture
def real() -> Iterator[EitherDrive]:
    missing = [name for name in NEEDED if not os.environ.get(name)]
    if missing:
        pytest.skip(f"the real Drive is asked where the environment holds {', '.join(missing)}")
    client, secret, token = (os.environ[name] for name in NEEDED)
    world = DriveWorld(google=GoogleServer(), oauth_api=OAUTH_API, api_root=GOOGLE_API)
    oauth = GoogleOAuth(client_id=client, client_secret=secret, redirect_uri="https://localhost/")
    world.links = replace(world.links, oauth=oauth)
    world.queue = world.new_queue()
    granted = msgspec.structs.replace(oauth.refreshed(token), refresh_token=token)
    world.links.keep_granted("ana", granted)
    drive = EitherDrive(world)
    yield drive
    made = {fields["drive_id"] for path, (fields, *_) in world.desk.store.documents.items() if "/mirrors/" in path}
    for identifier in (*made, world.shown()["folder_id"]):
        if identifier:
            drive.api.exchange.send("DELETE", f"{GOOGLE_API}/drive/v3/files/{identifier}", taken={404})


@pytest.fixture(params=["here", "real"])
def either(request: pytest.FixtureRequest) -> EitherDrive:
    found: EitherDrive = request.getfixturevalue(request.param)
    return found


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_versions_are_revisions_in_their_order_and_are_kept(either: EitherDrive) -> None:
    """A small one, one of several pieces, an empty one: three revisions of one file, all kept for ever."""
    versions = [b"one", b"0123456789abcdef" * (PIECE * 5 // 32) + b".", b""]
    file = either.world.desk.save(versions[0]).head.file
    for data in versions[1:]:
        either.world.desk.save(data, file=file)
    either.settle()
    found = either.revisions(file)
    assert [revision.md5_checksum for revision in found] == [md5(data) for data in versions]
    assert [revision.keep_forever for revision in found] == [True] * 3
    shown = either.world.mirror(file)["revisions"]
    assert [each["revision_id"] for each in shown] == [revision.id for revision in found]


def test_an_id_makes_one_thing_however_often_it_is_made(either: EitherDrive) -> None:
    """A folder that is made again under its id is refused as one that is there, and found by its properties."""
    identifier = either.api.new_id()
    assert either.api.make_folder(identifier, FOLDER_NAME, {**FOLDER_MARK, "try": identifier[:20]})
    assert not either.api.make_folder(identifier, FOLDER_NAME, FOLDER_MARK)
    found = either.api.file(identifier)
    assert found is not None
    assert found.app_properties["try"] == identifier[:20]
    with pytest.raises(DriveThereError):
        either.api.start_upload(identifier, {}, is_new=True, size=1, content_type="text/plain", is_kept=False)
    either.api.exchange.send(
        "PATCH",
        f"{either.api.root}/drive/v3/files/{identifier}?fields=id",
        content=b'{"trashed": true}',
        headers={"Content-Type": "application/json"},
    )


def test_an_upload_that_was_cut_goes_on_from_what_drive_holds(either: EitherDrive) -> None:
    """The process dies between two pieces; another takes the session up, and one revision comes of it."""
    data = b"0123456789abcdef" * (PIECE * 3 // 16) + b"!"
    file = either.world.desk.save(data).head.file
    pieces = 0

    def step(what: str) -> None:
        nonlocal pieces
        pieces += what.startswith("after PUT")
        if pieces == 2:
            raise Crash(what)

    either.dies_at(step)
    either.settle()
    assert [revision.md5_checksum for revision in either.revisions(file)] == [md5(data)]


def test_an_answer_that_was_lost_makes_no_second_revision(either: EitherDrive) -> None:
    """The last piece arrived and the process died: the file's own properties say so."""
    file = either.world.desk.save(b"one").head.file
    either.settle()
    either.world.desk.save(b"two", file=file)

    def step(what: str) -> None:
        if what.startswith("after PUT"):
            raise Crash(what)

    either.dies_at(step)
    either.settle()
    assert [revision.md5_checksum for revision in either.revisions(file)] == [md5(b"one"), md5(b"two")]


def test_what_leaves_the_window_is_let_go_of(either: EitherDrive) -> None:
    """Thirty-two versions: the two oldest are not kept for ever any more, all others are."""
    file = either.world.desk.save(b"0").head.file
    for number in range(1, 32):
        either.world.desk.save(str(number).encode(), file=file)
        if number in {1, 15}:
            either.settle()
    either.settle()
    found = either.revisions(file)
    kept = [revision.md5_checksum for revision in found if revision.keep_forever]
    assert kept == [md5(str(number).encode()) for number in range(2, 32)]


def test_what_people_do_is_told_by_the_feed_and_left_alone(either: EitherDrive) -> None:
    """Renamed, edited, trashed: noticed within the hour; the next version goes elsewhere where it must."""
    file = either.world.desk.save(b"one").head.file
    either.settle()
    first = either.world.mirror(file)["drive_id"]
    either.as_a_person(file, name="renamed.txt")
    either.look()
    assert either.world.mirror(file)["noticed"]["renamed_to"] == "renamed.txt"
    either.edit(file, b"a person's")
    either.look()
    assert either.world.mirror(file)["noticed"]["edited_revision_id"]
    either.world.desk.save(b"two", file=file)
    either.settle()
    second = either.world.mirror(file)["drive_id"]
    assert second != first
    there = either.api.file(first)
    assert there is not None
    assert (there.md5_checksum, there.name) == (md5(b"a person's"), "renamed.txt")
    either.as_a_person(file, trashed=True)
    either.look()
    assert either.world.mirror(file)["noticed"]["trashed"]
    assert [each["drive_id"] for each in either.world.mirror(file)["earlier"]] == [first]


def test_room_is_told_in_numbers(either: EitherDrive) -> None:
    """What Drive tells as texts is shown as numbers, and a share of the limit where there is one."""
    quota = either.world.shown()["quota"]
    assert isinstance(quota["usage_bytes"], int)
    assert 0 <= quota["usage_percentage"] <= 100
