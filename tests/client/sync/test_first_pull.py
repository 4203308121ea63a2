"""The first time, a collection is asked for document by document, and listened to from that moment on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterimage_client.sync import CollectionSyncConfig
from afterimage_emulator.faults import FaultRule
from tests.client.sync.conftest import Replicas
from tests.client.sync.test_engine import eventually


async def test_nothing_is_missed_between_the_first_pull_and_listening(replicas: Replicas, fresh: str) -> None:
    """What changes, comes and goes before the server listens is told by it, of that moment; and all only once."""
    came: list[str] = []

    def rev_of(fields: Mapping[str, Any]) -> int | None:
        came.append(fields["id"])
        return fields.get("rev")

    config = CollectionSyncConfig(
        collection_name="scenes",
        query=lambda firestore: firestore.collection("scenes").where("batch", "==", fresh),
        get_rev_from_doc=rev_of,
    )
    one, two = await replicas.make(), await replicas.make(configs=[config])
    names = {name: f"{fresh}-{name}" for name in ("stays", "changes", "goes", "comes")}
    for name in ("stays", "changes", "goes"):
        one.store.upsert_local("scenes", {"id": names[name], "batch": fresh, "n": 1})
    await one.engine.sync_all()
    suite = replicas.apps.suite
    suite.add_fault(FaultRule(action="fail", match={"method": "Listen"}))
    two.engine.start()
    await eventually(lambda: len(two.store.get_all("scenes")) == 3)
    one.store.patch_local("scenes", names["changes"], None, [{"op": "set", "path": "n", "value": 2}])
    one.store.delete_local("scenes", names["goes"])
    one.store.upsert_local("scenes", {"id": names["comes"], "batch": fresh, "n": 1})
    while not one.engine.status().is_in_step:
        await one.engine.sync_all()
    suite.clear_faults()
    await eventually(lambda: two.store.pull_state("scenes")[0] != b"")
    assert {each["id"]: each["n"] for each in two.store.get_all("scenes")} == {
        names["stays"]: 1,
        names["changes"]: 2,
        names["comes"]: 1,
    }
    assert came.count(names["stays"]) == 1, "what was asked for does not come a second time"
