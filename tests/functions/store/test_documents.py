"""The contract of the store of documents: every implementation keeps each of these promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from afterimage.store.documents import (
    LAST_ID,
    MOST_WRITES,
    Change,
    ConflictError,
    Document,
    DocumentHistory,
    DocumentStore,
    Expect,
    Query,
    Remove,
    Replace,
    Where,
    Write,
    compare_and_delete,
    compare_and_set,
)
from afterimage.store.firestore_values import GeoPoint

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def put(store: DocumentStore, path: str, **fields: Any) -> None:
    store.commit([Replace(path=path, fields=fields, expected=Expect.ANYTHING)])


def present(store: DocumentStore, path: str) -> Document:
    found = store.read(path)
    assert found is not None, f"there is no `{path}`"
    return found


def ids(found: list[Document]) -> list[str]:
    return [document.id for document in found]


def test_a_document_comes_back_as_it_was_written(documents: DocumentHistory) -> None:
    """Every kind of value, in maps and lists, under names that mean something elsewhere."""
    fields = {
        "nothing": None, "yes": True, "count": 2**62, "ratio": 0.5, "text": "é\U0001f600", "raw": b"\x00\xff",
        "when": NOON, "where": GeoPoint(latitude=1.5, longitude=-2.0), "empty": {}, "none": [],
        "list": [1, "x", {"deep": True}], "a.b": 1, "c d": {"e`f": {"g/h": 2}}, "0": "digit",
    }  # fmt: skip
    put(documents, "things/ü", **fields)
    assert present(documents, "things/ü").fields == fields
    assert documents.read("things/u") is None


def test_a_replaced_document_keeps_nothing_of_what_was_there(documents: DocumentHistory) -> None:
    """Fields that are not named go, in nested maps too; whatever was expected."""
    put(documents, "a/1", old=1, map={"x": 1})
    compare_and_set(documents, "a/1", {"map": {"y": 2}}, documents.read("a/1"))
    assert present(documents, "a/1").fields == {"map": {"y": 2}}
    put(documents, "a/1", new=1)
    assert present(documents, "a/1").fields == {"new": 1}


def test_compare_and_set_lets_one_writer_through(documents: DocumentHistory) -> None:
    """Created where there is none, replaced and deleted only as it was read; the loser has changed nothing."""
    first = compare_and_set(documents, "a/1", {"n": 1}, None)
    with pytest.raises(ConflictError):
        compare_and_set(documents, "a/1", {"n": 2}, None)
    second = compare_and_set(documents, "a/1", {"n": 2}, first)
    assert present(documents, "a/1").version == second.version
    with pytest.raises(ConflictError):
        compare_and_set(documents, "a/1", {"n": 3}, first)
    with pytest.raises(ConflictError):
        compare_and_delete(documents, first)
    assert present(documents, "a/1").fields == {"n": 2}
    compare_and_delete(documents, second)
    assert documents.read("a/1") is None
    with pytest.raises(ConflictError):
        compare_and_set(documents, "a/1", {"n": 4}, second)


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("expected", list(Expect))
@pytest.mark.parametrize("kind", [Replace, Change, Remove])
def test_every_write_says_what_it_expects(
    documents: DocumentHistory, kind: type[Write], expected: Expect, is_there: bool
) -> None:
    """Absent, present or anything: what does not hold is a conflict, for each kind of write."""
    if is_there:
        put(documents, "a/1", n=1)
    writes: dict[type[Write], Write] = {
        Replace: Replace(path="a/1", fields={"n": 2}, expected=expected),
        Change: Change(path="a/1", put={"n": 2}, expected=expected),
        Remove: Remove(path="a/1", expected=expected),
    }
    write = writes[kind]
    if expected is (Expect.ABSENT if is_there else Expect.PRESENT):
        with pytest.raises(ConflictError):
            documents.commit([write])
        assert (documents.read("a/1") is not None) is is_there
    else:
        assert len(documents.commit([write])) == 1
        assert (documents.read("a/1") is not None) is (kind is not Remove)


def test_a_change_leaves_the_rest_alone(documents: DocumentHistory) -> None:
    """Amounts add up under their paths, put fields are replaced whole, dropped paths go, and nothing else moves."""
    put(documents, "a/1", sums={"x": 1, "y": {"z": 5}}, kept={"k": 1}, map={"old": 1}, days={"mon": 1, "tu.e": 2})
    amounts = {("sums", "x"): 2, ("sums", "new", "deep"): 7, ("sums", "y", "z"): -5, ("total",): 3}
    change = Change(path="a/1", amounts=amounts, put={"map": {"new": 1}}, drop=[("days", "tu.e"), ("days", "none")])
    documents.commit([change])
    assert present(documents, "a/1").fields == {
        "sums": {"x": 3, "new": {"deep": 7}, "y": {"z": 0}},
        "kept": {"k": 1},
        "map": {"new": 1},
        "days": {"mon": 1},
        "total": 3,
    }


def test_a_change_of_nothing_begins_empty(documents: DocumentHistory) -> None:
    """Where no document is needed, amounts begin at zero."""
    documents.commit([Change(path="a/1", amounts={("n", "m"): 4}, put={"user": "ana"})])
    documents.commit([Change(path="a/1", amounts={("n", "m"): 1})])
    assert present(documents, "a/1").fields == {"n": {"m": 5}, "user": "ana"}


def test_a_change_may_name_the_version_it_was_decided_on(documents: DocumentHistory) -> None:
    """Somebody who came between makes it a conflict."""
    put(documents, "a/1", n=1)
    read = present(documents, "a/1")
    documents.commit([Change(path="a/1", amounts={("n",): 1})])
    with pytest.raises(ConflictError):
        documents.commit([Change(path="a/1", amounts={("n",): 1}, expected=read.version)])
    documents.commit([Change(path="a/1", amounts={("n",): 1}, expected=present(documents, "a/1").version)])
    assert present(documents, "a/1").fields == {"n": 3}


def test_a_commit_is_applied_whole_or_not_at_all(documents: DocumentHistory) -> None:
    """One write that meets something unexpected takes all others back; else each has its version, in order."""
    put(documents, "a/1", n=1)
    writes: list[Write] = [
        Replace(path="a/2", fields={"n": 2}, expected=Expect.ABSENT),
        Change(path="a/1", amounts={("n",): 10}),
        Remove(path="a/3", expected=Expect.PRESENT),
    ]
    with pytest.raises(ConflictError):
        documents.commit(writes)
    assert documents.read("a/2") is None
    assert present(documents, "a/1").fields == {"n": 1}
    versions = documents.commit(writes[:2])
    assert versions == [present(documents, "a/2").version, present(documents, "a/1").version]
    assert documents.commit([]) == []


def test_a_commit_takes_so_many_writes_and_no_more(documents: DocumentHistory) -> None:
    """At the limit it is applied; above, nothing is, and the error says what to do."""
    writes = [Replace(path=f"a/{n}", fields={"n": n}, expected=Expect.ABSENT) for n in range(MOST_WRITES + 1)]
    with pytest.raises(ValueError, match="501 writes; it takes at most 500"):
        documents.commit(writes)
    assert documents.page("a", "", 1) == []
    assert len(documents.commit(writes[:-1])) == MOST_WRITES


def test_times_are_the_stores_own(documents: DocumentHistory) -> None:
    """Creation stays, each write is later and a new version, a server time is that of its commit."""
    documents.commit([Replace(path="a/1", fields={"n": 1}, server_times=("at",), expected=Expect.ABSENT)])
    first = present(documents, "a/1")
    documents.commit([Change(path="a/1", put={"n": 2}, server_times=("seen",))])
    second = present(documents, "a/1")
    assert first.created == first.updated == second.created < second.updated
    assert first.version != second.version
    assert [first.fields["at"].tzinfo, second.fields["at"]] == [UTC, first.fields["at"]]
    assert abs(second.fields["seen"] - datetime.fromtimestamp(second.updated / 1e9, UTC)) < timedelta(milliseconds=1)
    documents.commit([Remove(path="a/1", expected=second.version)])
    put(documents, "a/1", n=3)
    assert present(documents, "a/1").created > second.updated


def test_many_are_read_in_the_order_they_are_asked_for(documents: DocumentHistory) -> None:
    """One that is not there leaves its place empty; one that is asked for twice comes twice."""
    for name in "cab":
        put(documents, f"a/{name}", name=name)
    found = documents.read_many(["a/b", "a/none", "a/a", "a/b"])
    assert [each and each.fields["name"] for each in found] == ["b", None, "a", "b"]
    assert documents.read_many([]) == []


def test_a_page_goes_on_behind_any_id(documents: DocumentHistory) -> None:
    """By the bytes of ids, of one collection alone, from behind an id that need not exist."""
    names = ["!", "0", "10", "9", "Z", "a", "~", "é", "\uffee", "\U0001f600"]
    for name in reversed(names):
        put(documents, f"a/1/b/{name}", n=1)
    put(documents, "a/1/b/0/deeper/x", n=1)
    put(documents, "a/2/b/0", n=1)
    assert ids(documents.page("a/1/b", "", 99)) == names
    assert ids(documents.page("a/1/b", "0", 3)) == ["10", "9", "Z"]
    assert ids(documents.page("a/1/b", "b", 2)) == ["~", "é"]
    assert documents.page("a/1/b", "\U0001f600", 9) == []
    assert documents.page("a/none/b", "", 9) == []


@pytest.fixture
def jobs(documents: DocumentHistory) -> DocumentHistory:
    """Some documents to ask for."""
    for number, (state, started) in enumerate([("open", 3), ("open", 1), ("done", 2), ("open", 2), ("done", 3)]):
        put(documents, f"jobs/j{number}", state=state, started=NOON + timedelta(days=started), turn=number / 2)
    put(documents, "jobs/odd", state=7, turn="many")
    put(documents, "jobs/j1/jobs/deeper", state="open", started=NOON, turn=0)
    return documents


def test_documents_are_found_by_a_value(jobs: DocumentHistory) -> None:
    """Equal and of the same kind, in the order of ids, page by page."""
    is_open = (Where(field="state", comparison="==", value="open"),)
    assert ids(jobs.find(Query(collection="jobs", where=is_open, limit=9))) == ["j0", "j1", "j3"]
    assert ids(jobs.find(Query(collection="jobs", where=is_open, after_id="j0", limit=1))) == ["j1"]
    assert ids(jobs.find(Query(collection="jobs", where=is_open, descending=True, limit=2))) == ["j3", "j1"]
    seven = (Where(field="state", comparison="==", value=7),)
    assert ids(jobs.find(Query(collection="jobs", where=seven, limit=9))) == ["odd"]
    assert ids(jobs.find(Query(collection="jobs", limit=9))) == ["j0", "j1", "j2", "j3", "j4", "odd"]


def test_documents_are_found_by_one_of_several_values(jobs: DocumentHistory) -> None:
    """Whichever of them a field equals, of the same kind; by id or by another field, behind a place."""
    either = Where(field="state", comparison="in", value=("done", 7, "never"))
    assert ids(jobs.find(Query(collection="jobs", where=(either,), limit=9))) == ["j2", "j4", "odd"]
    assert ids(jobs.find(Query(collection="jobs", where=(either,), after_id="j2", limit=1))) == ["j4"]
    any_state = Where(field="state", comparison="in", value=("open", "done"))
    since = Where(field="started", comparison=">=", value=NOON + timedelta(days=2))
    newer = Query(collection="jobs", where=(any_state, since), order_by="started", limit=3)
    assert ids(jobs.find(newer)) == ["j2", "j3", "j0"]
    place = NOON + timedelta(days=3)
    behind = Query(
        collection="jobs", where=(any_state, since), order_by="started", after_value=place, after_id="j0", limit=9
    )
    assert ids(jobs.find(behind)) == ["j4"]


def test_documents_of_one_collection_are_counted(jobs: DocumentHistory) -> None:
    """Those of that very collection, not those below or elsewhere; none where there is none."""
    assert [jobs.count(each) for each in ("jobs", "jobs/j1/jobs", "others")] == [6, 1, 0]


def test_several_values_are_taken_by_in_alone_and_not_without_end() -> None:
    """A tuple elsewhere, none at all, more than Firestore takes, or in the field's own order: refused, and why."""
    with pytest.raises(ValueError, match="`in` takes a tuple of values"):
        Where(field="state", comparison="==", value=("open",))
    with pytest.raises(ValueError, match="`in` takes a tuple of values"):
        Where(field="state", comparison="in", value="open")
    for values in ((), tuple(range(31))):
        with pytest.raises(ValueError, match="it takes 1 to 30"):
            Where(field="state", comparison="in", value=values)
    of_turns = Where(field="turn", comparison="in", value=(1, 2))
    with pytest.raises(ValueError, match="`turn in` is not found in its own order"):
        Query(collection="jobs", where=(of_turns,), order_by="turn", limit=9)


@pytest.mark.parametrize(
    ("comparison", "found"),
    [("<", ["j0", "j1"]), ("<=", ["j0", "j1", "j2"]), (">", ["j3", "j4"]), (">=", ["j2", "j3", "j4"])],
)
def test_documents_are_found_by_a_range(jobs: DocumentHistory, comparison: Any, found: list[str]) -> None:
    """Integers and floats compare with each other, and with nothing else."""
    where = (Where(field="turn", comparison=comparison, value=1),)
    assert ids(jobs.find(Query(collection="jobs", where=where, order_by="turn", limit=9))) == found


def test_documents_come_in_the_order_of_a_field(jobs: DocumentHistory) -> None:
    """Equal ones by their ids; a page goes on behind a value and an id; those without the field are not there."""
    everything = Query(collection="jobs", order_by="started", limit=9)
    assert ids(jobs.find(everything)) == ["j1", "j2", "j3", "j0", "j4"]
    second = NOON + timedelta(days=2)
    behind = Query(collection="jobs", order_by="started", after_value=second, after_id="j2", limit=2)
    assert ids(jobs.find(behind)) == ["j3", "j0"]
    newest = Query(collection="jobs", order_by="started", descending=True, limit=3)
    assert ids(jobs.find(newest)) == ["j4", "j0", "j3"]
    older = Query(collection="jobs", order_by="started", descending=True, after_value=second, after_id="j3", limit=9)
    assert ids(jobs.find(older)) == ["j2", "j1"]


def test_a_query_that_only_some_stores_could_answer_is_refused() -> None:
    """A range is found in its own order only, and to go on in an order takes the value there."""
    ranged = (Where(field="turn", comparison=">", value=1),)
    with pytest.raises(ValueError, match="a range of `turn` is found in its order only"):
        Query(collection="jobs", where=ranged, order_by="started", limit=9)
    with pytest.raises(ValueError, match="say the value of `started` there"):
        Query(collection="jobs", order_by="started", after_id="j2", limit=9)


def test_what_lies_beneath_a_root_is_found_and_nothing_elsewhere(documents: DocumentHistory) -> None:
    """In the order of paths, at any depth, behind any path; `users/a` comes with all of its own before `users/a!`."""
    here = [
        "users/a/objects/1", "users/a/objects/2", "users/a/x/y/objects/deep", "users/a!/objects/1", "users/b/objects/0",
    ]  # fmt: skip
    elsewhere = ["players/a/objects/1", "objects/1", "zebras/a/objects/1", "users/a/others/1", "users/objects"]
    for path in reversed([*here, *elsewhere]):
        put(documents, path, place=path)
    found = documents.beneath("users", "objects", limit=9)
    assert [each.path for each in found] == [each.fields["place"] for each in found] == here
    assert [each.path for each in documents.beneath("users", "objects", after=here[1], limit=2)] == here[2:4]
    leap = f"users/a/{LAST_ID}/{LAST_ID}"
    assert [each.path for each in documents.beneath("users", "objects", after=leap, limit=1)] == here[3:4]
    assert [each.path for each in documents.beneath("users", "objects", limit=9, paths_only=True)] == here


def test_what_lies_beneath_is_found_by_its_fields(documents: DocumentHistory) -> None:
    """In pages that go on behind a path; a range has another order, and is refused."""
    for path in ("gen/a/files/1", "gen/a/files/2", "gen/b/files/1", "gen/c/files/1", "other/a/files/1"):
        put(documents, path, status="open" if path != "gen/a/files/2" else "done")
    is_open = (Where(field="status", comparison="==", value="open"),)
    found = documents.beneath("gen", "files", where=is_open, limit=2)
    assert [each.path for each in found] == ["gen/a/files/1", "gen/b/files/1"]
    rest = documents.beneath("gen", "files", where=is_open, after=found[-1].path, limit=2)
    assert [each.path for each in rest] == ["gen/c/files/1"]
    with pytest.raises(ValueError, match="a range of `status`"):
        documents.beneath("gen", "files", where=(Where(field="status", comparison=">", value="d"),), limit=2)


def test_what_lies_below_a_document_is_named_from_the_deepest_up(documents: DocumentHistory) -> None:
    """So that deleting in this order never hides anything; documents that were never written may have some below."""
    below = ["u/a/x/1", "u/a/x/1/y/2", "u/a/x/none/y/3", "u/a/z/4"]
    for path in [*below, "u/a", "u/ab/x/1"]:
        put(documents, path, n=1)
    found = documents.paths_below("u/a", 99)
    assert sorted(found) == sorted(below)
    assert found.index("u/a/x/1/y/2") < found.index("u/a/x/1")
    while some := documents.paths_below("u/a", 2):
        assert len(some) <= 2
        documents.commit([Remove(path=path, expected=Expect.PRESENT) for path in some])
    assert [documents.read(path) is not None for path in ("u/a", "u/ab/x/1", *below)] == [True, True] + [False] * 4


def test_a_moment_stays_as_it_was(documents: DocumentHistory) -> None:
    """Whatever is written later; it can be opened again by its time."""
    put(documents, "a/1", n=1)
    moment = documents.frozen()
    put(documents, "a/1", n=2)
    put(documents, "a/2", n=2)
    for opened in (moment, documents.frozen(moment.at)):
        found = opened.read("a/1")
        assert found is not None
        assert found.fields == {"n": 1}
        assert ids(opened.page("a", "", 9)) == ["1"]
    assert ids(documents.frozen().page("a", "", 9)) == ["1", "2"]
