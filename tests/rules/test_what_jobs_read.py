"""What jobs read: nobody but functions writes there, at any depth and with any claim."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from afterimage_emulator.rules_testing import RulesEnvironment, assert_allowed, assert_denied
from rules.law import Law

ROOTS = ("users", "usage", "mediaObjects", "operations", "_events", "_jobs")
GROUPS = ("objects", "buckets", "records", "days", "published", "repairs", "totals")


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_nobody_writes_beneath_the_roots_that_jobs_read(law: Law, root: str, depth: int) -> None:
    """Jobs trust a path: whatever is beneath one of these roots was written by functions, or by an operator's hand."""
    environment = RulesEnvironment(law.files[0].text)
    everybody = [
        environment.as_user("alice"),
        environment.as_user("alice", admin=True, editor=True),
        environment.as_nobody(),
    ]
    for group in GROUPS:
        path = f"{root}/alice" + f"/{group}/x" * depth
        environment.seed({path: {"a": 1}})
        for anybody in everybody:
            assert_denied(anybody.set(f"{path}-new", {"a": 1}))
            assert_denied(anybody.update(path, {"a": 2}))
            assert_denied(anybody.delete(path))


def test_players_do_write_collections_of_those_names(law: Law) -> None:
    """Which is why no job may ask for a collection of that name wherever it is."""
    alice = RulesEnvironment(law.files[0].text).as_user("alice")
    for group in GROUPS:
        assert_allowed(alice.set(f"players/alice/{group}/x", {"source": {"bucket": "b", "name": "n"}}))
        assert_allowed(alice.set(f"players/alice/users/bob/{group}/x", {}))


def test_nobody_but_a_worker_says_what_becomes_of_a_generation(law: Law) -> None:
    """The expiry trusts generations and their signs of life; an owner may delete a generation, which only ends it."""
    environment = RulesEnvironment(law.files[0].text)
    generation, beat = "generations/alice/files/f1", "generations/alice/files/f1/worker/beat"
    environment.seed({generation: {"status": "processing"}, beat: {"run": "r"}})
    for anybody in (environment.as_user("alice"), environment.as_user("alice", admin=True), environment.as_nobody()):
        for path in (generation, beat):
            assert_denied(anybody.update(path, {"status": "completed"}))
            assert_denied(anybody.set(f"{path}-new", {"files": []}))
        assert_denied(anybody.delete(beat))
        assert_denied(anybody.get(beat))
    assert_allowed(environment.as_user("alice").delete(generation))


CALLS = {"beneath", "find", "page", "paths_below", "every", "ids_in", "ids_above"}
"""What asks the store of documents, or hands on what does, for more than one document by its path."""
FUNCTIONS = Path(__file__).resolve().parents[2] / "functions/afterimage"
READS: dict[str, tuple[str, ...]] = {
    "delivery/dead_letters.py open_letters: find(query)": ("_events/x",),
    "edges/cdn/handlers.py start_due_purges: find(PURGES)": ("_purges/x",),
    "edges/cdn/purging.py run: find(PURGES)": ("_purges/x",),
    "edges/drive/handlers.py start_due_work: find(DRIVE_QUEUE)": ("_driveQueue/x",),
    "edges/drive/keys/key_rotation.py turn: page(DRIVE_LINKS)": ("_driveLinks/alice",),
    "edges/drive/mirroring/queue.py release_claims: page(DRIVE_QUEUE)": ("_driveQueue/x",),
    "edges/drive/mirroring/queue.py due: find(DRIVE_QUEUE)": ("_driveQueue/x",),
    "edges/drive/mirroring/watching.py _wake: find(held)": ("_driveQueue/x",),
    "edges/drive/mirroring/watching.py _file_of: find(query)": ("drive/alice/mirrors/x",),
    "edges/drive/mirroring/watching.py _note_all: page(drive_mirrors_path(self.link.uid))": ("drive/alice/mirrors/x",),
    "artifacts/library.py history: find(query)": ("artifacts/alice/files/x/versions/1",),
    "artifacts/library.py listed: find(query)": ("artifacts/alice/files/x",),
    "generations/expire_versions.py _under_way: beneath(USERS)": ("users/alice/generations/x/versions/1",),
    "generations/reading.py _find: find(generations_path(self.uid))": ("users/alice/generations/x",),
    "jobs/artifact_jobs.py users_with_accounts: ids_in(store)": ("quota/alice",),
    "jobs/artifact_jobs.py _documents: beneath(ARTIFACTS)": ("artifacts/alice/blobs/x", "artifacts/alice/uploads/x"),
    "jobs/erase.py _of_user: find(collection)": ("_driveBegun/x", "_driveQueue/x"),
    "jobs/erase.py _projects: find(PROJECTS)": ("projects/x",),
    "jobs/expire.py _processing: beneath(GENERATIONS)": ("generations/alice/files/x",),
    "jobs/expire.py _beats: beneath(GENERATIONS)": ("generations/alice/files/x/worker/beat",),
    "jobs/ledger_jobs.py _having_books: page(BOOKS)": ("usage/alice",),
    "jobs/ledger_jobs.py rebuild_of: page(buckets_path(user))": ("usage/alice/buckets/x",),
    "jobs/ledger_jobs.py rebuild: page(buckets_path(user))": ("usage/alice/buckets/x",),
    "jobs/ledger_jobs.py reprice_of: every(store)": ("usage/alice/records/x",),
    "jobs/ledger_jobs.py reprice: every(store)": ("usage/alice/records/x",),
    "jobs/sweep.py _records: page(after)": ("users/alice/objects/x", "mediaObjects/x"),
    "ledger/book_documents.py buckets: beneath(BOOKS)": ("usage/alice/buckets/x",),
    "ledger/book_documents.py books_touched_since: find(BOOKS)": ("usage/alice",),
    "ledger/book_documents.py ids_in: page(collection)": ("usage/alice", "quota/alice"),
    "ledger/closing.py compact: every(self.store)": ("usage/alice/records/x",),
    "ledger/roll_up.py _let_go: page(buckets_path(user))": ("usage/alice/buckets/x",),
    "ledger/roll_up.py _let_go: paths_below(main.path)": ("usage/alice/buckets/x", "usage/alice/records/x"),
    "ledger/roll_up.py held_by: every(reader)": ("usage/alice/buckets/x", "usage/alice/days/x"),
    "ledger/survey.py owed_by_records: every(reader)": ("usage/alice/records/x",),
    "ledger/survey.py unseen: every(self.moment)": ("usage/alice/days/x",),
    "ledger/survey.py _side_by_side: every(self.moment)": ("usage/alice/records/x",),
    "ledger/survey.py _remember_all: every(self.moment)": ("usage/alice/records/x",),
    "media/stores.py page: page(SHARED_RECORDS)": ("mediaObjects/x",),
    "media/stores.py page: beneath(USERS)": ("users/alice/objects/x",),
    "publications/audit.py turn: page(PUBLICATIONS)": ("publications/x",),
    "publications/publications.py withdraw_all: find(self._owned_by(owner, limit))": ("publications/x",),
    "publications/publications.py _withdraw_others: find(PUBLICATIONS)": ("publications/x",),
    "quota/audit.py _all: page(collection)": ("artifacts/alice/files/x", "artifacts/alice/blobs/x"),
    "quota/review.py review: page(artifacts_path(user))": ("artifacts/alice/files/x",),
}
"""Every place that reads many documents, and examples of what it can meet. Nobody but functions writes there."""
OF_ONE_USER: dict[str, tuple[str, ...]] = {
    # Leaps from user to user, one document each, however many each of them has; and walks through one user's alone.
    "jobs/ledger_jobs.py _having_outputs: ids_above(store)": ("ai_outputs/alice/dialogues/x",),
    "ledger/book_documents.py ids_above: beneath(collection)": ("ai_outputs/alice/dialogues/x",),
    "ledger/sources.py live_documents: every(reader)": ("ai_outputs/alice/dialogues/x", "ai_outputs/alice/images/x"),
    "ledger/roll_up.py every: page(collection)": ("ai_outputs/alice/audio/x",),
    # Each user's marks behind those of the user before, and each mark by itself.
    "publications/audit.py turn: beneath(PUBLISHED)": ("published/alice/objects/x",),
    # What is erased is erased whoever wrote it, and beneath one user's document.
    "jobs/erase.py _documents: paths_below(root)": ("players/alice/objects/x",),
}
"""What users write themselves: nobody writes there for another, so no one's documents stand in another's way."""


def places_that_read() -> set[str]:
    """The module, the function and what it asks for, of every read of more than one document."""
    found = set()
    for source in sorted(FUNCTIONS.rglob("*.py")):
        module = source.relative_to(FUNCTIONS).as_posix()
        if module.startswith(("store/", "api/", "media/inspection/")):
            continue
        for function in ast.walk(ast.parse(source.read_text())):
            if isinstance(function, ast.FunctionDef):
                found |= {f"{module} {function.name}: {read}" for read in reads_in(function)}
    return found


def reads_in(function: ast.FunctionDef) -> Iterator[str]:
    for call in ast.walk(function):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        of = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        # Files are found by bucket and name, and listed by bucket and prefix.
        is_of_files = of.rpartition(".")[2] in {"files", "originals", "derived"}
        if name not in CALLS or is_of_files:
            continue
        first = call.args[0]
        if isinstance(first, ast.Call) and ast.unparse(first.func) == "Query":
            first = next(each.value for each in first.keywords if each.arg == "collection")
        yield f"{name}({ast.unparse(first)})"


def test_every_place_that_reads_many_documents_is_known_here() -> None:
    """A new one says what it reads, and thereby who may write there; one that is gone leaves this list."""
    assert places_that_read() == READS.keys() | OF_ONE_USER.keys()


@pytest.mark.parametrize("path", sorted({path for paths in READS.values() for path in paths}))
def test_nobody_puts_anything_where_jobs_read(law: Law, path: str) -> None:
    """Neither the user whose it is, nor an editor or an admin, nor somebody who is not signed in."""
    environment = RulesEnvironment(law.files[0].text)
    ada = environment.as_user("ada", admin=True, editor=True)
    for anybody in (environment.as_user("alice"), environment.as_user("bob"), ada, environment.as_nobody()):
        environment.clear()
        for fields in ({}, {"uid": "alice", "owner": "alice", "status": "processing", "generation": 1}):
            assert_denied(anybody.create(path, fields))
        environment.seed({path: {"a": 1}})
        # An admin gives a user another quota; nobody else changes anything.
        if (path, anybody) != ("quota/alice", ada):
            assert_denied(anybody.update(path, {"a": 2}))


@pytest.mark.parametrize("path", sorted({path for paths in OF_ONE_USER.values() for path in paths}))
def test_nobody_puts_anything_where_another_user_s_documents_are_read(law: Law, path: str) -> None:
    """A user who writes without end makes the walk through that user's documents longer, and no other."""
    environment = RulesEnvironment(law.files[0].text)
    for another in (environment.as_user("bob"), environment.as_user("ada", admin=True), environment.as_nobody()):
        environment.clear()
        assert_denied(another.create(path, {"model": "m", "generation": 1}))
        environment.seed({path: {"a": 1}})
        assert_denied(another.update(path, {"a": 2}))
        assert_denied(another.delete(path))
