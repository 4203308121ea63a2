"""PartitionQuery: the ranges that the official client makes of it hold every document of a group exactly once."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from google.cloud import firestore

from tests.emulator.firestore.conftest import RunningFirestore

OWNER = {"authorization": "Bearer owner"}
GROUP: dict[str, Any] = {
    "from": [{"collectionId": "pieces", "allDescendants": True}],
    "orderBy": [{"field": {"fieldPath": "__name__"}, "direction": "ASCENDING"}],
}


def fill(client: firestore.Client, count: int) -> set[str]:
    batch = client.batch()
    paths = {f"boxes/{number % 7}/pieces/{number:03}" for number in range(count)}
    for path in paths:
        batch.set(client.document(path), {"path": path})
    batch.set(client.document("boxes/0"), {"is": "no piece"})
    batch.commit()
    return paths


def ask(running: RunningFirestore, project: str, body: Any, *, parent: str = "") -> Any:
    root = f"projects/{project}/databases/(default)/documents{parent}"
    return requests.post(
        f"http://{running.address}/v1/{root}:partitionQuery", json=body, headers=OWNER, timeout=10
    ).json()


@pytest.mark.parametrize(("count", "wanted"), [(100, 1), (100, 2), (100, 8), (3, 9), (1, 4), (0, 4)])
def test_partitions_hold_every_document_once(client: firestore.Client, count: int, wanted: int) -> None:
    """The ranges of the official client, read one by one, are the group; none is much larger than another."""
    paths = fill(client, count)
    partitions = list(client.collection_group("pieces").get_partitions(wanted))
    found = [[document.reference.path for document in part.query().stream()] for part in partitions]
    assert len(found) <= wanted + 1
    assert sorted(path for part in found for path in part) == sorted(paths)
    if count == 100:
        assert len(found) == wanted + 1
        assert max(map(len, found)) - min(map(len, found)) <= 1


def test_cursors_come_page_by_page(running: RunningFirestore, client: firestore.Client) -> None:
    """In key order; a token goes on with the request that it came from and with no other."""
    fill(client, 50)
    whole = ask(running, client.project, {"structuredQuery": GROUP, "partitionCount": "5"})
    names = [cursor["values"][0]["referenceValue"] for cursor in whole["partitions"]]
    assert names == sorted(names)
    assert len(names) == 5
    assert all("before" not in cursor for cursor in whole["partitions"])
    paged: list[str] = []
    token = ""
    for _ in range(3):
        body = {"structuredQuery": GROUP, "partitionCount": "5", "pageSize": 2, "pageToken": token}
        page = ask(running, client.project, body)
        paged += [cursor["values"][0]["referenceValue"] for cursor in page["partitions"]]
        last, token = token, page.get("nextPageToken", "")
    assert (paged, token) == (names, "")
    other = {"structuredQuery": GROUP, "partitionCount": "4", "pageToken": last}
    assert ask(running, client.project, other)["error"]["message"] == "Invalid page token."


def test_what_is_no_ordered_group_is_one_range(running: RunningFirestore, client: firestore.Client) -> None:
    """No order, or no collection id: no cursors, and no error."""
    fill(client, 20)
    for source in ({"from": GROUP["from"]}, {"from": [{"allDescendants": True}], "orderBy": GROUP["orderBy"]}):
        assert ask(running, client.project, {"structuredQuery": source, "partitionCount": "5"}) == {}


def selected(**parts: Any) -> Any:
    return {"structuredQuery": {**GROUP, **parts}, "partitionCount": "3"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"structuredQuery": GROUP}, "Partition count must be greater than zero."),
        ({**selected(), "pageSize": -1}, "Page size must be nonnegative."),
        (selected(**{"from": [{"collectionId": "pieces"}]}), "Query must select all descendant collections."),
        (selected(limit=1), "Query limit is not supported."),
        (selected(offset=1), "Query offset is not supported."),
        (selected(select={"fields": []}), "Property masks are not supported."),
        (selected(startAt={"values": []}), "Query start cursors are not supported."),
        (selected(endAt={"values": []}), "Query end cursors are not supported."),
        ({**selected(), "pageToken": "?"}, "invalid page token"),
    ],
)
def test_what_cannot_be_partitioned_is_refused(running: RunningFirestore, project: str, body: Any, says: str) -> None:
    """The official words for each."""
    assert ask(running, project, body)["error"] == {"code": 400, "message": says, "status": "INVALID_ARGUMENT"}


def test_a_document_is_no_parent_to_partition(running: RunningFirestore, project: str) -> None:
    """Only whole databases are cut."""
    answer = ask(running, project, selected(), parent="/boxes/0")
    assert answer["error"]["message"] == "Ancestor queries are not supported."
