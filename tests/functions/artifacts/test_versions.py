"""Saved files: numbers without gap or repeat, thirty kept beside the pinned, equal saves free, whatever interrupts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.library import Saving
from afterimage.artifacts.refusals import RefusalKind, RefusedError
from afterimage.artifacts.timeline import shown_version, timeline
from afterimage.store.documents import ConflictError, UncertainError
from tests.functions.artifacts.desk import BUCKET, Desk
from tests.functions.interleaving import Turns
from tests.functions.media_world import Crash


@pytest.fixture
def desk() -> Iterator[Desk]:
    """Whatever a test has done, heads, versions, contents, files and accounts agree when it ends."""
    found = Desk()
    yield found
    assert found.faults() == []


def test_each_save_is_a_version_with_all_that_is_said_of_it(desk: Desk) -> None:
    """Number, size, change of size, who, why and when; the newest first."""
    first = desk.save(b"one", description="begun", author="Ana", tags=("a", "b"), folder="work/drafts")
    desk.save(b"three", file=first.head.file, change="longer")
    head, versions = desk.library.history("ana", first.head.file)
    assert [(v["version_number"], v["size"], v["size_change_bytes"], v["author"]) for v in versions] == [
        (2, 5, 2, "ana"),
        (1, 3, 3, "Ana"),
    ]
    assert (versions[0]["change"], versions[1]["description"]) == ("longer", "begun")
    assert (head.name, head.tags, head.folder) == ("notes.txt", ("a", "b"), "work/drafts")
    assert versions[0]["created_at"] > versions[1]["created_at"]
    assert shown_version(versions[0])["version_id"] == "v2"
    assert [[event["what"] for event in day["events"]] for day in timeline(versions)] == [["saved", "created"]]
    assert desk.read(first.head.file, 1) == b"one"
    assert desk.read(first.head.file, 2) == b"three"


def test_equal_saves_cost_nothing(desk: Desk) -> None:
    """The very bytes of the newest version make no version and no write; elsewhere they make no second copy."""
    first = desk.save(b"same")
    desk.store.bill.taken()
    again = desk.save(b"same", file=first.head.file)
    assert (again.number, again.is_new_version) == (1, False)
    assert desk.store.bill.taken()[1:] == (0, 0)
    elsewhere = desk.save(b"same", name="copy.txt")
    assert elsewhere.head.file != first.head.file
    assert len(desk.uploads.files) == 1
    assert desk.quota()["used_bytes"] == 4
    told = desk.save(b"same", file=first.head.file, description="approved")
    assert (told.number, told.is_new_version) == (2, True)
    assert desk.quota()["used_bytes"] == 4


def test_thirty_versions_are_kept_beside_the_pinned(desk: Desk) -> None:
    """The oldest go, with their bytes; pinned ones stay until they are unpinned, and the newest always."""
    file = desk.save(b"0").head.file
    desk.library.pin("ana", file, 1, is_pinned=True)
    for number in range(2, 41):
        desk.save(b"%d" % number, file=file)
    numbers = [entry.number for entry in desk.library.head("ana", file).versions]
    assert numbers == [1, *range(11, 41)]
    assert desk.quota()["used_bytes"] == 1 + 30 * 2
    with pytest.raises(RefusedError, match=r"version 5 of .* is not kept"):
        desk.library.revert("ana", file, 5, save="r")
    desk.library.pin("ana", file, 1, is_pinned=False)
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [*range(11, 41)]


def test_pins_have_an_end_of_their_own(desk: Desk) -> None:
    """Fifty versions can be pinned, and the next pin says what to do."""
    file = desk.save(b"0").head.file
    for number in range(1, 51):
        desk.library.pin("ana", file, number, is_pinned=True)
        desk.save(b"v%d" % number, file=file)
    with pytest.raises(RefusedError, match="unpin one") as refused:
        desk.library.pin("ana", file, 51, is_pinned=True)
    assert refused.value.kind is RefusalKind.CONFLICT


def test_going_back_makes_a_new_version_of_the_old_bytes(desk: Desk) -> None:
    """Nothing that came between is lost, and no byte is stored again."""
    file = desk.save(b"first").head.file
    desk.save(b"second", file=file)
    back = desk.library.revert("ana", file, 1, save="back")
    assert (back.number, desk.read(file, 3)) == (3, b"first")
    _, versions = desk.library.history("ana", file)
    assert (versions[0]["reverted_from"], versions[0]["change"]) == (1, "reverted to version 1")
    assert len(desk.uploads.files) == 2
    assert desk.library.revert("ana", file, 1, save="back").number == 3, "the same request twice"
    assert not desk.library.revert("ana", file, 1, save="once more").is_new_version


def test_an_automatic_save_takes_the_place_of_the_one_before_it(desk: Desk) -> None:
    """With `create_version` off; what somebody saved or pinned on purpose is never replaced."""
    file = desk.save(b"by hand").head.file
    draft: dict[str, Any] = {"file": file, "auto_save": True, "create_version": False}
    assert desk.save(b"draft 1", **draft).number == 2
    assert desk.save(b"draft 2", **draft).number == 2
    assert desk.read(file, 2) == b"draft 2"
    desk.library.pin("ana", file, 2, is_pinned=True)
    assert desk.save(b"draft 3", **draft).number == 3
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [1, 2, 3]


def test_a_version_beyond_the_limit_is_refused_before_its_bytes_are_stored(desk: Desk) -> None:
    """The account is as it was; deleting makes room, and the same save then succeeds."""
    first = desk.save(b"a" * 600_000)
    with pytest.raises(RefusedError, match="delete or clean up") as refused:
        desk.save(b"b" * 600_000, name="other.txt")
    assert refused.value.kind is RefusalKind.STORAGE_QUOTA_EXCEEDED
    assert len(desk.uploads.files) == 1
    desk.library.remove("ana", first.head.file)
    assert desk.quota()["used_bytes"] == 0
    desk.save(b"b" * 600_000, name="other.txt")


def test_what_cannot_be_kept_is_refused_with_its_reason(desk: Desk) -> None:
    """Too large, a program, a lie about its type, no name, a file that is not there, a number that is not kept."""
    desk.library = type(desk.library)(versions=desk.versions, most_bytes=10)
    refused_ones: list[tuple[bytes, dict[str, Any], RefusalKind]] = [
        (b"x" * 11, {}, RefusalKind.FILE_TOO_LARGE),
        (b"\x7fELF", {"name": "tool.txt"}, RefusalKind.INVALID_FILE_TYPE),
        (b"text", {"name": "run.exe"}, RefusalKind.INVALID_FILE_TYPE),
        (b"text", {"name": "a.png"}, RefusalKind.INVALID_FILE_TYPE),
        (b"\xff\xfe", {"name": "a.txt"}, RefusalKind.INVALID_FILE_TYPE),
        (b"text", {"name": "a/b"}, RefusalKind.INVALID_REQUEST),
        (b"text", {"name": " "}, RefusalKind.INVALID_REQUEST),
        (b"text", {"tags": ("a", "a")}, RefusalKind.INVALID_REQUEST),
        (b"text", {"folder": "../x"}, RefusalKind.INVALID_REQUEST),
        (b"text", {"description": "x" * 2001}, RefusalKind.INVALID_REQUEST),
        (b"text", {"file": "nobody"}, RefusalKind.NOT_FOUND),
        (b"text", {"file": "../../etc"}, RefusalKind.INVALID_REQUEST),
    ]
    for data, said, kind in refused_ones:
        with pytest.raises(RefusedError) as refused:
            desk.save(data, **said)
        assert refused.value.kind is kind, said
    assert desk.store.documents == {}


def test_archived_files_are_out_of_the_way_until_they_are_restored(desk: Desk) -> None:
    """Out of the list, only the newest and the pinned versions left, and not saved to by accident."""
    file = desk.save(b"one").head.file
    desk.library.pin("ana", file, 1, is_pinned=True)
    for data in (b"two", b"three"):
        desk.save(data, file=file)
    other = desk.save(b"other", name="other.txt").head.file
    desk.library.archive("ana", file)
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [1, 3]
    assert [found.id for found in desk.library.listed("ana", limit=10)] == [other]
    assert [found.id for found in desk.library.listed("ana", limit=10, archived=True)] == [file]
    with pytest.raises(RefusedError, match="restore it first"):
        desk.save(b"four", file=file)
    desk.library.restore("ana", file)
    assert [found.id for found in desk.library.listed("ana", limit=10)] == [file, other]
    assert desk.save(b"four", file=file).number == 4


def test_duplicates_become_one_file(desk: Desk) -> None:
    """Tags are kept; a file that differs, or that has something pinned, is not merged away."""
    kept = desk.save(b"same", tags=("a",)).head.file
    copy = desk.save(b"same", name="copy.txt", tags=("b",)).head.file
    different = desk.save(b"different", name="other.txt").head.file
    with pytest.raises(RefusedError, match="no duplicates"):
        desk.library.merge("ana", kept, [copy, different])
    desk.library.pin("ana", copy, 1, is_pinned=True)
    with pytest.raises(RefusedError, match="pinned"):
        desk.library.merge("ana", kept, [copy])
    desk.library.pin("ana", copy, 1, is_pinned=False)
    assert desk.library.merge("ana", kept, [copy]).tags == ("a", "b")
    assert {found.id for found in desk.library.listed("ana", limit=10)} == {kept, different}


def test_nobody_reaches_into_another_s_files(desk: Desk) -> None:
    """The same id under another user is another file, and equal bytes are stored once for each of them."""
    file = desk.save(b"mine").head.file
    with pytest.raises(RefusedError, match="there is no file"):
        desk.library.head("борис", file)
    with pytest.raises(RefusedError, match="there is no file"):
        desk.save(b"over it", user="борис", file=file)
    desk.save(b"mine", user="борис")
    assert len(desk.uploads.files) == 2


@pytest.mark.parametrize("seed", range(3))
def test_sixteen_who_save_at_once_all_get_numbers_of_their_own(desk: Desk, seed: int) -> None:
    """No gap, no repeat, no loss, in whatever order their operations come."""
    dice = random.Random(seed)
    file = desk.save(b"0").head.file
    numbers: dict[int, bytes] = {}

    def client(name: int) -> None:
        for turn in range(2):
            data = b"%d/%d" % (name, turn)
            saved = desk.library.save("ana", data, Description(), Saving(file=file), save=f"{name}/{turn}")
            assert saved.number not in numbers
            numbers[saved.number] = data

    turns = Turns()
    desk.store.before = desk.uploads.before = turns.pause
    for name in range(16):
        turns.start(partial(client, name))
    while turns.running:
        turns.step(dice.randrange(len(turns.running)))
    desk.store.before = desk.uploads.before = lambda _call: None
    assert sorted(numbers) == list(range(2, 34))
    kept = desk.library.head("ana", file).versions
    assert [entry.number for entry in kept] == list(range(4, 34))
    assert all(desk.read(file, entry.number) == numbers[entry.number] for entry in kept)


@pytest.mark.parametrize("seed", range(60))
def test_any_interleaving_of_saves_ends_exact(seed: int) -> None:
    """Saves, reverts and deletes of one user, operation by operation in any order, some killed half-way."""
    dice = random.Random(seed)
    desk = Desk(dice=dice, room=14)
    turns = Turns()
    file = desk.save(b"start").head.file
    desk.store.before = desk.uploads.before = turns.pause

    def work(number: int) -> None:
        deed, data, save = dice.random(), b"%d" % dice.randrange(3) * 5, f"{seed}/{number}"
        try:
            if deed < 0.4:
                saving = Saving(file=file, auto_save=deed < 0.2, create_version=deed < 0.1)
                desk.library.save("ana", data, Description(change="x"), saving, save=save)
            elif deed < 0.7:
                desk.library.save("ana", data, Description(name="n.txt"), Saving(), save=save)
            elif deed < 0.8:
                desk.library.revert("ana", file, 1, save=save)
            else:
                desk.library.pin("ana", file, 1, is_pinned=deed < 0.9)
        except (RefusedError, Crash):
            return

    for number in range(6):
        turns.start(partial(work, number))
    turns.run_in_any_order(dice, killed=0.02)
    desk.store.before = desk.uploads.before = lambda _call: None
    assert desk.faults() == [], f"seed {seed}"
    head = desk.library.head("ana", file)
    assert [entry.number for entry in head.versions] == list(range(1, head.last_number + 1))


@pytest.mark.parametrize("error", [UncertainError, ConflictError])
def test_a_save_whose_answer_was_lost_is_not_made_twice(desk: Desk, error: type[Exception]) -> None:
    """Applied, and the answer lost or sent again: read again, it is found by its name, even behind others' saves."""
    file = desk.save(b"0").head.file
    others = [3]

    def lose(call: str) -> None:
        if call == "commit" and others:
            count = others.pop()
            desk.store.after = lambda _call: None
            for number in range(count):
                desk.save(b"between %d" % number, file=file)
            raise error(call)

    desk.store.after = lose
    assert desk.save(b"mine", file=file).number == 2
    assert [entry.number for entry in desk.library.head("ana", file).versions] == [1, 2, 3, 4, 5]
    assert desk.read(file, 2) == b"mine"


def test_a_crash_between_any_two_writes_leaves_nothing_half_done(desk: Desk) -> None:
    """Whichever store operation is the last: the same request again ends in one version, exact to the byte."""
    for last in range(1, 6):
        count = [0]

        def die(_call: str, last: int = last, count: list[int] = count) -> None:
            count[0] += 1
            if count[0] == last:
                raise Crash

        desk.store.before = desk.uploads.before = die
        try:
            desk.save(b"crash %d" % last, name="c.txt", save=f"crash {last}")
        except Crash:
            pass
        desk.store.before = desk.uploads.before = lambda _call: None
        assert desk.faults() == []
        saved = desk.save(b"crash %d" % last, name="c.txt", save=f"crash {last}")
        assert (saved.number, len(saved.head.versions)) == (1, 1)


def test_large_text_is_packed_and_read_back_whole() -> None:
    """Above the threshold, and only what packing makes smaller; the account is charged for what it takes."""
    desk = Desk(pack_from=1000)
    file = desk.save(b"line\n" * 1000).head.file
    [(stored, _)] = desk.uploads.files.values()
    assert stored.content_encoding == "gzip"
    assert stored.size < 200
    assert desk.quota()["used_bytes"] == stored.size
    assert desk.read(file, 1) == b"line\n" * 1000
    picture = desk.save(b"\xff\xd8\xff" + bytes(2000), name="p.jpg").head
    assert desk.uploads.files[BUCKET, f"artifacts/ana/blobs/{picture.newest.digest}"][0].content_encoding == ""
    assert desk.faults() == []
