"""Publications: a file is public exactly while its owner says so of what it is now, whatever order events come in."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from afterimage.faults import TransientError
from afterimage.jobs.erase import Erase
from afterimage.jobs.progress import Turn
from afterimage.media import pipeline as pipeline_module
from afterimage.media.inspection.inspect import Verdict
from afterimage.media.inspection.stored_files import inspect_original
from afterimage.media.pipeline import Pipeline
from afterimage.paths import object_id, public_id, publication_path, published_mark_path
from afterimage.publications.audit import PublicationAudit
from afterimage.publications.publication import mark_in, may_be_public, public_files
from afterimage.publications.publications import PublicationOutcome
from afterimage.publications.purge_notes import PASSES, postponed, purge_note, purged
from tests.functions.media.pictures import corners, encoded
from tests.functions.media_world import Crash
from tests.functions.publishing import NAME, NOW, PICTURE, SETTINGS, Stage

SHARED = "media/a1/map.png"
OTHER = encoded(corners(64, 96), "PNG")


def test_a_marked_file_is_public_with_its_variants_and_without_its_original() -> None:
    """The original may tell where it was taken; it is shown only where that is asked for."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)
    assert stage.settle() is PublicationOutcome.PUBLIC
    published = stage.published(generation)
    assert published is not None
    assert published["owner"] == "alice"
    assert published["files"]
    assert all(tail.endswith(".webp") and "/" in tail for tail in published["files"])
    stage.mark(generation, original=True)
    stage.settle()
    published = stage.published(generation)
    assert published is not None
    assert published["files"]["original.png"]["path"] == NAME
    assert stage.note(generation) is None, "nothing was taken back"


def test_an_original_that_is_shown_no_longer_is_forgotten_by_caches() -> None:
    """Less of a file is public than was: caches are told, as they are when all of it goes."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation, original=True)
    stage.settle()
    stage.mark(generation)
    stage.settle()
    assert "original.png" not in (stage.published(generation) or {})["files"]
    assert stage.note(generation) is not None


@pytest.mark.parametrize("mark", [None, {}, {"generation": "17"}, {"generation": True}, {"generation": 16}])
def test_what_is_no_mark_of_this_very_generation_publishes_nothing(mark: dict[str, Any] | None) -> None:
    """Rules let only whole marks in; the functions do not rely on it."""
    record = {"owner": "alice", "generation": 17, "status": "ready"}
    assert not may_be_public(record, "alice", mark_in(mark))
    assert may_be_public(record, "alice", mark_in({"generation": 17}))


@pytest.mark.parametrize("status", ["processing", "quarantined", "failed", None])
def test_what_is_not_sound_is_not_public(status: str | None) -> None:
    """A record says what became of the bytes, and only two of its words are good enough."""
    assert not may_be_public({"owner": "a", "generation": 1, "status": status}, "a", mark_in({"generation": 1}))


def test_an_owner_publishes_shared_media_that_name_them_and_no_others() -> None:
    """Media name their uploader; a mark of somebody else's media is a mark of nothing."""
    stage = Stage()
    hers = stage.store(SHARED, PICTURE, owner="alice")
    stage.mark(hers, SHARED)
    assert stage.settle(SHARED) is PublicationOutcome.PUBLIC
    bobs = stage.store("media/a2/map.png", PICTURE, owner="bob")
    stage.mark(bobs, "media/a2/map.png")
    assert stage.settle("media/a2/map.png") is PublicationOutcome.PRIVATE


def test_taking_the_mark_away_withdraws_and_tells_caches_in_one_commit() -> None:
    """No crash can leave a file private and its copies in caches unknown to anybody."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)
    stage.settle()
    stage.unmark()
    commits: list[str] = []
    stage.world.store.before = commits.append
    assert stage.settle() is PublicationOutcome.WITHDRAWN
    assert commits.count("commit") == 1
    assert stage.published(generation) is None
    note = stage.note(generation)
    assert note is not None
    assert (note["state"], note["passes"]) == ("pending", 0)
    assert "alice" not in str(note)


def test_a_deleted_original_is_withdrawn_by_its_delete_event() -> None:
    """One event: the record goes, what is public goes, and the note stands."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)
    stage.settle()
    stage.world.remove(NAME)
    stage.pipeline.deleted("uploads", NAME, generation)
    assert stage.published(generation) is None
    assert stage.note(generation) is not None


def test_what_is_stored_over_a_public_file_is_private() -> None:
    """The owner published what they saw. Also where both are about the new one already, the old one goes."""
    stage = Stage()
    first = stage.store()
    stage.mark(first)
    stage.settle()
    second = stage.store(data=OTHER)
    stage.pipeline.deleted("uploads", NAME, first)
    assert stage.public_paths() == []
    stage.mark(second)
    stage.settle()
    assert stage.published(second) is not None

    # A delivery that died has told nobody yet of the third; its mark's event comes first.
    third = stage.world.upload(NAME, PICTURE).generation
    Pipeline(stores=stage.world.stores(), settings=SETTINGS, workers=1).finalized("uploads", NAME, third)
    stage.mark(third)
    assert stage.settle() is PublicationOutcome.PUBLIC
    assert stage.public_paths() == [publication_path(public_id("uploads", NAME, third))]
    assert stage.note(second) is not None


def test_a_file_that_turns_out_unsound_is_withdrawn_by_the_delivery_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new plan, or a new inspection, may quarantine what an older one let through."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)
    stage.settle()
    real = inspect_original

    def stricter(*arguments: Any) -> Any:
        inspection, _ = real(*arguments)
        return replace(inspection, verdict=Verdict.QUARANTINE, reason="not let through any more"), None

    def dies(*_arguments: object) -> None:
        raise Crash

    monkeypatch.setattr(pipeline_module, "inspect_original", stricter)
    renewed = replace(stage.pipeline, settings=replace(SETTINGS, plan_overrides={"*": {"avif": True}}), follow=dies)
    with pytest.raises(Crash):
        renewed.finalized("uploads", NAME, generation)
    assert stage.published(generation) is not None, "it died before it could say so"
    replace(renewed, follow=stage.publications.follow).finalized("uploads", NAME, generation)
    assert stage.published(generation) is None
    assert stage.note(generation) is not None


def test_a_new_plan_s_files_take_the_place_of_the_old_ones() -> None:
    """A backfill under another plan keeps a public file public, under new addresses."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)
    stage.settle()
    before = set((stage.published(generation) or {})["files"])
    renewed = replace(stage.pipeline, settings=replace(SETTINGS, plan_overrides={"*": {"thumbnails": [10]}}))
    renewed.finalized("uploads", NAME, generation)
    after = set((stage.published(generation) or {})["files"])
    assert after
    assert not before & after


def test_an_erased_user_s_files_are_withdrawn_before_anything_else_goes() -> None:
    """The world first; then the job goes on, and leaves the notes that name nobody."""
    stage = Stage()
    for number in range(5):
        name = f"users/alice/ai_generated/images/card{number}_portrait.png"
        stage.mark(stage.store(name), name)
        stage.settle(name)
    assert len(stage.public_paths()) == 5
    erase = Erase(
        pipeline=stage.pipeline, documents=stage.world.store, publications=stage.publications, page=2, shared_page=2
    )
    cursor = ""
    while stage.public_paths():
        page = erase.turn(Turn(request={"uid": "alice"}, cursor=cursor, counts={}))
        assert page.next_cursor is not None
        cursor = page.next_cursor
    assert len(stage.world.originals) == 5, "no original was touched before that"
    assert sum(path.startswith("_purges/") for path in stage.world.documents) == 5


def test_marks_and_deletions_in_any_order_with_kills_between_any_two_calls_leave_nothing_public_by_mistake() -> None:
    """Seeded runs: whatever died is delivered again; at rest exactly what mark and record say is public."""
    for seed in range(120):
        stage, chance = Stage(), random.Random(seed)
        pending: list[tuple[str, int]] = []
        generations = [stage.store()]
        for _ in range(12):
            match chance.randrange(4):
                case 0:
                    stage.mark(chance.choice(generations), original=chance.random() < 0.5)
                    pending.append(("mark", 0))
                case 1 if published_mark_path("alice", object_id("uploads", NAME)) in stage.world.documents:
                    stage.unmark()
                    pending.append(("mark", 0))
                case 2:
                    replaced = stage.world.originals.get(("uploads", NAME))
                    generations.append(stage.world.upload(NAME, chance.choice([PICTURE, OTHER])).generation)
                    pending.append(("finalized", generations[-1]))
                    if replaced:
                        pending.append(("deleted", replaced[0].generation))
                case 3 if ("uploads", NAME) in stage.world.originals and chance.random() < 0.4:
                    pending.append(("deleted", stage.world.remove(NAME).generation))
            _deliver_some(stage, pending, chance)
        while pending:
            _deliver_some(stage, pending, chance)
        _assert_right(stage, seed)


def _deliver_some(stage: Stage, pending: list[tuple[str, int]], chance: random.Random) -> None:
    """Some of what waits, in any order, each perhaps cut off at some call and then delivered again."""
    for _ in range(chance.randrange(3)):
        if not pending:
            return
        kind, generation = pending.pop(chance.randrange(len(pending)))
        calls_left = [chance.randrange(25) if chance.random() < 0.4 else 10**6]

        def before(_call: str, calls_left: list[int] = calls_left) -> None:
            calls_left[0] -= 1
            if calls_left[0] < 0:
                raise Crash

        stage.world.before = before
        try:
            if kind == "mark":
                stage.settle()
            else:
                getattr(stage.pipeline, kind)("uploads", NAME, generation)
        except (Crash, TransientError):
            pending.append((kind, generation))
        finally:
            stage.world.before = lambda _call: None


def _assert_right(stage: Stage, seed: int) -> None:
    identifier = object_id("uploads", NAME)
    record = stage.world.record(f"users/alice/objects/{identifier}")
    mark = mark_in(stage.world.record(published_mark_path("alice", identifier)))
    expected = []
    if record is not None and mark is not None and may_be_public(record, "alice", mark):
        expected = [publication_path(public_id("uploads", NAME, record["generation"]))]
        assert set(stage.world.documents[expected[0]][0]["files"]) == set(public_files(record, mark)), f"seed {seed}"
    assert stage.public_paths() == expected, f"seed {seed}"


def test_a_mark_that_goes_while_its_file_is_made_public_is_noticed() -> None:
    """Its own event found nothing public yet; so whoever made it public looks once more."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)

    def unmark_first(call: str) -> None:
        if call == "commit records":
            stage.world.before = lambda _call: None
            stage.unmark()
            assert stage.settle() is PublicationOutcome.PRIVATE

    stage.world.before = unmark_first
    assert stage.settle() is PublicationOutcome.WITHDRAWN
    assert stage.public_paths() == []


def test_a_mark_that_comes_back_while_its_file_is_withdrawn_wins() -> None:
    """Whoever withdraws names the publication it read; one that was written since is not touched."""
    stage = Stage()
    generation = stage.store()
    stage.mark(generation)
    stage.settle()
    stage.unmark()

    def mark_again_first(call: str) -> None:
        if call == "commit records":
            stage.world.before = lambda _call: None
            stage.mark(generation, original=True)
            assert stage.settle() is PublicationOutcome.PUBLIC

    stage.world.before = mark_again_first
    assert stage.settle() is PublicationOutcome.PUBLIC
    assert "original.png" in (stage.published(generation) or {})["files"]


def test_the_audit_finds_what_lost_events_have_left() -> None:
    """Public without a mark, marked without being public: both are put right, and a second run changes nothing."""
    stage = Stage()
    names = [f"users/alice/ai_generated/images/card{number}_portrait.png" for number in range(4)]
    for name in names:
        stage.mark(stage.store(name), name)
        if name != names[0]:
            stage.settle(name)
    stage.unmark(names[1])
    audit = PublicationAudit(publications=stage.publications, page=2)

    def run() -> None:
        cursor: str | None = ""
        while cursor is not None:
            cursor = audit.turn(Turn(request={}, cursor=cursor, counts={})).next_cursor

    run()
    assert len(stage.public_paths()) == 3
    assert stage.world.record(publication_path(public_id("uploads", names[1], 1002))) is None
    before = dict(stage.world.documents)
    run()
    assert stage.world.documents == before


def test_a_note_is_done_after_its_second_pass_and_postponed_ever_longer_after_failures() -> None:
    """A purge is never given up, and what was purged says when, and by which receipts."""
    note = purge_note("ab12", "gone", NOW)
    waits = []
    for _ in range(14):
        note = postponed(note, "429", NOW)
        waits.append(note["due_at"] - NOW)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=1)
    for number in range(PASSES):
        assert note["state"] == "pending"
        note = purged(note, f"r{number}", NOW, timedelta(days=30))
    assert (note["state"], note["receipts"], note["purged_at"]) == ("done", ["r0", "r1"], NOW)
    assert note["expires_at"] == NOW + timedelta(days=30)
