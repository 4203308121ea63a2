"""Strangers: documents that players keep in collections of our names neither stop nor starve what jobs do for all."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore

from afterimage.jobs.ledger_jobs import users_after
from afterimage.jobs.progress import Page, Turn
from afterimage.jobs.sweep import Sweep
from afterimage.ledger.roll_up import RollUp
from afterimage.paths import object_id
from afterimage.store.firestore_documents import FirestoreDocuments
from tests.functions.media.pictures import corners, encoded
from tests.functions.over_the_suite.conftest import Cloud

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
PICTURE = encoded(corners(), "PNG")
VICTIM = "users/victim/ai_generated/images/card_portrait.png"
MORE_THAN_A_PAGE = 310


def put(client: firestore.Client, documents: dict[str, dict[str, Any]]) -> None:
    waiting = list(documents.items())
    for start in range(0, len(waiting), 400):
        batch = client.batch()
        for path, fields in waiting[start : start + 400]:
            batch.set(client.document(path), fields)
        batch.commit()


def swept(cloud: Cloud, page: int) -> list[Page]:
    sweep = Sweep(pipeline=cloud.pipeline, page=page)
    pages = [sweep.turn(Turn(request={}, cursor="", counts={}))]
    while pages[-1].next_cursor is not None:
        pages.append(sweep.turn(Turn(request={}, cursor=pages[-1].next_cursor, counts={})))
    return pages


def counted(pages: list[Page], name: str) -> int:
    return sum(page.counts.get(name, 0) for page in pages)


@pytest.fixture
def forged(cloud: Cloud) -> dict[str, Any]:
    """What a record of the victim's file would say, were the live generation dead."""
    cloud.pipeline.finalized(cloud.bucket, VICTIM, cloud.upload(VICTIM, PICTURE))
    record = cloud.stores.records.read(f"users/victim/objects/{object_id(cloud.bucket, VICTIM)}")
    assert record is not None
    return {**record.fields, "generation": record.fields["generation"] - 1}


def test_what_players_call_objects_is_no_record(cloud: Cloud, forged: dict[str, Any]) -> None:
    """Empty ones, imitations of another's record, deep ones, before and behind the users': the sweep reads none."""
    put(
        cloud.firestore,
        {
            "players/me/objects/x": {},
            "players/me/objects/y": {"source": 7, "generation": "many"},
            f"players/me/objects/{object_id(cloud.bucket, VICTIM)}": forged,
            "players/me/users/me/objects/z": forged,
            "zebras/me/objects/z": forged,
            "a/b/objects/c": {"source": None},
        },
    )
    gone = "users/u/ai_generated/images/gone_portrait.png"
    cloud.pipeline.finalized(cloud.bucket, gone, cloud.upload(gone, PICTURE))
    cloud.storage.bucket(cloud.bucket).blob(gone).delete()
    pages = swept(cloud, page=3)
    assert [page.failures for page in pages if page.failures] == []
    assert counted(pages, "records seen") == 2
    assert counted(pages, "records taken back") == 1


def test_a_record_that_stands_where_it_does_not_belong_takes_nothing_back(cloud: Cloud, forged: dict[str, Any]) -> None:
    """It is named, whatever it says and whoever put it there; another's files stay, and the walk goes on."""
    dead = cloud.upload(VICTIM, PICTURE) - 1
    kept = f"{cloud.bucket}/{VICTIM}/{dead}/0a/thumb_2.webp"
    cloud.stores.derived.put(kept, b"another's", "image/webp")
    put(
        cloud.firestore,
        {
            "users/me/objects/bad": {},
            "users/me/objects/forged": {**forged, "generation": dead},
            "users/me/x/y/objects/deep": {**forged, "generation": dead},
            "users/me/objects/odd": {"source": {"bucket": 1, "name": ["x"]}, "generation": 1},
            "mediaObjects/bad": {"source": "x"},
        },
    )
    sweep = Sweep(pipeline=cloud.pipeline, page=50)
    page = sweep.turn(Turn(request={}, cursor="records:", counts={}))
    assert [failure.partition(":")[0] for failure in page.failures] == [
        "users/me/objects/bad",
        "users/me/objects/forged",
        "users/me/objects/odd",
        "users/me/x/y/objects/deep",
        "mediaObjects/bad",
    ]
    assert (page.counts["failed"], page.next_cursor) == (5, "derived:")
    assert [file.name for file in cloud.stores.derived.list(kept)] == [kept]


def test_what_players_call_buckets_empties_nobodys_and_hides_nobodys(cloud: Cloud) -> None:
    """More of them than one page holds, before and behind the books, imitating every field: all real ones are moved."""
    imitation = {"user": "ana", "totals": {"generations": 5, "cost_nano_usd": 2**62}, "models": {}}
    strangers = {f"players/me/buckets/{number}": imitation for number in range(MORE_THAN_A_PAGE)}
    strangers |= {f"zebras/me/buckets/{number}": imitation for number in range(MORE_THAN_A_PAGE)}
    real = {f"usage/ana/buckets/{number:02}": {"user": "ana", "totals": {"generations": 1}} for number in range(3)}
    put(cloud.firestore, strangers | real)
    emptied = RollUp(store=FirestoreDocuments(cloud.firestore)).empty_buckets()
    assert (emptied.moved, emptied.faults, emptied.rest) == (3, 0, "")
    books = cloud.firestore.document("usage/ana").get().to_dict() or {}
    assert books["totals"] == {"generations": 3}
    assert len(list(cloud.firestore.collection("players/me/buckets").stream())) == MORE_THAN_A_PAGE
    assert list(cloud.firestore.collection("usage/ana/buckets").stream()) == []


def test_a_bucket_that_cannot_be_moved_keeps_no_other_waiting(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """One that stands where none belongs is named in the log and left; those behind it reach their books."""
    put(
        cloud.firestore,
        {
            "usage/a/x/y/buckets/00": {"totals": {"generations": 9}},
            "usage/b/buckets/00": {"user": "b", "totals": {"generations": 1}},
        },
    )
    emptied = RollUp(store=FirestoreDocuments(cloud.firestore)).empty_buckets()
    assert (emptied.moved, emptied.faults) == (1, 1)
    assert "buckets from `usage/a/x/y/buckets/00` cannot be rolled up and is passed over" in caplog.text
    assert (cloud.firestore.document("usage/b").get().to_dict() or {})["totals"] == {"generations": 1}


def test_users_are_found_whoever_has_collections_of_those_names(cloud: Cloud) -> None:
    """Strangers' outputs before, between and beneath the users' own end no walk, and make nobody a user twice."""
    put(
        cloud.firestore,
        {
            path: {"x": 1}
            for path in (
                "ai_outputs/ana/dialogues/1", "ai_outputs/bob/aaa/x/dialogues/1", "ai_outputs/bob/dialogues/1",
                "ai_outputs/bob/zzz/x/dialogues/1", "ai_outputs/cora/images/1/x/y/images/1", "ai_outputs/dan/audio/1",
                "a/eve/dialogues/1", "players/eve/dialogues/1", "players/ai_outputs/eve/x/images/1", "zzz/eve/files/1",
            )
        },
    )  # fmt: skip
    store, found = FirestoreDocuments(cloud.firestore), list[str]()
    while page := users_after(store, found[-1] if found else "", 2):
        found += page
        assert len(found) < 10, found
    assert found == ["ana", "bob", "cora", "dan"]


def test_no_function_asks_a_group_of_collections_elsewhere() -> None:
    """Every such query is made in one module, which bounds it by a root: nowhere else is one spelt."""
    asking = [
        source.relative_to(FUNCTIONS).as_posix()
        for source in FUNCTIONS.rglob("*.py")
        for node in ast.walk(ast.parse(source.read_text()))
        if (isinstance(node, ast.Constant) and node.value == "all_descendants")
        or (isinstance(node, ast.keyword) and node.arg == "all_descendants")
        or (isinstance(node, ast.Attribute) and node.attr == "collection_group")
    ]
    assert asking == ["afterimage/store/firestore_documents.py"]
