"""Two at once: workers whose claims overlap, saves that come while a file is under way, pages of a long feed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from afterimage.artifacts.heads import Head, VersionEntry
from afterimage.edges.drive.mirroring.mirrors import Mirror, MirroredVersion, keeping_wanted, kept_there
from tests.functions.drive.drive_world import DriveWorld, drive_world
from tests.functions.drive.test_cut_anywhere import FIRST, SECOND, quiet, saved_twice, steps_of_a_round


def between(wanted: int, act: Callable[[], None], world: DriveWorld) -> Callable[[str], None]:
    """Does something else once, just when the step of this number is to be taken."""
    count = 0

    def step(_what: str) -> None:
        nonlocal count
        count += 1
        if count == wanted:
            world.step = quiet
            act()

    return step


@pytest.mark.parametrize("part", range(2))
def test_a_worker_that_was_taken_for_dead_and_goes_on_makes_nothing_twice(part: int) -> None:
    """Its claim has run out and another has done all the work: whatever it still does changes nothing."""
    for wanted in range(4 + part, len(steps_of_a_round()) + 1, 4):
        with drive_world() as world:
            file = saved_twice(world)
            slow, world.queue = world.queue, world.new_queue()

            def everything(world: DriveWorld = world) -> None:
                world.pass_time(minutes=11)
                world.settle()

            world.step = between(wanted, everything, world)
            slow.run()
            world.step = quiet
            world.settle()
            assert world.contents(file) == [FIRST, SECOND], f"step {wanted}"
            assert world.mirror(file)["earlier"] == []
            assert len(world.mirror(file)["revisions"]) == 2
            assert len(world.drive().folders()) == 1


def test_a_save_that_comes_while_its_file_is_under_way_is_not_forgotten() -> None:
    """At any step: the note is due again, and the version that came last lies in Drive in the end."""
    for wanted in range(1, len(steps_of_a_round()) + 1, 3):
        with drive_world() as world:
            file = saved_twice(world)

            def save(world: DriveWorld = world, file: str = file) -> None:
                world.desk.save(b"third", file=file)

            world.step = between(wanted, save, world)
            world.work()
            world.step = quiet
            world.settle()
            assert world.contents(file) == [FIRST, SECOND, b"third"], f"step {wanted}"
            assert world.waiting() == []


def test_a_note_that_somebody_works_on_is_left_to_them_until_their_claim_runs_out(world: DriveWorld) -> None:
    """A save makes it due again; others put it off, and ask Google nothing."""
    world.link()
    world.settle()
    file = world.desk.save(b"1").head.file
    [note] = world.queue.due()
    other = world.new_queue()
    seen: dict[str, object] = {}

    def look(world: DriveWorld = world) -> None:
        world.desk.save(b"2", file=file)
        asked = len(world.google.asked)
        seen.update(outcomes=other.run(), asked=len(world.google.asked) - asked, due=other.due())

    world.step = between(6, look, world)
    world.queue.work(note, lambda: True)
    world.step = quiet
    assert seen == {"outcomes": {"taken": 1}, "asked": 0, "due": []}
    world.settle(step=timedelta(minutes=11))
    assert world.contents(file) == [b"1", b"2"]


def test_a_feed_of_many_pages_is_read_to_its_end(world: DriveWorld) -> None:
    """Nothing that people do in Drive is too much to be noticed."""
    world.link()
    file = world.desk.save(b"1").head.file
    world.settle()
    other = world.desk.save(b"1", name="other.txt").head.file
    world.settle()
    for number in range(1500):
        world.drive().person_renames(world.there(other).id, f"{number}.txt")
        world.drive().feed.append(world.drive().new_id())  # files of theirs that are gone again
    world.drive().person_trashes(world.there(file).id)
    world.pass_time(hours=2)
    world.settle()
    assert world.mirror(file)["noticed"]["trashed"]
    assert world.mirror(other)["noticed"]["renamed_to"] == "1499.txt"


def test_a_place_in_the_feed_that_google_has_forgotten_loses_nothing(world: DriveWorld) -> None:
    """Every file is looked at instead, and the feed is read on from now."""
    world.link()
    files = [world.desk.save(b"1", name=f"{number}.txt").head.file for number in range(5)]
    world.settle()
    for file in files:
        world.drive().person_trashes(world.there(file).id)
    world.drive().feed.clear()
    world.pass_time(hours=2)
    world.settle()
    assert [world.mirror(file)["noticed"]["trashed"] for file in files] == [True] * 5
    assert world.stored_link()["changes_token"] == str(len(world.drive().feed))


def test_automatic_saves_beyond_a_hundred_cost_no_version_that_is_kept(world: DriveWorld) -> None:
    """Drive purges earlier where a hundred revisions are not kept: those are never ours to miss."""
    world.link()
    file = world.desk.save(b"kept").head.file
    for number in range(130):
        world.desk.save(f"auto {number}".encode(), file=file, auto_save=True, create_version=False)
        world.settle()
    assert world.drive().purged >= 28
    there = world.there(file)
    assert [revision.data for revision in there.revisions if revision.is_kept] == [b"kept", b"auto 129"]


@pytest.mark.parametrize("pinned", [0, 50, 165, 166, 300])
def test_never_more_is_kept_than_drive_can_keep_whatever_is_pinned(pinned: int) -> None:
    """The thirty newest, and of the pinned ones the 165 newest; with one more on its way it stays below two hundred."""
    entries = [
        VersionEntry(number=number, digest=f"{number:064d}", size=1, is_pinned=number <= pinned)
        for number in range(1, pinned + 31)
    ]
    head = Head(file="f", name="f.txt", versions=tuple(entries))
    kept = kept_there(head)
    assert len(kept) == 30 + min(pinned, 165)
    assert {(entry.number, entry.digest) for entry in entries[-30:]} <= kept
    versions = tuple(
        MirroredVersion(number=entry.number, sha256=entry.digest, revision=f"r{entry.number}", is_kept=True)
        for entry in entries
    )
    wanted = keeping_wanted(head, Mirror(file="f", account="a", versions=versions))
    assert len(wanted) == max(0, pinned - 165)
    assert not any(is_kept for _, is_kept in wanted)
