"""One version, however often its task comes and wherever a worker dies: one archive, one bill, one end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from afterimage.faults import TransientError
from afterimage.generations.budgets import BudgetChange, budget_writes
from afterimage.generations.faults import (
    GeneratorBusyError,
    GeneratorError,
    LostAnswerError,
    NoGenerationError,
    NotReadyError,
    NotTheirsError,
)
from afterimage.generations.generator import TokensSpent
from afterimage.generations.project_files import files_in
from afterimage.generations.records import VersionKey
from afterimage.generations.working import CLAIMED_FOR, MOST_ATTEMPTS
from afterimage.paths import alert_path, archive_name, budget_path, code_output_path
from afterimage.store.documents import UncertainError
from tests.functions.generations.workshop_world import COST, MODEL, WORST, MadeWorld
from tests.functions.media_world import Crash


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def raising_once(error: BaseException) -> Callable[[str], None]:
    """A hook that fails at its first call."""
    left = [error]

    def fail(_call: str) -> None:
        if left:
            raise left.pop()

    return fail


def raising_once_after(is_time: Callable[[], bool], error: BaseException) -> Callable[[str], None]:
    """A hook that fails at its first call at which it is time."""
    left = [error]

    def fail(_call: str) -> None:
        if left and is_time():
            raise left.pop()

    return fail


def finished(world: MadeWorld, key: VersionKey) -> dict[str, Any]:
    """Delivers the task until its work is done."""
    for _ in range(50):
        try:
            world.workshop().work(key)
        except (Crash, TransientError):
            world.wait(CLAIMED_FOR.total_seconds())
            continue
        if world.documents.fields(key.path)["status"] != "processing":
            return world.documents.fields(key.path)
    raise AssertionError("the task never ended")


def check_one_end(world: MadeWorld, key: VersionKey) -> None:
    """The archive, the version, the generation, the output and the budget all say the same."""
    version = world.documents.fields(key.path)
    name = archive_name(version["project_id"], key.generation, key.version)
    stored, data = world.files.files["b", name]
    assert version["status"] == "completed"
    assert version["archive"]["generation"] == stored.generation
    assert [file["path"] for file in version["files"]] == sorted(files_in(data))
    head = world.head(key)
    assert (head["status"], head["current_version"], head["files_count"]) == ("completed", key.version, 2)
    output = world.documents.fields(code_output_path(key.uid, key.name))
    assert (output["model"], output["input_tokens"], output["output_tokens"]) == (MODEL, 2, 5)
    assert not [path for path in world.documents.documents if "/reservations/" in path]


def test_a_task_that_comes_again_and_again_does_its_work_once() -> None:
    """Duplicates after the end find nothing to do: one call of the generator, one output, one cost."""
    world = MadeWorld()
    world.budget(100 * WORST)
    key = world.begun()
    assert world.figures() == (WORST, 0)
    assert world.workshop().work(key) == "completed"
    for _ in range(3):
        assert world.workshop().work(key) == "nothing to do"
    assert (world.generator.asked, world.figures()) == (1, (0, COST))
    check_one_end(world, key)


def test_while_one_worker_is_at_it_another_is_sent_away() -> None:
    """The queue delivers twice at once: the second is to come back later, and finds the work done."""
    world = MadeWorld()
    key = world.begun()

    def meanwhile() -> None:
        with pytest.raises(TransientError, match="another worker"):
            world.workshop().work(key)

    world.generator.then.append(meanwhile)
    assert world.workshop().work(key) == "completed"
    assert world.generator.asked == 1


@pytest.mark.parametrize("kind", ["crash before", "crash after", "answer lost"])
def test_a_worker_may_die_between_any_two_operations(kind: str) -> None:
    """Each operation in its turn is the last one of a worker; the next delivery ends the same work, exactly once.

    A generator is asked again only where its answer was not stored, and what the lost attempt may have spent counts.
    """
    for step in itertools.count():
        world = MadeWorld()
        world.budget(100 * WORST)
        key = world.begun()
        calls = itertools.count()
        made_before = list[bool]()

        def strike(
            _call: str,
            world: MadeWorld = world,
            calls: itertools.count[int] = calls,
            made_before: list[bool] = made_before,
            step: int = step,
        ) -> None:
            if next(calls) == step:
                made_before.append(bool(world.files.files))
                raise UncertainError("lost") if kind == "answer lost" else Crash

        if kind == "crash before":
            world.documents.before = world.files.before = strike
        else:
            world.documents.after = world.files.after = strike
        finished(world, key)
        world.documents.before = world.files.before = world.documents.after = world.files.after = lambda _call: None
        check_one_end(world, key)
        reserved, spent = world.figures()
        assert reserved == 0
        if made_before[:1] == [False]:
            # Between claim and archive nobody can know whether the lost attempt was answered: its worst case counts.
            assert spent in {COST, COST + WORST}
            assert world.generator.asked <= 2
        else:
            assert (spent, world.generator.asked) == (COST, 1)
        if next(calls) <= step:
            break
    assert step >= 5


@pytest.mark.parametrize(
    ("error", "asked", "spent"),
    [
        (GeneratorBusyError("503"), 2, COST),
        (LostAnswerError("broken"), 2, COST + WORST),
        (Crash(), 2, COST + WORST),
    ],
)
def test_what_a_failed_attempt_may_have_spent_counts(error: BaseException, asked: int, spent: int) -> None:
    """Busy: nothing was begun. Broken off, or dead: the worst case is taken for spent, and reserved once more."""
    world = MadeWorld()
    world.budget(100 * WORST)
    key = world.begun()
    world.generator.then.append(raising(error))
    finished(world, key)
    check_one_end(world, key)
    assert (world.generator.asked, world.figures()) == (asked, (0, spent))


def test_what_was_made_and_not_told_is_found_and_not_made_again() -> None:
    """The worker dies behind its archive: the next adopts it, whatever it cost; the model is asked and paid once."""
    world = MadeWorld()
    world.budget(WORST)
    key = world.begun()
    world.files.after = raising_once(Crash())
    fields = finished(world, key)
    check_one_end(world, key)
    assert (fields["attempts"], world.generator.asked, world.figures()) == (2, 1, (0, COST))


def test_a_version_that_has_ended_is_not_ended_again() -> None:
    """The archive stood, the claim ran out, and another worker told of it: the first one's word comes too late."""
    world = MadeWorld()
    world.budget(100 * WORST)
    key = world.begun()

    def meanwhile(call: str) -> None:
        world.files.after = lambda _call: None
        world.wait(CLAIMED_FOR.total_seconds() + 1)
        assert world.workshop().work(key) == "completed"

    world.files.after = meanwhile
    assert world.workshop().work(key) == "nothing to do"
    check_one_end(world, key)
    assert world.figures() == (0, COST)


def test_a_version_that_ends_while_another_begins_is_not_forgotten() -> None:
    """What the generation says is written under the version that was read: neither of the two is lost."""
    world = MadeWorld()
    key = world.begun()
    world.workshop().work(key)
    second = world.opening().iteration(world.wish(), key.generation)

    def meanwhile(call: str) -> None:
        if call == "commit":
            world.documents.before = lambda _call: None
            assert world.workshop().work(second) == "completed"

    world.documents.before = meanwhile
    third = world.opening().iteration(world.wish(), key.generation)
    assert third.version == 3
    assert (world.head(key)["version"], world.head(key)["current_version"]) == (3, 2)
    assert world.documents.fields(third.path)["parent_version"] == 2


def test_an_attempt_that_the_budget_does_not_hold_is_not_made() -> None:
    """The first answer was lost; for a second there is no money: failed, with the reason, nothing reserved."""
    world = MadeWorld()
    world.budget(WORST + 1)
    key = world.begun()
    world.generator.then.append(raising(LostAnswerError("broken")))
    fields = finished(world, key)
    assert fields["status"] == "failed"
    assert "budget" in fields["error"]
    assert (world.generator.asked, world.figures()) == (1, (0, WORST))


def test_a_budget_that_runs_out_is_told_of_once_at_each_level() -> None:
    """80, 90 and 100 percent spent, each in the commit that spends it; a limit that was raised clears what it ends."""
    world = MadeWorld()
    world.budget(5 * COST)

    def spend(amount: int) -> None:
        found = world.documents.read(budget_path("alice"))
        world.documents.commit(list(budget_writes("alice", "n", found, BudgetChange(spend=amount), world.now())))

    def told() -> dict[str, str]:
        alerts = {path: fields for path, (fields, *_) in world.documents.documents.items() if "/alerts/" in path}
        assert all(fields["limit_nano_usd"] for fields in alerts.values())
        return {path.rpartition("/")[2]: fields["state"] for path, fields in alerts.items()}

    for _ in range(3):
        world.workshop().work(world.begun())
    assert told() == {}
    spend(COST)
    assert (told(), world.documents.fields(budget_path("alice"))["alert_level"]) == ({"80": "raised"}, 80)
    first = world.documents.fields(alert_path(budget_path("alice"), 80))
    spend(COST // 10)
    assert world.documents.fields(alert_path(budget_path("alice"), 80)) == first
    spend(COST)
    assert told() == {"80": "raised", "90": "raised", "100": "raised"}
    budget = world.documents.fields(budget_path("alice"))
    world.documents.put(budget_path("alice"), {**budget, "limit_nano_usd": 6 * COST})
    spend(0)
    assert told() == {"80": "raised", "90": "cleared", "100": "cleared"}


def test_a_generator_that_never_answers_is_given_up() -> None:
    """After so many attempts the version fails, and says so."""
    world = MadeWorld()
    key = world.begun()
    world.generator.then.extend([raising(LostAnswerError("broken"))] * 20)
    fields = finished(world, key)
    assert (fields["status"], world.generator.asked) == ("failed", MOST_ATTEMPTS)


def test_an_answer_that_is_no_project_fails_at_once_and_is_paid_for() -> None:
    """Names that lead out, or no project at all: failed with the reason; the tokens are booked and spent."""
    for break_it in (
        lambda world: world.generator.then.append(
            raising(GeneratorError("no", TokensSpent(model=MODEL, output_tokens=7)))
        ),
        lambda world: setattr(world.generator, "files", {"../../etc/passwd": "x"}),
    ):
        world = MadeWorld()
        world.budget(100 * WORST)
        key = world.begun()
        break_it(world)
        assert world.workshop().work(key) == "failed"
        assert (world.head(key)["status"], world.head(key)["archive"]) == ("failed", None)
        assert (world.generator.asked, world.figures()) == (1, (0, COST))
        assert world.documents.fields(code_output_path(key.uid, key.name))["status"] == "failed"
        assert world.files.files == {}


def test_a_worker_that_is_slow_and_one_that_took_over_leave_one_archive() -> None:
    """The claim ran out while the first still worked: whoever commits last, version and archive agree."""
    world = MadeWorld()
    key = world.begun()

    def meanwhile() -> None:
        world.wait(CLAIMED_FOR.total_seconds() + 1)
        assert world.workshop().work(key) == "completed"

    world.generator.then.append(meanwhile)
    with pytest.raises(TransientError):
        world.workshop().work(key)
    assert world.workshop().work(key) == "nothing to do"
    version = world.documents.fields(key.path)
    stored, data = world.files.files["b", archive_name(version["project_id"], key.generation, 1)]
    assert (version["archive"]["generation"], files_in(data)["asked.txt"]) == (stored.generation, b"2")


def test_a_user_who_was_erased_meanwhile_leaves_nothing() -> None:
    """The documents went while the generator was asked: the archive goes too."""
    world = MadeWorld()
    key = world.begun()
    world.generator.then.append(world.documents.documents.clear)
    assert world.workshop().work(key) == "nothing to do"
    assert (world.documents.documents, world.files.files) == ({}, {})


def test_a_worker_that_dies_while_its_user_is_erased_leaves_nothing_either() -> None:
    """The documents went, the archive was written, and the worker died before it could notice: the task's next
    delivery takes the archive back, and nobody else's that lies under the same name."""
    world = MadeWorld()
    key = world.begun()
    key = replace(key, project=world.documents.fields(key.path)["project_id"])
    world.generator.then.append(world.documents.documents.clear)
    world.files.after = raising_once_after(lambda: bool(world.files.files), Crash())
    with pytest.raises(Crash):
        world.workshop().work(key)
    assert (world.documents.documents, len(world.files.files)) == ({}, 1)
    assert world.workshop().work(replace(key, uid="bob")) == "nothing to do"
    assert len(world.files.files) == 1
    assert world.workshop().work(key) == "nothing to do"
    assert world.files.files == {}


def test_the_same_operation_begins_nothing_twice() -> None:
    """A repeated request finds what the first has begun, also when answers were lost, and reserves nothing more."""
    world = MadeWorld()
    world.budget(100 * WORST)
    lose = [True]

    def lost(call: str) -> None:
        if call == "commit" and lose:
            lose.clear()
            raise UncertainError("lost")

    world.documents.after = lost
    first = world.opening().generation(world.wish(operation="one"), None)
    assert world.opening().generation(world.wish(operation="one"), None) == first
    world.workshop().work(first)
    lose.append(True)
    second = world.opening().iteration(world.wish(operation="two"), first.generation)
    assert world.opening().iteration(world.wish(operation="two"), first.generation) == second
    assert (first.version, second.version) == (1, 2)
    assert world.figures() == (WORST, COST)


def test_a_project_belongs_to_its_first_owner_whatever_id_is_sent() -> None:
    """Squatting and joining are both refused, and nothing is begun or reserved."""
    world = MadeWorld()
    world.begun("alice", "shop")
    world.begun("alice", "shop")
    world.budget(WORST, "mallory")
    with pytest.raises(NotTheirsError):
        world.begun("mallory", "shop")
    assert world.figures("mallory") == (0, 0)
    assert not [path for path in world.documents.documents if "mallory" in path and "budgets" not in path]


def test_an_iteration_needs_a_finished_version_of_ones_own() -> None:
    """Nobody's, somebody else's, and one that is still under way."""
    world = MadeWorld()
    key = world.begun()
    for uid, error in (("alice", NotReadyError), ("mallory", NoGenerationError)):
        with pytest.raises(error):
            world.opening().iteration(world.wish(uid), key.generation)


def test_a_failed_version_leaves_those_before_it() -> None:
    """The generation says that its newest version failed, and still offers the archive of the one before."""
    world = MadeWorld()
    key = world.begun()
    world.workshop().work(key)
    archive = world.head(key)["archive"]
    second = world.opening().iteration(world.wish(), key.generation)
    assert world.head(key)["status"] == "processing"
    world.generator.files = {"..": ""}
    assert world.workshop().work(second) == "failed"
    head = world.head(key)
    assert (head["status"], head["version"], head["current_version"], head["archive"]) == ("failed", 2, 1, archive)
    third = world.opening().iteration(world.wish(), key.generation)
    world.generator.files = {"more.py": ""}
    assert world.workshop().work(third) == "completed"
    assert [file["path"] for file in world.documents.fields(third.path)["files"]] == ["asked.txt", "main.py", "more.py"]


def test_a_version_that_nobody_works_on_is_given_up_once() -> None:
    """The job ends it, unless somebody is at it; a late task then finds nothing to do."""
    world = MadeWorld()
    world.budget(100 * WORST)
    key = world.begun()
    world.generator.then.append(raising(Crash()))
    with pytest.raises(Crash):
        world.workshop().work(key)
    assert world.workshop().give_up(key, "too old") == "nothing to do"
    world.wait(CLAIMED_FOR.total_seconds() + 1)
    assert world.workshop().give_up(key, "too old") == "failed"
    assert world.workshop().work(key) == "nothing to do"
    assert world.figures() == (0, WORST)
