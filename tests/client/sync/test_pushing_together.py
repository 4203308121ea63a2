"""Many documents pushed together: few statements, and nothing that happens meanwhile is overlooked."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from afterimage_client.store import Store
from afterimage_client.sync import CollectionSyncConfig, SyncEngine, value_kinds
from afterimage_emulator.faults import FaultRule
from tests.client.sync.conftest import Replicas
from tests.client.sync.test_engine import stored

MANY = 300


async def test_a_document_that_is_pushed_with_others_takes_few_statements(replicas: Replicas, fresh: str) -> None:
    """Rows are read and written by the batch: seven statements for each document, and some for each commit."""
    statements: list[str] = []

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*args, **options)
        connection.set_trace_callback(statements.append)
        return connection

    app = (await replicas.make()).app
    store = Store(replicas.folder / "traced.db", connect=connect, kinds=value_kinds(app.firestore))
    engine = SyncEngine(store, app.firestore)
    engine.register_collection(CollectionSyncConfig(collection_name="scenes"))
    with store.database.transaction():
        for number in range(MANY):
            store.upsert_local("scenes", {"id": f"{fresh}-{number}", "n": number})
    statements.clear()
    report = await engine.sync_all()
    assert len(report.done) == MANY
    assert len(statements) < 7 * MANY + 100
    assert store.check_invariants() == []
    store.close()


async def test_an_edit_of_another_process_while_many_are_on_their_way_is_pushed_too(
    replicas: Replicas, fresh: str
) -> None:
    """What was read when the writes were made is read anew where somebody wrote since."""
    one = await replicas.make()
    other = Store(one.store.database.path)
    names = [f"{fresh}-{number}" for number in range(5)]
    for name in names:
        one.store.upsert_local("scenes", {"id": name, "n": 1})
    pushing = asyncio.create_task(one.engine.sync_all())
    while one.store.database.row("SELECT count(*) FROM mutations") != (len(names),):
        await asyncio.sleep(0)
    other.patch_local("scenes", names[2], None, [{"op": "set", "path": "late", "value": True}])
    other.delete_local("scenes", names[3])
    other.close()
    await pushing
    assert one.store.check_invariants() == []
    assert one.store.get_by_id("scenes", names[2]) == {"id": names[2], "n": 1, "late": True, "rev": 0}
    await one.engine.sync_all()
    assert await stored(one, f"scenes/{names[2]}") == {"id": names[2], "n": 1, "late": True, "rev": 1}
    assert await stored(one, f"scenes/{names[3]}") is None
    assert one.engine.status().is_in_step


async def test_a_listener_that_fails_keeps_no_other_from_hearing(replicas: Replicas, fresh: str) -> None:
    """Each event reaches everybody who listens, whatever others make of it; the push is not undone by it."""
    one = await replicas.make()

    def fail(event: object) -> None:
        raise ValueError("a listener's own fault")

    one.engine.on_event(fail)
    heard: list[str] = []
    one.engine.on_event(lambda event: heard.append(event.doc_id))
    for name in "ab":
        one.store.upsert_local("scenes", {"id": f"{fresh}-{name}"})
    await one.engine.sync_all()
    assert sorted(heard) == [f"{fresh}-a", f"{fresh}-b"]


async def test_hooks_that_write_other_documents_of_the_batch_meet_what_is_there(replicas: Replicas, fresh: str) -> None:
    """A hook may edit a document that is pushed in the same commit: its edit is neither lost nor taken for pushed."""
    names = [f"{fresh}-{name}" for name in "abc"]

    def set_clean(store: Store, document_id: str, rev: int | None) -> None:
        if document_id == names[0] and rev == 0:
            store.patch_local("scenes", names[2], None, [{"op": "set", "path": "by_hook", "value": True}])

    one = await replicas.make(configs=[CollectionSyncConfig(collection_name="scenes", set_clean=set_clean)])
    for name in names:
        one.store.upsert_local("scenes", {"id": name})
    await one.engine.sync_all()
    assert one.store.check_invariants() == []
    await one.engine.sync_all()
    assert await stored(one, f"scenes/{names[2]}") == {"id": names[2], "by_hook": True, "rev": 1}


async def test_a_hook_that_writes_while_it_decides_is_not_missed(replicas: Replicas, fresh: str) -> None:
    """A merge of one document may edit the next one of the same pull: the edit is there afterwards, and pushed."""
    names = [f"{fresh}-{name}" for name in "ab"]
    one = await replicas.make()

    def merge_field(path: object, base: object, here: object, there: object) -> Any:
        two.store.patch_local("scenes", names[1], None, [{"op": "set", "path": "by_hook", "value": True}])
        return here

    batch = CollectionSyncConfig(
        collection_name="scenes",
        merge_field=merge_field,
        query=lambda firestore: firestore.collection("scenes").where("batch", "==", fresh),
    )
    two = await replicas.make(configs=[batch])
    for name in names:
        one.store.upsert_local("scenes", {"id": name, "batch": fresh, "n": 1})
    await one.engine.sync_all()
    await two.engine.pull("scenes")
    two.store.patch_local("scenes", names[0], None, [{"op": "set", "path": "n", "value": 2}])
    for name in names:
        one.store.patch_local("scenes", name, None, [{"op": "set", "path": "n", "value": 3}])
    await one.engine.sync_all()
    await two.engine.pull("scenes")
    assert two.store.check_invariants() == []
    await two.engine.sync_all()
    expected = {"id": names[1], "batch": fresh, "n": 3, "by_hook": True, "rev": 2}
    assert await stored(two, f"scenes/{names[1]}") == expected


async def test_large_documents_go_in_as_few_commits_as_hold_them(replicas: Replicas, fresh: str) -> None:
    """The server takes 10 MiB at once: forty documents that weigh 24 MB go in eight commits, none by itself."""
    one = await replicas.make()
    with one.store.database.transaction():
        for number in range(40):
            one.store.upsert_local("scenes", {"id": f"{fresh}-{number}", "text": "x" * 600_000})
    suite = replicas.apps.suite
    suite.add_fault(FaultRule(action="stall", match={"method": "Commit"}, skip=10_000))  # strikes nobody, and counts
    while not one.engine.status().is_in_step:
        await one.engine.sync_all()
    assert suite.call(suite.suite.faults.listing)[0]["matched"] <= 10
    assert (await stored(one, f"scenes/{fresh}-39") or {})["rev"] == 0
