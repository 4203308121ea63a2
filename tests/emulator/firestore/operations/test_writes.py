"""Writes through the official client: masks, preconditions, transforms, limits, each with the official outcome."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.bulk_batch import BulkWriteBatch
from google.cloud.firestore_v1.transforms import Maximum, Minimum

from tests.emulator.firestore.conftest import RunningFirestore


def test_set_merge_update_and_delete_fields(client: firestore.Client) -> None:
    """Set replaces, merge keeps, update follows dotted paths, DELETE_FIELD removes; odd field names are no trouble."""
    document = client.document("rooms/blue")
    document.set({"a": {"b": 1, "c": 2}, "d e": [1]})
    document.set({"a": {"b": 5}}, merge=True)
    assert document.get().to_dict() == {"a": {"b": 5, "c": 2}, "d e": [1]}
    document.update({"a.c": firestore.DELETE_FIELD, "x.y.z": True, client.field_path("d e"): "é`\\"})
    assert document.get().to_dict() == {"a": {"b": 5}, "x": {"y": {"z": True}}, "d e": "é`\\"}
    document.set({})
    assert document.get().to_dict() == {}


def test_preconditions_fail_with_the_official_words(client: firestore.Client) -> None:
    """Create on what exists, update of what does not, and a stale update time."""
    document = client.document("rooms/blue")
    with pytest.raises(exceptions.NotFound, match=r"No document to update: projects/.*/rooms/blue"):
        document.update({"a": 1})
    first = document.create({"a": 1})
    with pytest.raises(exceptions.AlreadyExists, match=r"Document already exists: projects/.*/rooms/blue"):
        document.create({"a": 2})
    document.set({"a": 2})
    stale = client.write_option(last_update_time=first.update_time)
    with pytest.raises(exceptions.FailedPrecondition, match="does not match the required base version"):
        document.update({"a": 3}, option=stale)
    future = client.write_option(last_update_time=first.update_time.replace(year=2100))
    with pytest.raises(exceptions.InvalidArgument, match="in the future"):
        document.update({"a": 3}, option=future)
    with pytest.raises(exceptions.NotFound):
        client.document("rooms/none").delete(option=client.write_option(exists=True))
    assert document.get().to_dict() == {"a": 2}


def test_a_commit_is_all_or_nothing(client: firestore.Client) -> None:
    """One failing write leaves no trace of the others; several writes to one document build on each other."""
    batch = client.batch()
    batch.set(client.document("a/1"), {"n": 1})
    batch.update(client.document("a/none"), {"n": 1})
    with pytest.raises(exceptions.NotFound):
        batch.commit()
    assert not client.document("a/1").get().exists
    batch = client.batch()
    for _ in range(3):
        batch.set(client.document("a/1"), {"n": firestore.Increment(1)}, merge=True)
    results = batch.commit()
    assert client.document("a/1").get().get("n") == 3
    assert len({result.update_time for result in results}) == 1


@pytest.mark.parametrize(
    ("stored", "transform", "expected"),
    [
        (5, firestore.Increment(2), 7),
        (5, firestore.Increment(2.5), 7.5),
        ("text", firestore.Increment(2), 2),
        (2**63 - 5, firestore.Increment(100), 2**63 - 1),
        (-(2**63) + 5, firestore.Increment(-100), -(2**63)),
        (5, Maximum(7), 7),
        (5, Maximum(5.0), 5),
        (5, Minimum(7), 5),
        (0, Minimum(-0.5), -0.5),
        ("text", Minimum(7), 7),
        (5.0, Maximum(math.nan), math.nan),
        ([1, 2], firestore.ArrayUnion([2, 3, 3, 1.0]), [1, 2, 3]),
        ("text", firestore.ArrayUnion([1]), [1]),
        ([1, 2, 1.0, {"a": 1}], firestore.ArrayRemove([1, {"a": 1}]), [2]),
        ("text", firestore.ArrayRemove([1]), []),
    ],
)
def test_transforms_compute_as_documented(client: firestore.Client, stored: Any, transform: Any, expected: Any) -> None:
    """Sums saturate, kinds follow the operands, numbers equal across types are one element, others are replaced."""
    document = client.document("t/1")
    document.set({"v": stored})
    document.update({"v": transform})
    found = document.get().get("v")
    assert found == expected or (math.isnan(expected) and math.isnan(found))
    assert type(found) is type(expected)


def test_server_time_is_the_commit_time(client: firestore.Client) -> None:
    """The same instant for all documents of the commit, told in the results, later than every commit before."""
    batch = client.batch()
    for name in "ab":
        batch.set(client.document(f"t/{name}"), {"at": firestore.SERVER_TIMESTAMP})
    results = batch.commit()
    found = [client.document(f"t/{name}").get() for name in "ab"]
    assert found[0].get("at") == found[1].get("at") == found[0].update_time == batch.commit_time
    assert results[0].transform_results[0].timestamp_value == found[0].get("at")
    again = client.document("t/a").set({"x": 1})
    assert again.update_time > found[0].update_time
    assert client.document("t/a").get().create_time == found[0].create_time


def test_a_write_that_changes_nothing_keeps_the_update_time(client: firestore.Client) -> None:
    """As in production: same content, same version."""
    first = client.document("t/1").set({"a": 1, "b": [1]})
    second = client.document("t/1").set({"b": [1], "a": 1})
    assert second.update_time == first.update_time


@pytest.mark.parametrize(
    ("path", "said"),
    [("rooms/__id__", "reserved"), ("__rooms__/a", "reserved"), ("rooms/" + "x" * 1501, "longer than 1500 bytes")],
)
def test_reserved_and_endless_names_are_refused(client: firestore.Client, path: str, said: str) -> None:
    """The message names the id."""
    with pytest.raises(exceptions.InvalidArgument, match=said):
        client.document(path).set({})


def test_limits_are_refused_with_the_official_words(client: firestore.Client) -> None:
    """A document beyond 1 MiB and a request beyond 10 MiB."""
    large = {f"f{n}": "x" * 100_000 for n in range(11)}
    with pytest.raises(exceptions.InvalidArgument, match="exceeds the maximum allowed size of 1,048,576 bytes"):
        client.document("a/1").set(large)
    batch = client.batch()
    for number in range(12):
        batch.set(client.document(f"a/{number}"), {"s": "x" * 1_000_000})
    with pytest.raises(exceptions.InvalidArgument, match="exceeds the limit: 10485760 bytes"):
        batch.commit()


def test_batch_write_reports_each_write_alone(client: firestore.Client) -> None:
    """BulkWriter: those that can succeed do, the others carry their own code."""
    client.document("b/1").set({"a": 1})
    batch = BulkWriteBatch(client)
    batch.create(client.document("b/1"), {"a": 2})
    batch.create(client.document("b/2"), {"a": 2})
    statuses = [status.code for status in batch.commit().status]
    assert statuses == [6, 0]
    assert client.document("b/2").get().exists


def test_databases_and_projects_do_not_see_each_other(
    client: firestore.Client, running: RunningFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same path in another database or project is another document."""
    client.document("a/1").set({"a": 1})
    named = firestore.Client(project=client.project, credentials=client._credentials, database="second")
    assert not named.document("a/1").get().exists
    named.document("a/1").set({"a": 2})
    other = firestore.Client(project=f"{client.project}-b", credentials=client._credentials)
    assert [d.id for d in other.collection("a").stream()] == []
    assert client.document("a/1").get().to_dict() == {"a": 1}


def test_missing_documents_are_listed_where_asked(client: firestore.Client) -> None:
    """A document that only has collections below it is shown by list_documents, and by no query; ids are paged."""
    client.document("a/1/deep/2/deeper/3").set({})
    client.document("a/4").set({"x": 1})
    assert [d.id for d in client.collection("a").list_documents(page_size=1)] == ["1", "4"]
    assert [d.id for d in client.collection("a").stream()] == ["4"]
    assert [c.id for c in client.document("a/1").collections()] == ["deep"]
    assert sorted(c.id for c in client.collections()) == ["a"]


def test_reads_at_an_earlier_time(client: firestore.Client) -> None:
    """Documents, queries and counts as of a moment; a projection shows what was asked for alone."""
    document = client.document("a/1")
    document.set({"n": 1, "m": 1})
    at = document.get().read_time
    document.set({"n": 2})
    client.document("a/2").set({"n": 3})
    assert document.get(read_time=at).to_dict() == {"n": 1, "m": 1}
    assert [d.to_dict() for d in client.collection("a").select(["m"]).stream(read_time=at)] == [{"m": 1}]
    assert client.collection("a").count().get(read_time=at)[0][0].value == 1


async def test_the_async_client_runs_transactions(running: RunningFirestore, client: firestore.Client) -> None:
    """Twenty increments by five concurrent clients: none is lost, though all read before they write."""
    import asyncio

    async_client = firestore.AsyncClient(project=client.project, credentials=client._credentials)
    document = async_client.document("t/counter")
    await document.set({"n": 0})

    async def bump(transaction: Any) -> None:
        snapshot = await document.get(transaction=transaction)
        transaction.update(document, {"n": snapshot.get("n") + 1})

    async def worker() -> None:
        run: Callable[[Any], Awaitable[None]] = firestore.async_transactional(bump)
        for _ in range(4):
            await run(async_client.transaction())

    await asyncio.wait_for(asyncio.gather(*(worker() for _ in range(5))), 30)
    assert (await document.get()).get("n") == 20
