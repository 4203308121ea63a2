"""Uploads: announced and reserved, validated by content as they arrive, kept once, and said when they come late."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from afterimage.artifacts.arrivals import Arrival
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.refusals import RefusalKind, RefusedError
from afterimage.artifacts.uploads import Announcement
from tests.functions.artifacts.desk import BUCKET, Desk
from tests.functions.interleaving import Turns
from tests.functions.media_world import Crash

TEXT = b"a line of text\n" * 20


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Whatever a test has done, heads, versions, contents, files and accounts agree when it ends."""
    found = Desk()
    yield found
    assert found.faults() == []


def test_an_upload_becomes_a_version_and_leaves_nothing_behind(desk: Desk) -> None:
    """Reserved while it is under way, listened to, taken over, deleted where it arrived."""
    announced = desk.announce(len(TEXT), description="big", tags=("t",))
    assert announced.link is not None
    assert announced.link.headers["x-goog-content-length-range"] == f"{len(TEXT)},{len(TEXT)}"
    assert desk.quota() | {"reserved_bytes": len(TEXT), "used_bytes": 0} == desk.quota()
    assert announced.upload is not None
    desk.uploading.report("ana", announced.upload.id, 100)
    desk.uploading.report("ana", announced.upload.id, 40)
    assert desk.upload(announced)["received_bytes"] == 100
    assert desk.tell(desk.send(announced, TEXT)) is Arrival.KEPT
    shown = desk.upload(announced)
    assert (shown["state"], shown["version_number"], shown["received_bytes"]) == ("done", 1, len(TEXT))
    head = desk.library.head("ana", shown["saved_file_id"])
    assert (head.name, head.tags, desk.read(head.file, 1)) == ("large.txt", ("t",), TEXT)
    assert [name for _, name in desk.uploads.files] == [f"artifacts/ana/blobs/{hashlib.sha256(TEXT).hexdigest()}"]
    assert (desk.quota()["reserved_bytes"], desk.quota()["used_bytes"]) == (0, len(TEXT))


def test_what_can_be_known_before_is_refused_before(desk: Desk) -> None:
    """Too large, no type that is kept, no room, no name: each alone, and the others of the batch go on."""
    said = Description(name="a.txt")
    batch = [
        Announcement(said=said, size=10),
        Announcement(said=said, size=100 * 1024 * 1024 + 1),
        Announcement(said=Description(name="run.exe"), size=10),
        Announcement(said=Description(name="a.png"), size=10, declared_type="video/mp4"),
        Announcement(said=said, size=10, declared_type="application/x-msdownload"),
        Announcement(said=said, size=desk.room - 9),
        Announcement(said=said, size=desk.room - 10),
        Announcement(said=Description(), size=1),
        Announcement(said=said, size=0),
        Announcement(said=said, size=1, file="nobody"),
        Announcement(said=said, size=1, digest="0A"),
    ]
    found = desk.uploading.announce("ana", batch, operation="batch")
    kinds = [each.refusal.kind.value if each.refusal else "" for each in found]
    assert kinds == [
        "", "FILE_TOO_LARGE", "INVALID_FILE_TYPE", "INVALID_FILE_TYPE", "INVALID_FILE_TYPE", "STORAGE_QUOTA_EXCEEDED",
        "", "INVALID_REQUEST", "INVALID_REQUEST", "NOT_FOUND", "INVALID_REQUEST",
    ]  # fmt: skip
    assert desk.quota()["reserved_bytes"] == desk.room
    again = desk.uploading.announce("ana", batch, operation="batch")
    assert [each.upload for each in again] == [each.upload for each in found]
    assert desk.quota()["reserved_bytes"] == desk.room
    with pytest.raises(RefusedError, match="announced at once"):
        desk.uploading.announce("ana", batch * 10, operation="many")


@pytest.mark.parametrize(
    ("name", "declared", "data", "code"),
    [
        ("a.png", "image/png", b"not a picture", "INVALID_FILE_TYPE"),
        ("a.txt", "", b"\x7fELF" + bytes(50), "INVALID_FILE_TYPE"),
        ("a.txt", "", b"text" * 20_000 + b"\xff", "INVALID_FILE_TYPE"),
        ("a.mp4", "video/mp4", b"MZ" + bytes(50), "INVALID_FILE_TYPE"),
        ("a.json", "", b"\0\1\2", "INVALID_FILE_TYPE"),
        ("photo.jpg", "image/jpeg", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "INVALID_FILE_TYPE"),
    ],
)
def test_bytes_that_are_not_what_they_claim_are_refused_and_deleted(
    desk: Desk, name: str, declared: str, data: bytes, code: str
) -> None:
    """The document says why, the room is free again, and no byte stays."""
    announced = desk.announce(len(data), name=name, declared_type=declared)
    file = desk.send(announced, data)
    assert desk.tell(file) is Arrival.REFUSED
    shown = desk.upload(announced)
    assert (shown["state"], shown["code"]) == ("refused", code)
    assert shown["reason"]
    assert desk.uploads.files == {}
    assert desk.quota()["reserved_bytes"] == 0
    assert desk.tell(file) is Arrival.GONE


def test_other_bytes_than_announced_are_refused(desk: Desk) -> None:
    """More or fewer than announced, or of another digest."""
    announced = desk.announce(10)
    assert desk.tell(desk.send(announced, b"eleven byte")) is Arrival.REFUSED
    promised = desk.announce(4, digest=hashlib.sha256(b"true").hexdigest())
    assert desk.tell(desk.send(promised, b"lies")) is Arrival.REFUSED
    assert "sha256" in desk.upload(promised)["reason"]


def test_a_file_that_comes_after_its_reservation_is_deleted_and_said(desk: Desk) -> None:
    """Whether or not the job has released the room by then; nobody gets room that was not reserved."""
    for cleaned in (False, True):
        announced = desk.announce(len(TEXT))
        desk.pass_time(hours=25)
        if cleaned:
            desk.clean_up()
            assert desk.upload(announced)["state"] == "expired"
        assert desk.tell(desk.send(announced, TEXT)) is Arrival.LATE
        shown = desk.upload(announced)
        assert (shown["state"], shown["late_arrival_at"]) == ("expired", desk.clock)
        assert "announce it again" in shown["reason"]
        assert desk.uploads.files == {}
        assert desk.quota()["reserved_bytes"] == 0


def test_a_file_that_came_in_time_is_kept_however_late_its_event(desk: Desk) -> None:
    """What counts is when the store had all of it; the job does not expire what has arrived, it takes it over."""
    late, lost = desk.announce(len(TEXT)), desk.announce(len(TEXT), name="other.txt")
    file = desk.send(late, TEXT)
    desk.send(lost, TEXT)
    desk.pass_time(hours=30)
    desk.clean_up()
    assert desk.upload(lost)["state"] == "done"
    desk.tell(file)
    assert desk.upload(late)["state"] == "done"


def test_cancelling_frees_the_room_and_what_still_comes_is_deleted(desk: Desk) -> None:
    """Once ended, an upload stays so, and a new link is refused."""
    announced = desk.announce(len(TEXT))
    assert announced.upload is not None
    assert desk.uploading.again("ana", announced.upload.id).link == announced.link
    desk.uploading.cancel("ana", announced.upload.id)
    assert desk.quota()["reserved_bytes"] == 0
    assert desk.tell(desk.send(announced, TEXT)) is Arrival.LATE
    assert desk.uploading.cancel("ana", announced.upload.id).state == "cancelled"
    with pytest.raises(RefusedError, match="announce it again"):
        desk.uploading.again("ana", announced.upload.id)
    with pytest.raises(RefusedError, match="there is no upload"):
        desk.uploading.read("борис", announced.upload.id)


def test_bytes_that_are_there_need_not_travel(desk: Desk) -> None:
    """A digest that is known makes the version at once; what nobody refers to any more counts as known too."""
    first = desk.save(TEXT)
    digest = hashlib.sha256(TEXT).hexdigest()
    announced = desk.announce(len(TEXT), name="copy.txt", digest=digest)
    assert announced.link is None
    assert desk.upload(announced)["state"] == "done"
    desk.library.remove("ana", first.head.file)
    desk.library.remove("ana", desk.upload(announced)["saved_file_id"])
    assert desk.quota()["used_bytes"] == 0
    assert desk.announce(len(TEXT), name="third.txt", digest=digest).link is None
    assert desk.quota()["used_bytes"] == len(TEXT)
    assert desk.announce(len(TEXT), user="борис", digest=digest).link is not None, "never another user's bytes"


def test_equal_uploads_are_stored_once(desk: Desk) -> None:
    """Two that arrive with the same bytes make two files of one content."""
    both = [desk.announce(len(TEXT), name=name) for name in ("a.txt", "b.txt")]
    for announced in both:
        assert desk.tell(desk.send(announced, TEXT)) is Arrival.KEPT
    assert len(desk.uploads.files) == 1
    assert desk.quota()["used_bytes"] == len(TEXT)
    assert len(desk.library.listed("ana", limit=9)) == 2


def test_an_upload_to_a_file_that_was_deleted_meanwhile_is_refused(desk: Desk) -> None:
    """It says so, and gives its room back."""
    file = desk.save(b"x").head.file
    announced = desk.announce(len(TEXT), file=file)
    desk.library.remove("ana", file)
    assert desk.tell(desk.send(announced, TEXT)) is Arrival.REFUSED
    assert desk.upload(announced)["code"] == RefusalKind.NOT_FOUND


def test_a_delivery_that_dies_anywhere_is_completed_by_the_next(desk: Desk) -> None:
    """Whichever store operation is the last one: afterwards one version, no file left, the account exact."""
    for last in range(1, 14):
        data = b"crash %d\n" % last * 9
        announced = desk.announce(len(data))
        file = desk.send(announced, data)
        left = [last]

        def die(_call: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise Crash

        desk.store.before = desk.uploads.before = die
        try:
            desk.tell(file)
        except Crash:
            pass
        desk.store.before = desk.uploads.before = lambda _call: None
        assert desk.faults() == []
        desk.tell(file)
        assert desk.upload(announced)["state"] == "done", last
        assert not any("uploads" in name for _, name in desk.uploads.files)


@pytest.mark.parametrize("seed", range(60))
def test_any_interleaving_of_arrivals_ends_exact(seed: int) -> None:
    """Deliveries, twice; saves of the same bytes; cancels; the clean-up; some killed, in any order of operations."""
    dice = random.Random(seed)
    desk = Desk(dice=dice, room=400)
    turns = Turns()
    datas = [b"one\n" * 10, b"two\n" * 10]
    announced = [desk.announce(40, name=f"{number}.txt") for number in range(4)]
    files = [desk.send(each, dice.choice(datas)) for each in announced]
    file = desk.save(datas[0]).head.file
    if dice.random() < 0.5:
        desk.pass_time(hours=dice.choice([0.5, 2, 25]))
    works: list[Callable[[], object]] = [
        *(partial(desk.tell, each) for each in files),
        partial(desk.tell, dice.choice(files)),
        partial(desk.save, dice.choice(datas), name="s.txt"),
        partial(desk.library.remove, "ana", file),
        desk.clean_up,
        desk.clean_up,
    ]
    first = announced[0].upload
    assert first is not None
    works.append(partial(desk.uploading.cancel, "ana", first.id))
    dice.shuffle(works)

    def work(deed: Callable[[], object]) -> None:
        try:
            deed()
        except (RefusedError, Crash):
            return

    desk.store.before = desk.uploads.before = turns.pause
    for deed in works[:7]:
        turns.start(partial(work, deed))
    turns.run_in_any_order(dice, killed=0.02)
    desk.store.before = desk.uploads.before = lambda _call: None
    assert desk.faults() == [], f"seed {seed}"
    for each in files:
        desk.tell(each)
    desk.pass_time(days=3)
    desk.clean_up()
    desk.clean_up()
    assert desk.faults() == [], f"seed {seed}"
    assert desk.quota()["reserved_bytes"] == 0
    referred = {f"artifacts/ana/blobs/{e['sha256']}" for f in heads(desk) for e in f["kept"]}
    assert {name for _, name in desk.uploads.files} == referred, f"seed {seed}"


def heads(desk: Desk) -> list[dict[str, Any]]:
    return [f for p, (f, *_) in desk.store.documents.items() if "/files/" in p and p.count("/") == 3]


def test_bytes_that_somebody_deletes_are_no_longer_charged(desk: Desk) -> None:
    """The version says that its bytes are lost; saving them again, or storing them again by hand, heals it."""
    saved = desk.save(TEXT)
    digest = saved.head.newest.digest
    name = f"artifacts/ana/blobs/{digest}"
    stored, data = desk.uploads.files.pop((BUCKET, name))
    for _ in range(2):
        desk.arrivals.deleted(BUCKET, name, stored.generation)
    assert desk.quota()["used_bytes"] == 0
    with pytest.raises(RefusedError, match="lost"):
        desk.read(saved.head.file, 1)
    restored = desk.uploads.put(BUCKET, name, data, content_type="text/plain")
    assert desk.tell(restored) is Arrival.ADOPTED
    assert desk.tell(restored) is Arrival.KNOWN
    desk.arrivals.deleted(BUCKET, name, stored.generation)
    assert (desk.read(saved.head.file, 1), desk.quota()["used_bytes"]) == (TEXT, len(TEXT))
    overwritten = desk.uploads.put(BUCKET, name, b"something else", content_type="text/plain")
    assert desk.tell(overwritten) is Arrival.LOST
    assert desk.uploads.files == {}
    desk.save(TEXT, file=saved.head.file)
    assert (desk.read(saved.head.file, 1), desk.quota()["used_bytes"]) == (TEXT, len(TEXT))


def test_bytes_without_a_version_are_cleared_away(desk: Desk) -> None:
    """Released ones at once; those that a crash left when they are an hour old; never what is in use."""
    kept = desk.save(b"kept").head.file
    gone = desk.save(b"gone", name="gone.txt").head.file
    desk.library.remove("ana", gone)
    stray = desk.uploads.put(BUCKET, "artifacts/ana/blobs/" + "0a" * 32, b"stray", content_type="text/plain")
    desk.clean_up()
    assert len(desk.uploads.files) == 2
    desk.pass_time(hours=2)
    desk.clean_up()
    assert len(desk.uploads.files) == 1
    assert (BUCKET, stray.name) not in desk.uploads.files
    assert desk.read(kept, 1) == b"kept"


def test_an_upload_that_is_cancelled_while_it_is_looked_at_stays_cancelled(desk: Desk) -> None:
    """At whatever moment of the delivery: the client was told that nothing comes of it."""
    for steps in range(2, 12):
        announced = desk.announce(len(TEXT) + steps)
        assert announced.upload is not None
        file = desk.send(announced, TEXT + b"x" * steps)
        turns = Turns()
        desk.store.before = desk.uploads.before = turns.pause
        delivery = turns.start(partial(desk.tell, file))
        for _ in range(steps):
            if turns.running:
                turns.step(0)
        told = desk.uploading.cancel("ana", announced.upload.id).state
        while turns.running:
            turns.step(0)
        desk.store.before = desk.uploads.before = lambda _call: None
        assert delivery.is_over
        assert desk.upload(announced)["state"] == told
        assert not any("uploads" in name for _, name in desk.uploads.files)
        assert desk.faults() == []


def test_bytes_saved_again_while_they_are_being_deleted_are_there_afterwards(desk: Desk) -> None:
    """Between any two steps of the collector, however long it pauses there."""
    for steps in range(1, 6):
        data = b"%d" % steps * 7
        name = f"artifacts/ana/blobs/{hashlib.sha256(data).hexdigest()}"
        desk.library.remove("ana", desk.save(data).head.file)
        stored = desk.store.read(name)
        assert stored is not None
        turns = Turns()
        desk.store.before = desk.uploads.before = turns.pause
        turns.start(partial(desk.collector.content, "ana", stored))
        for _ in range(steps):
            if turns.running:
                turns.step(0)
        file = desk.save(data).head.file
        while turns.running:
            turns.step(0)
        desk.store.before = desk.uploads.before = lambda _call: None
        assert desk.read(file, 1) == data
        assert desk.faults() == []
