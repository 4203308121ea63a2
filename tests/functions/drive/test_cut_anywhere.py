"""One file and the right revisions, wherever a process dies, a connection is cut, or Google says no."""

from __future__ import annotations

import functools
import itertools
import os
import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from afterimage.artifacts.refusals import RefusedError
from tests.functions.artifacts.desk import Desk
from tests.functions.drive.drive_world import PIECE, DriveWorld, drive_world
from tests.functions.drive.google_server import Fault
from tests.functions.media_world import Crash

SEED = int(os.environ.get("DRIVE_SEED", random.SystemRandom().randrange(1 << 30)))
FIRST, SECOND = b"first", b"0123456789abcdef" * (PIECE * 2 // 16) + b"end"


def saved_twice(world: DriveWorld) -> str:
    """A linked user with a small version and one of three pieces, and the first round still to come."""
    world.link()
    file = world.desk.save(FIRST).head.file
    world.desk.save(SECOND, file=file)
    return file


def crash_at(wanted: int, seen: list[str]) -> Callable[[str], None]:
    def step(what: str) -> None:
        seen.append(what)
        if len(seen) == wanted:
            raise Crash(what)

    return step


def quiet(_what: str) -> None:
    return


@functools.cache
def steps_of_a_round() -> tuple[str, ...]:
    """Everything that one whole round does, in order."""
    seen: list[str] = []
    with drive_world() as world:
        saved_twice(world)
        world.step = seen.append
        world.work()
    return tuple(seen)


@pytest.mark.parametrize("part", range(4))
def test_a_process_that_dies_between_any_two_steps_leaves_one_file_with_the_right_revisions(part: int) -> None:
    """At every call of a store and around every request to Google, another process goes on; nothing comes twice."""
    count = len(steps_of_a_round())
    assert count > 80
    for wanted in range(part + 1, count + 1, 4):
        with drive_world() as world:
            file = saved_twice(world)
            seen: list[str] = []
            world.step = crash_at(wanted, seen)
            with pytest.raises(Crash):
                world.work()
            world.step = quiet
            world.restart()
            world.pass_time(minutes=11)
            world.settle()
            assert world.contents(file) == [FIRST, SECOND], f"died {seen[-1]}, step {wanted}"
            assert [revision.is_kept for revision in world.there(file).revisions] == [True, True]
            assert len(world.drive().folders()) == 1
            assert world.mirror(file)["earlier"] == []
            assert len(world.mirror(file)["revisions"]) == 2


def save_two_and_settle(world: DriveWorld, number: int) -> None:
    """A new file with two versions, the second of three pieces; both have to lie in Drive."""
    first, second = f"first {number}".encode(), SECOND + str(number).encode()
    file = world.desk.save(first, name=f"{number}.txt").head.file
    world.desk.save(second, file=file)
    world.settle(step=timedelta(minutes=1))
    assert world.contents(file) == [first, second]
    assert world.mirror(file)["earlier"] == []


def every_cut(world: DriveWorld) -> list[tuple[int, Fault]]:
    """Each request of such a round, cut at each byte of its answer, and of what is sent: of pieces at their ends."""
    begin = len(world.google.lengths)
    save_two_and_settle(world, -1)
    found: list[tuple[int, Fault]] = []
    for place, (sent, answered) in enumerate(world.google.lengths[begin:]):
        found += [(place, Fault(gives=byte)) for byte in range(answered)]
        ends = range(sent) if sent < 1000 else (0, 1, sent // 2, sent - 1)
        found += [(place, Fault(takes=byte)) for byte in ends]
    return found


def check_cuts(most: int) -> None:
    with drive_world(desk=Desk(notes_drive=True, room=1 << 40)) as world:
        world.link()
        save_two_and_settle(world, -2)
        every = every_cut(world)
    cuts = random.Random(SEED).sample(every, min(most, len(every)))
    for start in range(0, len(cuts), 100):
        # A world for so many: what is saved stays in memory.
        with drive_world(desk=Desk(notes_drive=True, room=1 << 40)) as world:
            world.link()
            save_two_and_settle(world, -1)
            for number, (place, fault) in enumerate(cuts[start : start + 100]):
                print(f"DRIVE_SEED={SEED} request {place} {fault}")
                world.google.faults = [None] * place + [fault]
                save_two_and_settle(world, number)
            assert len(world.drive().folders()) == 1


def test_a_connection_cut_at_any_byte_costs_nothing() -> None:
    """Forty cuts, drawn anew at each run: of what is sent and of what is answered, at any request."""
    check_cuts(40)


@pytest.mark.soak
def test_a_connection_cut_at_every_byte_costs_nothing() -> None:
    """All of them: some thousands."""
    check_cuts(1 << 30)


class Life:
    """A user, other people in the user's Drive, faults and crashes, at random; and what must hold in the end."""

    def __init__(self, world: DriveWorld, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.files: list[str] = []
        self.count = itertools.count()
        self.has_ended = False
        """The permission was taken back, and nobody may have noticed yet."""

    def live(self, events: int) -> None:
        self.world.link()
        acts = [
            (self.save, 30), (self.pin, 6), (self.work, 30), (self.crash, 12), (self.faults, 12), (self.wait, 12),
            (self.edit, 4), (self.trash, 2), (self.rename, 3), (self.end_permission, 1), (self.remove, 1),
        ]  # fmt: skip
        for _ in range(events):
            [act] = self.dice.choices([act for act, _ in acts], [weight for _, weight in acts])
            act()
        self.world.google.faults = []
        if self.has_ended or self.world.shown()["state"] != "active":
            self.world.link()
        self.world.settle(most=200)
        self.world.pass_time(hours=2)
        self.world.settle(most=200)

    def save(self) -> None:
        data = f"version {next(self.count)} ".encode() * self.dice.choice([1, 10, PIECE // 8])
        if self.files and self.dice.random() < 0.8:
            auto = self.dice.random() < 0.3
            self.world.desk.save(data, file=self.dice.choice(self.files), auto_save=auto, create_version=not auto)
        else:
            self.files.append(self.world.desk.save(data, name=f"{next(self.count)}.txt").head.file)

    def pin(self) -> None:
        if self.files:
            file = self.dice.choice(self.files)
            head = self.world.desk.library.head("ana", file)
            number = self.dice.choice(head.versions).number
            self.world.desk.library.pin("ana", file, number, is_pinned=self.dice.random() < 0.7)

    def remove(self) -> None:
        if len(self.files) > 1:
            file = self.files.pop(self.dice.randrange(len(self.files)))
            self.world.desk.library.remove("ana", file)

    def work(self) -> None:
        self.world.work()

    def crash(self) -> None:
        self.world.step = crash_at(self.dice.randrange(1, 60), [])
        try:
            self.world.work()
        except Crash:
            self.world.restart()
        self.world.step = quiet

    def faults(self) -> None:
        kinds = [
            Fault(status=500), Fault(status=503, retry_after="30"), Fault(status=429), Fault(gives=0),
            Fault(status=403, reason="userRateLimitExceeded"), Fault(gives=self.dice.randrange(400)),
            Fault(takes=self.dice.randrange(PIECE)), Fault(status=401, reason="authError"),
        ]  # fmt: skip
        self.world.google.faults = [self.dice.choice([None, *kinds]) for _ in range(self.dice.randrange(12))]

    def wait(self) -> None:
        self.world.pass_time(minutes=self.dice.choice([1, 15, 61, 60 * 24 * 8]))

    def _there(self) -> str | None:
        found = [file.id for file in self.world.drive().files.values() if file.revisions and not file.is_trashed]
        return self.dice.choice(found) if found else None

    def edit(self) -> None:
        if identifier := self._there():
            self.world.drive().person_edits(identifier, f"somebody's {next(self.count)}".encode())

    def trash(self) -> None:
        if identifier := self._there():
            self.world.drive().person_trashes(identifier)

    def rename(self) -> None:
        if identifier := self._there():
            self.world.drive().person_renames(identifier, f"renamed {next(self.count)}.txt")

    def end_permission(self) -> None:
        self.world.google.consents.end("ana@example.com")
        self.has_ended = True
        if self.dice.random() < 0.5:
            self.world.work()
            self.world.google.faults = []
            self.world.link()
            self.has_ended = False

    def faults_found(self) -> list[str]:
        world, drive, found = self.world, self.world.drive(), []
        heads = {file: world.desk.library.head("ana", file) for file in self.files}
        for file, head in heads.items():
            mirror = world.mirror(file)
            if (mirror["version_number"], mirror["sha256"]) != (head.newest.number, head.newest.digest):
                found.append(f"{file} stands at {mirror['version_number']}, not at {head.newest.number}")
            there = drive.files.get(mirror["drive_id"])
            copies = drive.of_file(file)
            if len(copies) != 1 + len(mirror["earlier"]):
                found.append(f"{file} has {len(copies)} copies and {len(mirror['earlier'])} earlier ones")
            if there is None:
                found.append(f"{file} is not there")
                continue
            by_id = {revision.id: revision for revision in there.revisions}
            for each in mirror["revisions"]:
                data = world.desk.read(file, each["version_number"])
                if each["revision_id"] not in by_id or by_id[each["revision_id"]].data != data:
                    found.append(f"{file} version {each['version_number']} is not revision {each['revision_id']}")
                elif not by_id[each["revision_id"]].is_kept:
                    found.append(f"{file} version {each['version_number']} is not kept")
            ours = [revision for revision in there.revisions if revision.by_app and revision.is_kept]
            if len(ours) != len(mirror["revisions"]):
                found.append(f"{file} keeps {len(ours)} of ours, not {len(mirror['revisions'])}")
            contents = [revision.data for revision in there.revisions if revision.by_app]
            if len(set(contents)) != len(contents):
                found.append(f"{file} has a content twice")
        found += [f"{data!r} of somebody's is lost" for data in drive.lost]
        if len([folder for folder in drive.folders() if not folder.is_trashed]) > 1:
            found.append("there is more than one folder")
        return found


def check_life(seed: int, events: int) -> None:
    print(f"DRIVE_SEED={seed}")
    with drive_world() as world:
        life = Life(world, seed)
        try:
            life.live(events)
        except RefusedError as error:
            raise AssertionError(f"DRIVE_SEED={seed}: {error}") from error
        assert life.faults_found() == [], f"DRIVE_SEED={seed}"


@pytest.mark.parametrize("number", range(4))
def test_whatever_happens_in_whatever_order_drive_holds_what_is_kept_here(number: int) -> None:
    """Saves, pins, crashes, faults, people and time, drawn anew at each run; nobody's content is lost."""
    check_life(SEED + number, 60)


@pytest.mark.soak
def test_long_lives_end_well_too() -> None:
    """Two hundred lives of two hundred events."""
    for number in range(200):
        check_life(SEED + number, 200)
