"""REST as curl and the JS Lite SDK use it: documents, queries as arrays, preflights, and official error bodies."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.emulator.firestore.conftest import RunningFirestore


class Rest:
    """The documents of one project over HTTP."""

    def __init__(self, running: RunningFirestore, project: str) -> None:
        self.host = f"http://{running.address}"
        self.root = f"{self.host}/v1/projects/{project}/databases/(default)/documents"
        self.project = project
        self.session = requests.Session()

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return self.session.request(method, f"{self.root}{path}", timeout=10, **kwargs)


@pytest.fixture
def rest(running: RunningFirestore, project: str) -> Rest:
    return Rest(running, project)


def test_a_document_lives_from_create_to_delete(rest: Rest) -> None:
    """POST creates (with a chosen id or one of its own), PATCH merges by its mask, GET reads, DELETE removes."""
    fields = {"n": {"integerValue": "5"}, "s": {"stringValue": "é/\u2028"}}
    created = rest("POST", "/rooms?documentId=blue", json={"fields": fields}).json()
    assert created["name"].endswith("/documents/rooms/blue")
    assert created["fields"] == fields
    assert created["createTime"] == created["updateTime"]
    patched = rest("PATCH", "/rooms/blue?updateMask.fieldPaths=s", json={"fields": {"s": {"booleanValue": True}}})
    assert patched.json()["fields"] == {"n": {"integerValue": "5"}, "s": {"booleanValue": True}}
    shown = rest("GET", "/rooms/blue?mask.fieldPaths=n&key=ignored&alt=json").json()
    assert shown["fields"] == {"n": {"integerValue": "5"}}
    own = rest("POST", "/rooms", json={}).json()
    assert len(own["name"].rpartition("/")[2]) == 20
    listed = rest("GET", "/rooms?pageSize=1").json()
    assert len(listed["documents"]) == 1
    rest_of_it = rest("GET", "/rooms", params={"pageToken": listed["nextPageToken"]}).json()
    assert len(rest_of_it["documents"]) == 1
    assert "nextPageToken" not in rest_of_it
    assert rest("DELETE", "/rooms/blue").json() == {}
    assert rest("GET", "/rooms/blue").status_code == 404


def test_errors_have_the_official_body(rest: Rest) -> None:
    """Code, message and status are where every Google client looks for them; streams put them into an array."""
    missing = rest("GET", "/rooms/none")
    assert missing.json()["error"]["status"] == "NOT_FOUND"
    assert missing.json()["error"]["code"] == missing.status_code == 404
    refused = rest("PATCH", "/rooms/none?currentDocument.exists=true", json={})
    assert refused.json()["error"]["message"] == (
        f"No document to update: projects/{rest.project}/databases/(default)/documents/rooms/none"
    )
    query = rest("POST", ":runQuery", json={"structuredQuery": {"limit": -1}})
    assert query.status_code == 400
    assert query.json()[0]["error"]["status"] == "INVALID_ARGUMENT"
    for body in (b"{", b"[]", b'{"unknown": 1}', b'{"fields": {"a": {"integerValue": "x"}}}'):
        assert rest("POST", "/rooms", data=body).status_code == 400
    assert rest("PUT", "/rooms/x", json={}).status_code == 405


def test_commit_query_and_batch_get(rest: Rest) -> None:
    """What the JS Lite SDK sends: commits with transforms, queries and reads answered as JSON arrays."""
    name = f"projects/{rest.project}/databases/(default)/documents/rooms/"
    writes: list[dict[str, Any]] = [
        {"update": {"name": f"{name}{n}", "fields": {"n": {"integerValue": str(n)}}}} for n in range(3)
    ]
    writes[0]["updateTransforms"] = [{"fieldPath": "t", "setToServerValue": "REQUEST_TIME"}]
    committed = rest("POST", ":commit", json={"writes": writes}).json()
    assert committed["writeResults"][0]["transformResults"][0]["timestampValue"] == committed["commitTime"]
    where = {"fieldFilter": {"field": {"fieldPath": "n"}, "op": "GREATER_THAN", "value": {"doubleValue": 0.5}}}
    query = {"from": [{"collectionId": "rooms"}], "where": where}
    found = rest("POST", ":runQuery", json={"structuredQuery": query}).json()
    assert [item["document"]["name"] for item in found] == [f"{name}1", f"{name}2"]
    counted = {"structuredQuery": query, "aggregations": [{"alias": "c", "count": {}}]}
    answer = rest("POST", ":runAggregationQuery", json={"structuredAggregationQuery": counted}).json()
    assert answer[0]["result"]["aggregateFields"] == {"c": {"integerValue": "2"}}
    got = rest("POST", ":batchGet", json={"documents": [f"{name}1", f"{name}9"]}).json()
    assert got[0]["found"]["name"] == f"{name}1"
    assert got[1]["missing"] == f"{name}9"
    begun = rest("POST", ":beginTransaction", json={"options": {"readWrite": {}}}).json()
    assert rest("POST", ":rollback", json={"transaction": begun["transaction"]}).json() == {}
    assert rest("POST", ":listCollectionIds", json={}).json() == {"collectionIds": ["rooms"]}


def test_browsers_may_call(rest: Rest) -> None:
    """A preflight is answered, and every answer echoes the page's origin."""
    asked = {"origin": "http://localhost:3000", "access-control-request-headers": "x-goog-api-client,authorization"}
    preflight = rest("OPTIONS", "/rooms", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    answer = rest("GET", "/rooms/none", headers={"origin": "http://localhost:3000"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"


def test_every_kind_of_value_survives_json(rest: Rest) -> None:
    """Numbers beyond doubles, NaN, infinities, bytes, nanoseconds cut to microseconds: nothing is bent on the way."""
    fields = {
        "big": {"integerValue": "9007199254740993"},
        "nan": {"doubleValue": "NaN"},
        "inf": {"doubleValue": "-Infinity"},
        "bytes": {"bytesValue": "AP8="},
        "null": {"nullValue": None},
        "geo": {"geoPointValue": {"latitude": 1.5, "longitude": -2}},
        "list": {"arrayValue": {"values": [{"stringValue": ""}, {"mapValue": {}}]}},
        "time": {"timestampValue": "2020-02-03T04:05:06.123456Z"},
    }
    rest("PATCH", "/v/1", json={"fields": {**fields, "time": {"timestampValue": "2020-02-03T04:05:06.123456789Z"}}})
    stored = rest("GET", "/v/1").json()["fields"]
    assert stored == fields


def test_control_routes_clear_reset_and_answer(running: RunningFirestore, rest: Rest) -> None:
    """GET / says Ok; DELETE clears one project, or what lies below a path, and leaves the others alone."""
    assert requests.get(f"{rest.host}/", timeout=5).text == "Ok\n"
    other = Rest(running, f"{rest.project}-b")
    for where in (rest, other):
        for path in ("/a/1", "/a/1/b/2", "/c/3"):
            where("PATCH", path, json={})
    control = f"{rest.host}/emulator/v1/projects/{rest.project}/databases/(default)/documents"
    assert requests.delete(f"{control}/a/1", timeout=5).status_code == 200
    assert rest("GET", "/a/1/b/2").status_code == 404
    assert rest("GET", "/c/3").status_code == 200
    assert requests.delete(control, timeout=5).json() == {}
    assert rest("GET", "/c/3").status_code == 404
    assert other("GET", "/a/1/b/2").status_code == 200
    assert requests.post(f"{rest.host}/shutdown", timeout=5).status_code == 501


@pytest.mark.parametrize(
    "body", [b'{"\\ud83d": 1}', b'{"fields": {"s": {"stringValue": "\\ud83d"}}}', b'"\xed\xa0\xbd"']
)
def test_half_a_surrogate_pair_is_refused(rest: Rest, body: bytes) -> None:
    """What cannot be written as UTF-8 is the client's fault and said so; a whole pair is a character as any other."""
    told = rest("POST", "/rooms", data=body)
    assert told.status_code == 400, told.text
    assert told.json()["error"]["status"] == "INVALID_ARGUMENT"
    whole = rest("POST", "/rooms", data=b'{"fields": {"s": {"stringValue": "\\ud83d\\ude00"}}}')
    assert whole.json()["fields"]["s"]["stringValue"] == "\U0001f600"
