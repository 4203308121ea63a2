"""Saved files in a user's Drive: each version a revision, thirty kept, nothing of a person's lost or overwritten."""

from __future__ import annotations

import functools
import gzip
import itertools
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from afterimage.artifacts.descriptions import Description
from afterimage.paths import blob_path
from tests.functions.artifacts.desk import Desk
from tests.functions.cdn.contract_server import Asked
from tests.functions.drive.drive_world import PIECE, DriveWorld, drive_world
from tests.functions.drive.google_server import Fault


def kept(world: DriveWorld, file: str) -> list[bytes]:
    return [revision.data for revision in world.there(file).revisions if revision.is_kept]


def test_every_save_of_a_linked_user_becomes_a_revision_in_the_app_s_folder(world: DriveWorld) -> None:
    """One folder, whose mark no other app sees; in it one file for each saved file, with every version in order."""
    world.link()
    first = world.desk.save(b"one")
    world.desk.save(b"two" * PIECE, file=first.head.file)
    other = world.desk.save(b"else", name="other.txt")
    assert first.goes_to_drive
    world.settle()
    [folder] = world.drive().folders()
    assert (folder.name, folder.properties) == ("Afterimage", {"afterimage": "folder"})
    for saved in (first, other):
        assert world.there(saved.head.file).parents == [folder.id]
    assert world.contents(first.head.file) == [b"one", b"two" * PIECE]
    mirror = world.mirror(first.head.file)
    assert (mirror["state"], mirror["version_number"], mirror["drive_id"]) == (
        "current",
        2,
        world.there(first.head.file).id,
    )
    assert mirror["url"].endswith(f"{mirror['drive_id']}/view")
    assert [each["revision_id"] for each in mirror["revisions"]] == [
        each.id for each in world.there(first.head.file).revisions
    ]
    assert world.shown()["folder_id"] == folder.id


def test_a_save_costs_the_few_requests_that_the_page_says(world: DriveWorld) -> None:
    """Five for a new file, four for another version; its note is written three times and then deleted."""
    world.link()
    world.desk.save(b"1", name="first.txt")
    world.settle()
    asked = len(world.google.asked)
    file = world.desk.save(b"1", name="second.txt").head.file
    world.settle()
    assert len(world.google.asked) == asked + 5
    world.desk.store.bill.taken()
    world.desk.save(b"2", file=file)
    world.settle()
    assert len(world.google.asked) == asked + 9
    _, writes, deletes = world.desk.store.bill.taken()
    # Head, version, content, account, note; claim; session; mirror twice.
    assert (writes, deletes) == (9, 1)


def test_where_nothing_is_linked_nothing_is_noted(world: DriveWorld) -> None:
    """A save costs nobody anything who has not linked a Drive."""
    saved = world.desk.save(b"one")
    assert world.notes() == {}
    assert not saved.goes_to_drive


def test_thirty_versions_are_kept_there_by_moving_along_and_pins_stay(world: DriveWorld) -> None:
    """What leaves the window is let go of, what is pinned is not; Drive purges the former after thirty days."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    for number in range(2, 41):
        world.desk.save(str(number).encode(), file=file)
        if number == 10:
            world.desk.library.pin("ana", file, 3, is_pinned=True)
        world.settle()
    wanted = [b"3", *(str(number).encode() for number in range(11, 41))]
    assert kept(world, file) == wanted
    assert len(world.there(file).revisions) == 40
    world.pass_time(days=31)
    assert world.drive().usage() == sum(len(data) for data in wanted)
    assert world.contents(file) == wanted
    world.desk.library.pin("ana", file, 3, is_pinned=False)
    world.settle()
    assert kept(world, file) == wanted[1:]
    assert [each["version_number"] for each in world.mirror(file)["revisions"]] == list(range(11, 41))


def test_versions_saved_while_nobody_works_arrive_in_their_order(world: DriveWorld) -> None:
    """Fifty saves before the first round: the thirty that are kept go, as thirty revisions of one file."""
    world.link()
    file = world.desk.save(b"1").head.file
    for number in range(2, 51):
        world.desk.save(str(number).encode(), file=file)
    world.settle()
    assert world.contents(file) == [str(number).encode() for number in range(21, 51)]


def test_an_automatic_save_takes_the_place_of_the_one_before(world: DriveWorld) -> None:
    """One version, saved three times: three revisions arrive, and only the last is kept for ever."""
    world.link()
    file = world.desk.save(b"a", auto_save=True, create_version=False).head.file
    world.settle()
    for data in (b"b", b"a"):
        world.desk.save(data, file=file, auto_save=True, create_version=False)
        world.settle()
    assert world.contents(file) == [b"a", b"b", b"a"]
    assert [revision.is_kept for revision in world.there(file).revisions] == [False, False, True]
    assert [each["version_number"] for each in world.mirror(file)["revisions"]] == [1]


def test_what_is_packed_here_goes_packed_and_is_called_so() -> None:
    """Beyond the threshold a text is gzip in Drive too, and its name says so; below it, it is as it was saved."""
    with drive_world(desk=Desk(notes_drive=True, pack_from=1000)) as world:
        _packed_and_not(world)


def _packed_and_not(world: DriveWorld) -> None:
    world.link()
    file = world.desk.save(b"x" * 900).head.file
    world.settle()
    assert (world.there(file).name, world.there(file).head.mime) == ("notes.txt", "text/plain")
    world.desk.save(b"y" * 5000, file=file)
    world.settle()
    there = world.there(file)
    assert (there.name, there.head.mime, there.mime) == ("notes.txt.gz", "application/gzip", "application/gzip")
    assert gzip.decompress(there.head.data) == b"y" * 5000
    assert [each["packed"] for each in world.mirror(file)["revisions"]] == [False, True]
    world.desk.library.revert("ana", file, 1, save="back")
    world.settle()
    assert world.there(file).name == "notes.txt"
    assert world.contents(file)[-1] == b"x" * 900


def test_an_empty_file_goes_too(world: DriveWorld) -> None:
    """Nothing to send is sent as nothing, once."""
    world.link()
    file = world.desk.save(b"").head.file
    world.settle()
    assert world.contents(file) == [b""]


def test_a_name_given_here_is_the_name_there_until_somebody_renames_it_there(world: DriveWorld) -> None:
    """Whoever renamed last in Drive keeps that name, and the user is shown it."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    world.desk.library.describe("ana", file, Description(name="better.txt"))
    world.settle()
    assert world.there(file).name == "better.txt"
    world.drive().person_renames(world.there(file).id, "mine.txt")
    world.desk.library.describe("ana", file, Description(name="best.txt"))
    world.settle()
    world.desk.save(b"2", file=file)
    world.settle()
    assert world.there(file).name == "mine.txt"
    assert world.mirror(file)["noticed"]["renamed_to"] == "mine.txt"
    assert world.contents(file) == [b"1", b"2"]


@pytest.mark.parametrize("what", ["edited", "trashed", "locked", "removed"])
def test_what_a_person_did_in_drive_is_shown_and_never_undone_or_overwritten(world: DriveWorld, what: str) -> None:
    """The feed tells within the hour; what is saved next goes to another file, and the person's stays as it is."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    before = world.there(file)
    if what == "edited":
        world.drive().person_edits(before.id, b"a person's")
    elif what == "trashed":
        world.drive().person_trashes(before.id)
    elif what == "locked":
        world.drive().person_locks(before.id)
    else:
        world.drive().person_deletes(before.id)
    world.pass_time(hours=1, minutes=1)
    world.settle()
    noticed = world.mirror(file)["noticed"]
    assert [name.partition("_")[0] for name, is_so in noticed.items() if is_so] == [what]
    world.desk.save(b"2", file=file)
    world.settle()
    after = world.drive().of_file(file)[-1]
    assert after.id != before.id
    assert [revision.data for revision in after.revisions] == [b"2"]
    assert [(each["drive_id"], each["why"]) for each in world.mirror(file)["earlier"]] == [(before.id, what)]
    if what != "removed":
        assert world.drive().files[before.id].head.data == (b"a person's" if what == "edited" else b"1")
        assert world.drive().files[before.id].is_trashed == (what == "trashed")


def test_what_is_taken_out_of_the_trash_again_goes_on(world: DriveWorld) -> None:
    """A mistake that a person took back costs nothing."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    world.drive().person_trashes(world.there(file).id)
    world.pass_time(hours=2)
    world.settle()
    assert world.mirror(file)["noticed"]["trashed"]
    world.drive().person_trashes(world.there(file).id, is_trashed=False)
    world.pass_time(hours=2)
    world.settle()
    world.desk.save(b"2", file=file)
    world.settle()
    assert world.contents(file) == [b"1", b"2"]
    assert not world.mirror(file)["noticed"]["trashed"]


def test_a_content_that_slips_in_under_an_upload_is_kept_for_ever_and_shown(world: DriveWorld) -> None:
    """Drive takes no condition: who edits between our look and our last byte is found afterwards, and not purged."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    there = world.there(file)
    quick = [lambda: world.drive().person_edits(there.id, b"quick")]
    world.google.ahead = lambda asked: quick.pop()() if quick and asked.method == "PUT" else None
    world.desk.save(b"2", file=file)
    world.settle()
    world.pass_time(days=40)
    world.desk.save(b"3", file=file)
    world.settle()
    assert world.contents(file) == [b"1", b"quick", b"2", b"3"]
    assert len(world.mirror(file)["noticed"]["overtaken_revision_ids"]) == 1


def test_a_folder_that_was_deleted_is_followed_by_another(world: DriveWorld) -> None:
    """With it went what lay in it: that is shown for each file, and what is saved next has a place again."""
    world.link()
    files = [world.desk.save(b"1", name=f"{number}.txt").head.file for number in range(3)]
    world.settle()
    [folder] = world.drive().folders()
    world.drive().person_trashes(folder.id)
    world.pass_time(hours=2)
    world.settle()
    assert [world.mirror(file)["noticed"]["trashed"] for file in files] == [True] * 3
    world.desk.save(b"2", file=files[0])
    world.settle()
    [_, new] = world.drive().folders()
    assert world.drive().of_file(files[0])[-1].parents == [new.id]
    assert world.drive().of_file(files[0])[-1].head.data == b"2"


def test_what_is_deleted_here_stays_there(world: DriveWorld) -> None:
    """It is the user's Drive: nothing there is ever deleted from here, and the user is told that it stays."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    world.desk.library.remove("ana", file)
    world.settle()
    assert world.contents(file) == [b"1"]
    assert world.mirror(file)["state"] == "left"


def test_bytes_that_are_lost_here_keep_nothing_else_from_going(world: DriveWorld) -> None:
    """A version whose bytes somebody deleted from the bucket is told as one without a revision."""
    world.link()
    saved = world.desk.save(b"1")
    world.desk.save(b"2", file=saved.head.file)
    path = blob_path("ana", saved.head.newest.digest)
    [stored] = [file for file, _ in world.desk.uploads.files.values() if file.name == path]
    world.desk.uploads.delete(stored.bucket, path)
    world.desk.arrivals.deleted(stored.bucket, path, stored.generation)
    world.settle()
    assert world.contents(saved.head.file) == [b"2"]
    shown = [(each["version_number"], bool(each["revision_id"])) for each in world.mirror(saved.head.file)["revisions"]]
    assert shown == [(1, False), (2, True)]


def test_people_who_keep_two_hundred_revisions_stop_nothing(world: DriveWorld) -> None:
    """Drive keeps no more than two hundred: ours then comes as any other, and is kept as soon as there is room."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    there = world.there(file)
    for number in range(199):
        there.revisions.insert(0, world.drive().person_keeps(f"old {number}".encode()))
    world.desk.save(b"2", file=file)
    world.settle()
    assert (there.head.data, there.head.is_kept) == (b"2", False)
    there.revisions[0].is_kept = False
    world.desk.save(b"3", file=file)
    world.settle()
    assert (there.head.data, there.revisions[-2].is_kept) == (b"3", False)
    assert sum(revision.is_kept for revision in there.revisions) == 200


@pytest.mark.parametrize("room", ["limit", "none"])
def test_room_is_told_as_numbers_and_a_full_drive_keeps_the_queue(world: DriveWorld, room: str) -> None:
    """Everything waits until there is room; then all of it goes. No limit is no share of anything."""
    world.link()
    world.settle()
    drive = world.drive()
    drive.limit = 1000 if room == "limit" else None
    file = world.desk.save(b"x" * 600).head.file
    world.settle()
    world.desk.save(b"y" * 600, file=file)
    for _ in range(3):
        world.work()
        world.pass_time(hours=1, seconds=1)
    quota = world.shown()["quota"]
    if room == "none":
        assert (quota["limit_bytes"], quota["usage_percentage"]) == (None, 0.0)
        assert world.waiting() == []
        return
    assert (quota["limit_bytes"], quota["usage_bytes"], quota["usage_percentage"]) == (1000, 600, 60.0)
    assert world.contents(file) == [b"x" * 600]
    assert "room" in world.note(file)["error"]
    assert "room" in world.mirror(file)["error"]
    drive.limit = 5000
    world.settle(step=timedelta(hours=1))
    assert world.contents(file) == [b"x" * 600, b"y" * 600]
    assert world.mirror(file)["error"] == ""


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, reason="rateLimitExceeded", retry_after="120"),
        Fault(status=403, reason="userRateLimitExceeded"),
        Fault(status=403, reason="rateLimitExceeded"),
    ],
)
def test_too_many_requests_make_everything_of_that_user_wait(world: DriveWorld, fault: Fault) -> None:
    """Google is asked once, and then not before it said; what waits is worked on afterwards, whole."""
    world.link()
    world.settle()
    files = [world.desk.save(b"1", name=f"{number}.txt").head.file for number in range(4)]
    world.google.faults = [fault]
    asked = len(world.google.asked)
    world.work()
    assert len(world.google.asked) == asked + 1
    wait = (world.stored_link()["wait_until"] - world.now).total_seconds()
    assert wait >= (115 if fault.retry_after else 5)
    world.settle()
    assert [world.contents(file) for file in files] == [[b"1"]] * 4


def test_a_link_that_was_taken_back_at_google_is_told_and_its_queue_is_kept(world: DriveWorld) -> None:
    """Nothing is tried any more; saves still queue; a new link to the same account takes all of it up."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    world.google.consents.end("ana@example.com")
    world.desk.save(b"2", file=file)
    world.work()
    assert world.shown()["state"] == "broken"
    assert "permission" in world.shown()["error"]
    assert world.note(file)["state"] == "held"
    world.desk.save(b"3", file=file)
    world.pass_time(days=3)
    asked = len(world.google.asked)
    world.work()
    world.pass_time(minutes=30)
    assert world.queue.due() == [], "what is held is not even looked at"
    assert len(world.google.asked) == asked, "a broken link asks Google nothing"
    assert world.contents(file) == [b"1"]
    world.link()
    world.settle()
    assert world.shown()["state"] == "active"
    assert world.contents(file) == [b"1", b"2", b"3"]
    assert len(world.drive().folders()) == 1


def test_an_upload_that_was_under_way_as_the_link_broke_goes_on_under_the_new_one(world: DriveWorld) -> None:
    """Its session was sealed under the permission before: nothing opens it any more, and another one begins."""
    world.link()
    world.settle()
    file = world.desk.save(b"x" * PIECE * 3).head.file
    world.google.faults = [None] * 7 + [Fault(status=503)] * 60
    world.work()
    assert world.note(file)["session"]
    world.google.faults = []
    world.link()
    world.pass_time(hours=1)
    world.settle()
    assert world.contents(file) == [b"x" * PIECE * 3]


def test_another_account_begins_anew_and_the_first_keeps_what_it_has(world: DriveWorld) -> None:
    """Ids of one account mean nothing in another; the permission that was given before is taken back."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    world.link(email="work@example.com")
    assert world.google.consents.revoked == ["ana@example.com"]
    world.desk.save(b"2", file=file)
    world.settle()
    [there] = world.drive("work@example.com").of_file(file)
    assert [revision.data for revision in there.revisions] == [b"1", b"2"]
    assert world.contents(file) == [b"1"]


def test_a_token_that_runs_out_early_is_renewed_in_the_middle(world: DriveWorld) -> None:
    """Google forgets access tokens at any request: another is asked for, and nothing is done twice."""
    world.link()
    file = world.desk.save(b"x" * PIECE * 3).head.file
    odd = itertools.cycle([True, False])

    def forget_now_and_then(asked: Asked) -> None:
        if asked.path != "/token" and next(odd):
            world.google.consents.forget_access()

    world.google.ahead = forget_now_and_then
    world.settle()
    assert world.contents(file) == [b"x" * PIECE * 3]


def test_a_session_that_runs_out_is_followed_by_another(world: DriveWorld) -> None:
    """Sessions live for a week: whoever comes back later begins that version again, once."""
    world.link()
    world.settle()
    file = world.desk.save(b"x" * PIECE * 4).head.file
    world.google.faults = [None] * 7 + [Fault(status=503)] * 60
    world.work()
    assert world.note(file)["session"]
    world.google.faults = []
    world.pass_time(days=8)
    world.settle()
    assert world.contents(file) == [b"x" * PIECE * 4]


def test_a_round_that_ends_goes_on_where_it_was(world: DriveWorld) -> None:
    """Piece by piece over many rounds: no byte that Drive holds is sent again."""
    world.link()
    world.settle()
    file = world.desk.save(b"x" * PIECE * 6).head.file
    for _ in range(40):
        if not world.waiting():
            break
        for note in world.queue.due():
            left = iter([True] * 3)
            world.queue.work(note, functools.partial(next, left, False))
    assert world.contents(file) == [b"x" * PIECE * 6]
    sent = [line for line in world.google.asked if line.startswith("PUT")]
    assert len(sent) <= 6 + 6


def test_drive_may_hold_less_of_a_piece_than_was_sent(world: DriveWorld) -> None:
    """What Drive says that it holds is where the next piece begins, whatever was sent."""
    world.google.most_chunk = PIECE
    world.queue = world.new_queue(piece_bytes=4 * PIECE)
    world.link()
    file = world.desk.save(b"0123456789abcdef" * (PIECE * 5 // 16)).head.file
    world.settle()
    assert world.contents(file) == [b"0123456789abcdef" * (PIECE * 5 // 16)]


def test_every_field_that_a_user_reads_is_documented(world: DriveWorld) -> None:
    """What stands in a link's document and in a mirror stands on the page, the ends of links included."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    world.drive().person_trashes(world.there(file).id)
    world.desk.save(b"2", file=file)
    world.settle()
    written = set(_names(world.mirror(file)))
    world.google.consents.end("ana@example.com")
    world.pass_time(hours=2)
    world.work()
    written |= set(_names(world.shown()))
    world.link()
    world.links.unlink("ana")
    written |= set(_names(world.shown()))
    page = re.sub(
        r"```.*?```", "", (Path(__file__).resolve().parents[3] / "docs/drive.md").read_text(), flags=re.DOTALL
    )
    documented = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", page))))
    assert sorted(written - documented) == []
    assert len(written) > 35


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _names(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _names(inner)
