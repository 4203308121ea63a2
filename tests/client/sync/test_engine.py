"""The sync over the suite: pushed, pulled, merged, refused, and nothing lost on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from afterimage_client.firestore.values import GeoPoint, Vector
from afterimage_client.store import RevisionChangedError, Store
from afterimage_client.sync import CollectionSyncConfig, DocumentState, Repository, SyncEngine
from afterimage_emulator.faults import FaultRule
from afterimage_emulator.status import Code
from tests.client.sync.conftest import Replica, Replicas


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def stored(replica: Replica, reference: str) -> dict[str, Any] | None:
    fields = (await replica.app.firestore.document(reference).get()).to_dict()
    if fields is not None:
        fields.pop("mutations", None)
    return fields


async def both_have(replicas: Replicas, fresh: str, **fields: Any) -> tuple[Replica, Replica]:
    one, two = await replicas.make(), await replicas.make()
    one.store.upsert_local("scenes", {"id": fresh, **fields})
    while not one.engine.status().is_in_step:  # a busy machine may be slow to connect
        await one.engine.sync_all()
    await two.engine.pull("scenes", fresh)
    return one, two


async def test_a_new_document_goes_up_at_revision_0(replicas: Replicas, fresh: str) -> None:
    """What was made offline is created under the rules, and is in step then."""
    one = await replicas.make()
    one.store.upsert_local("scenes", {"id": fresh, "name": "Here", "where": GeoPoint(1.0, 2.0)})
    assert one.engine.document_status("scenes", fresh) is DocumentState.WAITING
    report = await one.engine.sync_all()
    assert len(report.done) == 1
    assert await stored(one, f"scenes/{fresh}") == {
        "id": fresh,
        "name": "Here",
        "where": GeoPoint(1.0, 2.0),
        "rev": 0,
    }
    assert one.engine.document_status("scenes", fresh) is DocumentState.CLEAN
    assert one.engine.status().is_in_step
    assert one.kinds(fresh) == ["pushed"]


async def test_only_changed_fields_travel(replicas: Replicas, fresh: str) -> None:
    """Two people who edit two fields, offline, have both edits in the end; neither hears of a conflict."""
    one, two = await both_have(replicas, fresh, name="Here", order=1, deep={"a": 1, "b": 2})
    one.engine.patch_local("scenes", fresh, 0, [{"op": "set", "path": "name", "value": "There"}])
    two.engine.patch_local("scenes", fresh, 0, [{"op": "set", "path": "deep.b", "value": 3}])
    await one.engine.sync_all()
    await two.engine.sync_all()
    await one.engine.pull("scenes", fresh)
    expected = {"id": fresh, "name": "There", "order": 1, "deep": {"a": 1, "b": 3}, "rev": 2}
    assert await stored(one, f"scenes/{fresh}") == expected
    assert one.store.get_by_id("scenes", fresh) == two.store.get_by_id("scenes", fresh) == expected
    assert one.engine.conflicts() == two.engine.conflicts() == []


async def test_values_of_firestores_own_types_come_into_any_store(replicas: Replicas, fresh: str) -> None:
    """Another user's place, reference or vector keeps nobody from the rest, whatever a store was told of."""
    one = await replicas.make()
    fields = {"at": GeoPoint(1, 2), "of": one.app.firestore.document("a/b"), "near": Vector((0.5, 1.0))}
    for name in "ab":
        one.store.upsert_local("scenes", {"id": f"{fresh}-{name}", "batch": fresh, **(fields if name == "a" else {})})
    await one.engine.sync_all()
    with contextlib.closing(Store(replicas.folder / "plain.db")) as plain:
        engine = SyncEngine(plain, one.app.firestore)
        engine.register_collection(
            CollectionSyncConfig(
                collection_name="scenes",
                query=lambda firestore: firestore.collection("scenes").where("batch", "==", fresh),
            )
        )
        await engine.pull("scenes")
        for name in "ab":
            assert plain.get_by_id("scenes", f"{fresh}-{name}") == one.store.get_by_id("scenes", f"{fresh}-{name}")
        assert plain.check_invariants() == []
    offline = Store(replicas.folder / "plain.db")
    with pytest.raises(ValueError, match="open it with its `kinds`"):
        offline.get_all("scenes")
    offline.close()


async def test_a_field_that_both_changed_is_kept_for_a_person(replicas: Replicas, fresh: str) -> None:
    """The server's value stands on every replica; the other one is kept with its base, until somebody decides."""
    one, two = await both_have(replicas, fresh, name="Here")
    one.store.upsert_local("scenes", {"id": fresh, "name": "One"})
    two.store.upsert_local("scenes", {"id": fresh, "name": "Two", "mine": True})
    await one.engine.sync_all()
    await two.engine.sync_all()
    assert two.store.get_by_id("scenes", fresh) == {"id": fresh, "name": "One", "mine": True, "rev": 2}
    assert two.engine.document_status("scenes", fresh) is DocumentState.CONFLICT
    (conflict,) = two.engine.conflicts("scenes", fresh)
    assert (conflict.path, conflict.base, conflict.local, conflict.remote) == (("name",), "Here", "Two", "One")
    two.engine.resolve(conflict.id, "here")
    await two.engine.sync_all()
    assert await stored(two, f"scenes/{fresh}") == {"id": fresh, "name": "Two", "mine": True, "rev": 3}
    assert two.engine.conflicts() == []


@pytest.mark.parametrize(("take", "value", "name"), [("there", None, "One"), (None, "Three", "Three")])
async def test_a_person_may_decide_otherwise(replicas: Replicas, fresh: str, take: Any, value: Any, name: str) -> None:
    """The other side's value, or a third one."""
    one, two = await both_have(replicas, fresh, name="Here")
    one.store.upsert_local("scenes", {"id": fresh, "name": "One"})
    two.store.upsert_local("scenes", {"id": fresh, "name": "Two"})
    await one.engine.sync_all()
    await two.engine.sync_all()
    (conflict,) = two.engine.conflicts()
    two.engine.resolve(conflict.id, take, value=value)
    await two.engine.sync_all()
    assert (await stored(two, f"scenes/{fresh}") or {})["name"] == name
    with pytest.raises(Exception, match="nothing is kept under"):
        two.engine.resolve(conflict.id, "here")


async def test_hooks_decide_what_both_changed(replicas: Replicas, fresh: str) -> None:
    """The hook for a field is asked first, then the one for the document; what they say is pushed."""
    asked: list[tuple[Any, ...]] = []

    def longest(path: tuple[str, ...], base: Any, here: Any, there: Any) -> Any:
        asked.append((path, base, here, there))
        return max(here, there, key=len)

    config = CollectionSyncConfig(collection_name="scenes", merge_field=longest)
    one, two = await replicas.make(), await replicas.make(configs=[config])
    one.store.upsert_local("scenes", {"id": fresh, "name": "Here"})
    await one.engine.sync_all()
    await two.engine.pull("scenes", fresh)
    one.store.upsert_local("scenes", {"id": fresh, "name": "One"})
    two.store.upsert_local("scenes", {"id": fresh, "name": "Number two"})
    await one.engine.sync_all()
    await two.engine.sync_all()
    assert asked == [(("name",), "Here", "Number two", "One")]
    assert (await stored(two, f"scenes/{fresh}") or {})["name"] == "Number two"
    assert two.engine.conflicts() == []


async def test_counters_add_up(replicas: Replicas, fresh: str) -> None:
    """Increments and sets are done again on what others made of the value: none is lost, none counts twice."""
    one, two = await both_have(replicas, fresh, visits=1, tags=["a"])
    for replica, by, tag in ((one, 10, "b"), (two, 100, "c")):
        replica.engine.patch_local(
            "scenes",
            fresh,
            None,
            [{"op": "increment", "path": "visits", "value": by}, {"op": "union", "path": "tags", "value": [tag]}],
        )
        await replica.engine.sync_all()
    assert await stored(one, f"scenes/{fresh}") == {"id": fresh, "visits": 111, "tags": ["a", "b", "c"], "rev": 2}


async def test_a_deletion_is_a_tombstone_until_the_server_has_it(replicas: Replicas, fresh: str) -> None:
    """Gone here at once, gone there after the sync, gone on the other replica after its pull."""
    one, two = await both_have(replicas, fresh, name="Here")
    assert one.store.delete_local("scenes", fresh)
    assert one.store.get_by_id("scenes", fresh) is None
    assert await stored(one, f"scenes/{fresh}") is not None
    await one.engine.sync_all()
    assert await stored(one, f"scenes/{fresh}") is None
    await two.engine.pull("scenes", fresh)
    assert two.store.get_by_id("scenes", fresh) is None


async def test_an_edit_against_a_deletion_is_kept(replicas: Replicas, fresh: str) -> None:
    """It stays deleted, as everywhere; who edited has the whole document in hand and may make it again."""
    one, two = await both_have(replicas, fresh, name="Here")
    one.store.delete_local("scenes", fresh)
    two.store.upsert_local("scenes", {"id": fresh, "name": "Edited"})
    await one.engine.sync_all()
    await two.engine.sync_all()
    assert two.store.get_by_id("scenes", fresh) is None
    (conflict,) = two.engine.conflicts()
    assert (conflict.kind, conflict.local) == ("edited_here", {"id": fresh, "name": "Edited"})
    two.engine.resolve(conflict.id, "here")
    await two.engine.sync_all()
    assert await stored(two, f"scenes/{fresh}") == {"id": fresh, "name": "Edited", "rev": 0}


async def test_a_deletion_against_an_edit_is_kept(replicas: Replicas, fresh: str) -> None:
    """The edited document comes back; who deleted it may delete it again, knowing what it is now."""
    one, two = await both_have(replicas, fresh, name="Here")
    one.store.upsert_local("scenes", {"id": fresh, "name": "Edited"})
    two.store.delete_local("scenes", fresh)
    await one.engine.sync_all()
    await two.engine.sync_all()
    assert two.store.get_by_id("scenes", fresh) == {"id": fresh, "name": "Edited", "rev": 1}
    (conflict,) = two.engine.conflicts()
    assert conflict.kind == "deleted_here"
    two.engine.resolve(conflict.id, "here")
    await two.engine.sync_all()
    assert await stored(two, f"scenes/{fresh}") is None


async def test_two_who_make_one_document_merge(replicas: Replicas, fresh: str) -> None:
    """The same id on two replicas: fields of both, and a conflict where they differ."""
    one, two = await replicas.make(), await replicas.make()
    one.store.upsert_local("scenes", {"id": fresh, "name": "One", "a": 1})
    two.store.upsert_local("scenes", {"id": fresh, "name": "Two", "b": 2})
    await one.engine.sync_all()
    await two.engine.sync_all()
    assert await stored(two, f"scenes/{fresh}") == {"id": fresh, "name": "One", "a": 1, "b": 2, "rev": 1}
    assert [conflict.local for conflict in two.engine.conflicts()] == ["Two"]


async def test_a_refusal_is_told_and_rolled_back_and_the_value_kept(replicas: Replicas, fresh: str) -> None:
    """What the rules do not allow goes back to what the server has; the refused value waits for a person."""
    one, _ = await both_have(replicas, fresh, name="Here")
    one.store.upsert_local("scenes", {"id": fresh, "name": 7})
    other = one.store.queue.enqueue("push", "scenes/none")
    report = await one.engine.sync_all()
    assert other in report.done, "one refused document stops no other"
    assert one.store.get_by_id("scenes", fresh) == {"id": fresh, "name": "Here", "rev": 0}
    assert one.kinds(fresh)[-1] == "refused"
    (refusal,) = one.engine.refusals()
    assert refusal.local == {"id": fresh, "name": 7}
    assert "permission-denied" in refusal.reason
    assert one.engine.document_status("scenes", fresh) is DocumentState.REFUSED
    assert one.engine.status().refusals == 1
    one.engine.resolve(refusal.id, "here")
    assert one.store.get_by_id("scenes", fresh) == {"id": fresh, "name": 7, "rev": 0}
    await one.engine.sync_all()
    (again,) = one.engine.refusals()
    one.engine.resolve(again.id, "there")
    assert one.engine.document_status("scenes", fresh) is DocumentState.CLEAN


async def test_many_documents_go_in_one_commit_and_a_refused_one_stops_none(replicas: Replicas, fresh: str) -> None:
    """Thirty documents take a handful of commits; the one at fault is found by halves."""
    one = await replicas.make()
    for number in range(30):
        name: Any = 7 if number == 11 else "fine"
        one.store.upsert_local("scenes", {"id": f"{fresh}-{number}", "name": name})
    suite = replicas.apps.suite
    suite.add_fault(FaultRule(action="stall", match={"method": "Commit"}, skip=10_000))  # strikes nobody, and counts
    await one.engine.sync_all()
    assert suite.call(suite.suite.faults.listing)[0]["matched"] <= 16
    assert [refusal.doc_id for refusal in one.engine.refusals()] == [f"{fresh}-11"]
    assert one.engine.status().is_in_step
    assert (await stored(one, f"scenes/{fresh}-29") or {})["rev"] == 0


async def test_a_refused_creation_leaves_nothing_behind(replicas: Replicas, fresh: str) -> None:
    """A session without an owner is nobody's: it is gone here as well, and kept."""
    one = await replicas.make()
    one.store.upsert_local("sessions", {"id": fresh, "notes": "x"})
    await one.engine.sync_all()
    assert one.store.get_by_id("sessions", fresh) is None
    assert [refusal.local for refusal in one.engine.refusals()] == [{"id": fresh, "notes": "x"}]


async def test_documents_without_rev_are_guarded_by_their_time(replicas: Replicas, fresh: str) -> None:
    """Sessions carry no revision: two replicas of one user still lose no edit."""
    one = await replicas.make()
    two = replicas.over(one.app, replicas.folder / "second.db")
    user = one.app.auth.current_user
    assert user is not None
    one.store.upsert_local("sessions", {"id": fresh, "ownerId": user.uid, "n": 0})
    await one.engine.sync_all()
    await two.engine.pull("sessions", fresh)
    one.store.upsert_local("sessions", {"id": fresh, "ownerId": user.uid, "n": 0, "one": 1})
    two.store.upsert_local("sessions", {"id": fresh, "ownerId": user.uid, "n": 0, "two": 2})
    await one.engine.sync_all()
    await two.engine.sync_all()
    assert await stored(two, f"sessions/{fresh}") == {"id": fresh, "ownerId": user.uid, "n": 0, "one": 1, "two": 2}


@pytest.mark.parametrize("action", ["apply_then_fail", "fail", "disconnect"])
@pytest.mark.parametrize("kind", ["create", "update", "delete"])
async def test_a_lost_answer_applies_nothing_twice(replicas: Replicas, fresh: str, action: str, kind: str) -> None:
    """Whether the write was done is found out by its mark, not guessed: an increment counts once."""
    one, _ = await both_have(replicas, fresh, n=0)
    target = fresh
    if kind == "create":
        target = f"{fresh}-new"
        one.store.upsert_local("scenes", {"id": target, "n": 1})
    elif kind == "update":
        one.engine.patch_local("scenes", fresh, 0, [{"op": "increment", "path": "n", "value": 1}])
    else:
        one.store.delete_local("scenes", fresh)
    suite = replicas.apps.suite
    suite.add_fault(FaultRule(action=action, match={"method": "Commit"}, times=6, code=Code.UNAVAILABLE))
    for _ in range(8):
        await one.engine.sync_all()
    assert suite.call(suite.suite.faults.listing)[0]["struck"] >= 1
    suite.clear_faults()
    await one.engine.sync_all()
    expected = None if kind == "delete" else {"id": target, "n": 1, "rev": 0 if kind == "create" else 1}
    assert await stored(one, f"scenes/{target}") == expected
    assert one.store.get_by_id("scenes", target) == expected
    assert one.engine.status().is_in_step
    assert one.engine.conflicts() == one.engine.refusals() == []


async def test_listening_brings_what_others_write_and_goes_on_after_a_restart(replicas: Replicas, fresh: str) -> None:
    """A token survives the restart: what changed and what was deleted meanwhile arrives."""
    one, two = await both_have(replicas, fresh, name="Here")
    two.engine.start()
    one.engine.start()
    one.store.upsert_local("scenes", {"id": fresh, "name": "There"})
    one.store.upsert_local("scenes", {"id": f"{fresh}-b", "name": "Second"})
    await eventually(lambda: (two.store.get_by_id("scenes", fresh) or {}).get("name") == "There")
    await eventually(lambda: two.store.get_by_id("scenes", f"{fresh}-b") is not None)
    path = Path(two.store.database.path)
    await replicas.close(two)
    one.store.delete_local("scenes", f"{fresh}-b")
    one.store.upsert_local("scenes", {"id": fresh, "name": "Meanwhile"})
    await eventually(lambda: one.engine.status().is_in_step)
    again = replicas.over(two.app, path)
    assert again.store.pull_state("scenes")[0] != b""
    again.engine.start()
    await eventually(lambda: (again.store.get_by_id("scenes", fresh) or {}).get("name") == "Meanwhile")
    await eventually(lambda: again.store.get_by_id("scenes", f"{fresh}-b") is None)


async def test_a_partial_collection_follows_what_was_opened(replicas: Replicas, fresh: str) -> None:
    """Nothing but opened documents comes down, also after a restart."""
    one = await replicas.make()
    for name in "ab":
        one.store.upsert_local("scenes", {"id": f"{fresh}-{name}", "n": 1})
    await one.engine.sync_all()
    config = CollectionSyncConfig(collection_name="scenes", is_partial=True)
    two = await replicas.make(configs=[config])
    two.engine.start()
    two.engine.open("scenes", f"{fresh}-a")
    await eventually(lambda: two.store.get_by_id("scenes", f"{fresh}-a") is not None)
    assert [each["id"] for each in two.store.get_all("scenes")] == [f"{fresh}-a"]
    await two.engine.stop()
    one.store.upsert_local("scenes", {"id": f"{fresh}-a", "n": 2})
    await one.engine.sync_all()
    two.engine.start()
    await eventually(lambda: (two.store.get_by_id("scenes", f"{fresh}-a") or {})["n"] == 2)
    two.engine.close_document("scenes", f"{fresh}-a")
    assert two.store.opened("scenes") == []


async def test_a_pull_by_time_asks_only_for_what_is_newer(replicas: Replicas, fresh: str) -> None:
    """Writes carry the server's time; the cursor survives, and deletions are found by counting names."""

    def config() -> list[CollectionSyncConfig]:
        return [
            CollectionSyncConfig(
                collection_name="chapters",
                updated_field="updated",
                query=lambda firestore: firestore.collection("chapters").where("batch", "==", fresh),
            )
        ]

    one, two = await replicas.make(configs=config()), await replicas.make(configs=config())
    for name in "abc":
        one.store.upsert_local("chapters", {"id": f"{fresh}-{name}", "batch": fresh, "n": 1})
    await one.engine.sync_all()
    assert one.store.get_by_id("chapters", f"{fresh}-a") == (await stored(one, f"chapters/{fresh}-a"))
    await two.engine.pull("chapters")
    assert len(two.store.get_all("chapters")) == 3
    one.engine.patch_local("chapters", f"{fresh}-b", 0, [{"op": "set", "path": "n", "value": 2}])
    one.store.delete_local("chapters", f"{fresh}-c")
    await one.engine.sync_all()
    two.events.clear()
    await two.engine.pull("chapters")
    assert {event.doc_id for event in two.events} <= {f"{fresh}-b", f"{fresh}-c"}
    assert (two.store.get_by_id("chapters", f"{fresh}-b") or {})["n"] == 2
    await two.engine.pull("chapters", full=True)
    assert two.store.get_by_id("chapters", f"{fresh}-c") is None
    one.store.delete_local("chapters", f"{fresh}-b")
    await one.engine.sync_all()
    for _ in range(10):
        await two.engine.pull("chapters")
    assert two.store.get_by_id("chapters", f"{fresh}-b") is None


async def test_background_pulls_come_at_their_intervals(replicas: Replicas, fresh: str) -> None:
    """Instead of listening, a collection may be pulled now and then."""
    one = await replicas.make()
    config = CollectionSyncConfig(
        collection_name="encounters",
        interval_seconds=60,
        query=lambda firestore: firestore.collection("encounters").where("batch", "==", fresh),
    )
    two = await replicas.make(configs=[config])
    two.engine.start()
    await eventually(lambda: two.store.last_pulled() is not None)
    one.store.upsert_local("encounters", {"id": fresh, "batch": fresh})
    await one.engine.sync_all()
    assert two.store.get_by_id("encounters", fresh) is None
    two.clock.advance(60)
    await eventually(lambda: two.store.get_by_id("encounters", fresh) is not None)


async def test_an_old_apps_edit_is_pushed_on_the_base_that_it_was_made_on(replicas: Replicas, fresh: str) -> None:
    """A file of before knows no base: where the server is still at its revision, the edit goes through."""
    one, two = await both_have(replicas, fresh, name="Here", order=1)
    with two.store.database.transaction() as transaction:
        transaction.execute("UPDATE documents SET base = NULL, local = '{}', local_is = 'absent'")
        transaction.execute("UPDATE documents SET is_stale = 1, base_update_time = ''")
    two.store.upsert_local("scenes", {"id": fresh, "name": "Old edit", "order": 1})
    await two.engine.sync_all()
    assert await stored(one, f"scenes/{fresh}") == {"id": fresh, "name": "Old edit", "order": 1, "rev": 1}
    assert two.engine.conflicts() == []


async def test_the_seeds_hooks_are_called_with_the_stores_own_changes(replicas: Replicas, fresh: str) -> None:
    """An app's own table moves in the same transaction, or not at all."""
    calls: list[tuple[Any, ...]] = []
    config = CollectionSyncConfig(
        collection_name="scenes",
        upsert=lambda store, document: calls.append(("upsert", document["name"], document["rev"])),
        set_clean=lambda store, document_id, rev: calls.append(("set_clean", rev)),
        get_by_id=lambda store, document_id: {"from": "hook"},
        get_rev_from_doc=lambda document: document.get("rev"),
        apply_patch_op=lambda document, op: {**document, "name": op["value"].upper()},
    )
    one, two = await replicas.make(), await replicas.make(configs=[config])
    one.store.upsert_local("scenes", {"id": fresh, "name": "Here"})
    await one.engine.sync_all()
    await two.engine.pull("scenes", fresh)
    two.engine.patch_local("scenes", fresh, 0, [{"op": "shout", "value": "hey"}])
    await two.engine.sync_all()
    assert calls == [("upsert", "Here", 0), ("set_clean", 0), ("set_clean", 1)]
    assert (await stored(one, f"scenes/{fresh}") or {})["name"] == "HEY"
    assert Repository(two.engine, "scenes").get_by_id(fresh) == {"from": "hook"}


async def test_what_an_app_holds_back_is_taken_later(replicas: Replicas, fresh: str) -> None:
    """While the app says that it edits, nothing is replaced under its hands."""
    is_editing = True
    config = CollectionSyncConfig(collection_name="scenes", is_dirty=lambda store, document_id: is_editing)
    one, two = await replicas.make(), await replicas.make(configs=[config])
    one.store.upsert_local("scenes", {"id": fresh, "name": "Here"})
    await one.engine.sync_all()
    await two.engine.pull("scenes", fresh)
    assert two.store.get_by_id("scenes", fresh) is None
    is_editing = False
    await two.engine.pull("scenes", fresh)
    assert two.store.get_by_id("scenes", fresh) is not None


async def test_a_push_that_fails_too_often_can_be_retried_or_given_up(replicas: Replicas, fresh: str) -> None:
    """Four attempts, then a dead letter; `discard` rolls back and keeps the value."""
    one, _ = await both_have(replicas, fresh, name="Here")
    one.store.upsert_local("scenes", {"id": fresh, "name": "Edited"})
    replicas.apps.suite.add_fault(FaultRule(action="fail", match={"method": "Commit"}, code=Code.DATA_LOSS))
    reports = [await one.engine.sync_all() for _ in range(4)]
    assert [len(report.failed) for report in reports] == [0, 0, 0, 1]
    assert one.engine.document_status("scenes", fresh) is DocumentState.FAILED
    (dead,) = one.store.queue.dead_letters()
    assert one.engine.retry(dead.id)
    for _ in range(4):
        await one.engine.sync_all()
    replicas.apps.suite.clear_faults()
    assert one.engine.discard(dead.id)
    assert one.store.get_by_id("scenes", fresh) == {"id": fresh, "name": "Here", "rev": 0}
    assert [kept.local for kept in one.engine.refusals()] == [{"id": fresh, "name": "Edited"}]


async def test_a_repository_speaks_the_words_of_old(replicas: Replicas, fresh: str) -> None:
    """upsert_local, patch_local, watch_all and the others, for one collection."""
    one = await replicas.make()
    repository = Repository(one.engine, "campaigns")
    repository.upsert_local({"id": fresh, "name": "Ours"})
    repository.patch_local(fresh, 0, [{"op": "set", "path": "name", "value": "Yours"}])
    with pytest.raises(RevisionChangedError):
        repository.patch_local(fresh, 9, [{"op": "set", "path": "name", "value": "Theirs"}])
    assert repository.is_dirty(fresh)
    watching = repository.watch_all()
    assert (await anext(watching))[0]["name"] == "Yours"
    await watching.aclose()
    await one.engine.sync_all()
    assert not repository.is_dirty(fresh)
    assert repository.delete_local(fresh)
    assert repository.get_by_id(fresh) is None


async def test_a_collection_that_is_not_registered_is_told(replicas: Replicas, fresh: str) -> None:
    """A push of an unknown collection fails by name, and waits."""
    one = await replicas.make(configs=[CollectionSyncConfig(collection_name="scenes")])
    one.store.upsert_local("chapters", {"id": fresh})
    await one.engine.sync_all()
    (entry,) = one.store.queue.entries()
    assert "`chapters` is not registered" in entry.reason
    with pytest.raises(LookupError):
        await one.engine.pull("chapters")
