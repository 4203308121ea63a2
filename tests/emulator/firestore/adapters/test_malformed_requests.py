"""Every kind of malformed request gets its code and a message that names what is wrong, over REST and over gRPC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from google.protobuf import json_format

from afterimage_emulator.protos import messages
from tests.emulator.firestore.conftest import RunningFirestore

_firestore: Any = messages("google.firestore.v1")
DATABASE = "projects/demo-malformed/databases/(default)"
ROOT = f"{DATABASE}/documents"
DOCUMENT = f"{ROOT}/rooms/a"
NOBODYS = "bm9uZQ=="  # a transaction that was never begun
UNKNOWN_TRANSACTION = "^Invalid transaction.$"
INVALID, UNIMPLEMENTED, PRECONDITION = "INVALID_ARGUMENT", "UNIMPLEMENTED", "FAILED_PRECONDITION"
Json = dict[str, Any]


def number(value: int = 1) -> Json:
    return {"integerValue": str(value)}


def numbers(count: int) -> Json:
    return {"arrayValue": {"values": [number(value) for value in range(count)]}}


def update(fields: Json | None = None, **more: Any) -> Json:
    return {"writes": [{"update": {"name": DOCUMENT, "fields": fields or {"n": number()}}, **more}]}


def delete(name: str) -> Json:
    return {"writes": [{"delete": name}]}


def transform(**operation: Any) -> Json:
    return update(updateTransforms=[{"fieldPath": "m", **operation}])


def query(**parts: Any) -> Json:
    return {"structuredQuery": {"from": [{"collectionId": "rooms"}], **parts}}


def leaf(op: str, value: Json, field: str = "n") -> Json:
    return {"fieldFilter": {"field": {"fieldPath": field}, "op": op, "value": value}}


def where(op: str, value: Json, field: str = "n") -> Json:
    return query(where=leaf(op, value, field))


def unary(op: str, field: str = "n") -> Json:
    return {"unaryFilter": {"field": {"fieldPath": field}, "op": op}}


def both(*leaves: Json, op: str = "AND") -> Json:
    return query(where={"compositeFilter": {"op": op, "filters": list(leaves)}})


def ordered(**parts: Any) -> Json:
    return query(orderBy=[{"field": {"fieldPath": "n"}}], **parts)


def aggregation(*aggregations: Json) -> Json:
    return {"structuredAggregationQuery": {**query(), "aggregations": list(aggregations)}}


CASES: dict[str, tuple[str, Json, str, str]] = {
    "a write of nothing": ("commit", {"writes": [{}]}, INVALID, "`update`, `delete`, `transform` or `verify`"),
    "no name": ("commit", {"writes": [{"update": {}}]}, INVALID, "`` is no resource name; it has the form projects/"),
    "a path for a name": ("commit", delete("rooms/a"), INVALID, "`rooms/a` is no resource name"),
    "a collection's name": ("commit", delete(f"{ROOT}/rooms"), INVALID, "odd number of segments"),
    "an empty segment": ("commit", delete(f"{ROOT}/rooms//a"), INVALID, "has an empty segment"),
    "dots for an id": ("commit", delete(f"{ROOT}/rooms/.."), INVALID, 'Resource id ".." is invalid'),
    "a reserved id": ("commit", delete(f"{ROOT}/rooms/__x__"), INVALID, '"__x__" is invalid because it is reserved'),
    "a long id": ("commit", delete(f"{ROOT}/rooms/{'x' * 1501}"), INVALID, "is longer than 1500 bytes"),
    "another project": (
        "commit",
        delete("projects/other/databases/(default)/documents/rooms/a"),
        INVALID,
        "lies in another database",
    ),
    "a dot too many in a mask": (
        "commit",
        update(updateMask={"fieldPaths": ["a..b"]}),
        INVALID,
        'property path "a..b"',
    ),
    "an unquoted name in a mask": (
        "commit",
        update(updateMask={"fieldPaths": ["a b"]}),
        INVALID,
        r"Unquoted property names must match regex \(",
    ),
    "a transform of nothing": ("commit", transform(), INVALID, "transform of `m` has no type set"),
    "a transform nowhere": (
        "commit",
        update(updateTransforms=[{"fieldPath": "", "increment": number()}]),
        INVALID,
        'property path ""',
    ),
    "an increment by text": ("commit", transform(increment={"stringValue": "x"}), INVALID, "`increment` on `m`"),
    "an unknown server value": (
        "commit",
        transform(setToServerValue="SERVER_VALUE_UNSPECIFIED"),
        INVALID,
        "`m` asks for an unknown server value",
    ),
    "arrays in an array appended": (
        "commit",
        transform(appendMissingElements={"values": [{"arrayValue": {}}]}),
        INVALID,
        "an array value in an array",
    ),
    "a field without a name": ("commit", update({"": number()}), INVALID, "property name is the empty string"),
    "a reserved field": ("commit", update({"__x__": number()}), INVALID, "field name __x__ is reserved"),
    "a long field name": (
        "commit",
        update({"x" * 1501: number()}),
        INVALID,
        "The property.name is longer than 1500 bytes",
    ),
    "a value of no type": ("commit", update({"n": {}}), INVALID, 'value of property "n" has no type set'),
    "north of the pole": (
        "commit",
        update({"n": {"geoPointValue": {"latitude": 91}}}),
        INVALID,
        'latitude of property "n" .* not 91',
    ),
    "a reference to nowhere": ("commit", update({"n": {"referenceValue": "x"}}), INVALID, "`x` is no resource name"),
    "an array in an array": (
        "commit",
        update({"n": {"arrayValue": {"values": [{"arrayValue": {}}]}}}),
        INVALID,
        "array value in an array",
    ),
    "a map with a nameless field": (
        "commit",
        update({"n": {"mapValue": {"fields": {"": number()}}}}),
        INVALID,
        "property name is the empty string",
    ),
    "an unknown transaction": ("commit", {"writes": [], "transaction": NOBODYS}, INVALID, UNKNOWN_TRANSACTION),
    "one document twice in a batch": (
        "batchWrite",
        {"writes": [{"delete": DOCUMENT}, {"delete": DOCUMENT}]},
        INVALID,
        "more than once in a single batch",
    ),
    "a path to get": ("batchGet", {"documents": ["x"]}, INVALID, "`x` is no resource name"),
    "a collection to get": ("batchGet", {"documents": [f"{ROOT}/rooms"]}, INVALID, "odd number of segments"),
    "to get in an unknown transaction": (
        "batchGet",
        {"documents": [DOCUMENT], "transaction": NOBODYS},
        INVALID,
        UNKNOWN_TRANSACTION,
    ),
    "to get long ago": (
        "batchGet",
        {"documents": [DOCUMENT], "readTime": "1970-01-01T00:00:00Z"},
        PRECONDITION,
        "snapshot version is too old",
    ),
    "to get in the future": (
        "batchGet",
        {"documents": [DOCUMENT], "readTime": "2999-01-01T00:00:00Z"},
        INVALID,
        "cannot be in the future",
    ),
    "to get with a broken mask": (
        "batchGet",
        {"documents": [DOCUMENT], "mask": {"fieldPaths": ["a."]}},
        INVALID,
        'property path "a."',
    ),
    "to begin in the future": (
        "beginTransaction",
        {"options": {"readOnly": {"readTime": "2999-01-01T00:00:00Z"}}},
        INVALID,
        "in the future",
    ),
    "to roll nothing back": ("rollback", {}, INVALID, UNKNOWN_TRANSACTION),
    "to roll back the unknown": ("rollback", {"transaction": NOBODYS}, INVALID, UNKNOWN_TRANSACTION),
    "two collections": (
        "runQuery",
        {"structuredQuery": {"from": [{"collectionId": "a"}, {"collectionId": "b"}]}},
        INVALID,
        "StructuredQuery.from cannot have more than one collection selector.",
    ),
    "a path for a collection": (
        "runQuery",
        {"structuredQuery": {"from": [{"collectionId": "a/b"}]}},
        INVALID,
        'id "a/b" is invalid',
    ),
    "a reserved collection": (
        "runQuery",
        {"structuredQuery": {"from": [{"collectionId": "__x__"}]}},
        INVALID,
        "reserved",
    ),
    "a negative limit": ("runQuery", query(limit=-1), INVALID, "^limit is negative$"),
    "a negative offset": ("runQuery", query(offset=-1), INVALID, "^offset is negative$"),
    "a filter on nothing": ("runQuery", where("EQUAL", number(), ""), INVALID, 'property path ""'),
    "a filter without an operator": (
        "runQuery",
        where("OPERATOR_UNSPECIFIED", number()),
        INVALID,
        "Unknown FieldFilter operator.",
    ),
    "a filter without a value": ("runQuery", where("EQUAL", {}), INVALID, "`n` is compared with has no type set"),
    "a name compared with a number": (
        "runQuery",
        where("EQUAL", number(), "__name__"),
        INVALID,
        "__key__ filter value must be a Key",
    ),
    "IN without a list": ("runQuery", where("IN", number()), INVALID, "'IN' requires an ArrayValue"),
    "IN an empty list": ("runQuery", where("IN", {"arrayValue": {}}), INVALID, "'IN' requires an non-empty"),
    "IN too long a list": ("runQuery", where("IN", numbers(31)), INVALID, "'IN' supports up to 30"),
    "NOT_IN too long a list": ("runQuery", where("NOT_IN", numbers(11)), INVALID, "'NOT_IN' supports up to 10"),
    "NOT_IN beside NOT_EQUAL": (
        "runQuery",
        both(leaf("NOT_IN", numbers(1)), leaf("NOT_EQUAL", number())),
        INVALID,
        "Only a single 'NOT_EQUAL', 'NOT_IN', 'IS_NOT_NAN', or 'IS_NOT_NULL' filter",
    ),
    "NOT_IN in an OR": (
        "runQuery",
        both(leaf("NOT_IN", numbers(1)), leaf("EQUAL", number()), op="OR"),
        INVALID,
        "'NOT_IN' cannot be used in the same query with",
    ),
    "two ARRAY_CONTAINS": (
        "runQuery",
        both(*[leaf("ARRAY_CONTAINS", number())] * 2),
        INVALID,
        "maximum of 1 'ARRAY_CONTAINS' filter",
    ),
    "a composite without an operator": (
        "runQuery",
        both(leaf("EQUAL", number()), op="OPERATOR_UNSPECIFIED"),
        INVALID,
        "Unsupported CompositeFilter operator.",
    ),
    "a unary filter without an operator": (
        "runQuery",
        query(where={"unaryFilter": {"field": {"fieldPath": "n"}}}),
        INVALID,
        "Unknown UnaryFilter operator.",
    ),
    "an order by nothing": ("runQuery", query(orderBy=[{}]), INVALID, 'property path ""'),
    "an order twice": (
        "runQuery",
        query(orderBy=[{"field": {"fieldPath": "n"}}] * 2),
        INVALID,
        "order by clause cannot contain duplicate fields n",
    ),
    "a cursor longer than the orders": (
        "runQuery",
        query(startAt={"values": [number(), number()]}),
        INVALID,
        "Cursor has too many values",
    ),
    "a cursor of no type": (
        "runQuery",
        ordered(endAt={"values": [{}]}),
        INVALID,
        "`n` is compared with has no type set",
    ),
    "a projection of nothing": ("runQuery", query(select={"fields": [{"fieldPath": "a..b"}]}), INVALID, '"a..b"'),
    "a query in an unknown transaction": (
        "runQuery",
        {**query(), "transaction": NOBODYS},
        INVALID,
        UNKNOWN_TRANSACTION,
    ),
    "no aggregation": ("runAggregationQuery", aggregation(), INVALID, "Aggregations can not be empty"),
    "an aggregation of nothing": (
        "runAggregationQuery",
        aggregation({}),
        INVALID,
        "Operator field in Aggregation is not set.",
    ),
    "one alias twice": (
        "runAggregationQuery",
        aggregation(*[{"alias": "a", "count": {}}] * 2),
        INVALID,
        "duplicate alias: a",
    ),
    "a sum of nothing": ("runAggregationQuery", aggregation({"sum": {}}), INVALID, 'property path ""'),
    "a count up to less than nothing": (
        "runAggregationQuery",
        aggregation({"count": {"upTo": "-1"}}),
        INVALID,
        "must be greater than or equal to zero",
    ),
    "six aggregations": (
        "runAggregationQuery",
        aggregation(*[{"count": {}}] * 6),
        INVALID,
        "an aggregation query is 5. Received: 6",
    ),
    "NOT_EQUAL of two fields": (
        "runQuery",
        both(leaf("NOT_EQUAL", number()), leaf("NOT_EQUAL", number(), "m")),
        INVALID,
        "Only a single 'NOT_EQUAL'",
    ),
    "IN beside NOT_IN": (
        "runQuery",
        both(leaf("IN", numbers(2)), leaf("NOT_IN", numbers(1), "m")),
        INVALID,
        "'NOT_IN' cannot be used in the same query with 'IN'",
    ),
    "ARRAY_CONTAINS_ANY beside NOT_IN": (
        "runQuery",
        both(leaf("ARRAY_CONTAINS_ANY", numbers(1)), leaf("NOT_IN", numbers(1), "m")),
        INVALID,
        "'NOT_IN' cannot be used in the same query with 'IN'",
    ),
    "IS_NOT_NULL beside IS_NOT_NAN": (
        "runQuery",
        both(unary("IS_NOT_NULL"), unary("IS_NOT_NAN", "m")),
        INVALID,
        "Only a single 'NOT_EQUAL'",
    ),
    "a name that is null": (
        "runQuery",
        query(where=unary("IS_NULL", "__name__")),
        INVALID,
        "__key__ filter value must be a Key",
    ),
    "a name that contains": (
        "runQuery",
        where("ARRAY_CONTAINS", {"referenceValue": DOCUMENT}, "__name__"),
        INVALID,
        "the name __key__ is reserved",
    ),
    "a name beside an inequality": (
        "runQuery",
        both(leaf("EQUAL", {"referenceValue": DOCUMENT}, "__name__"), leaf("NOT_EQUAL", number())),
        INVALID,
        "Equality on key is not allowed if there are other inequality fields",
    ),
    "an order behind the name": (
        "runQuery",
        query(orderBy=[{"field": {"fieldPath": "__name__"}}, {"field": {"fieldPath": "n"}}]),
        INVALID,
        "cannot contain more fields after the key",
    ),
    "an inequality behind the name": (
        "runQuery",
        query(where=leaf("NOT_EQUAL", number()), orderBy=[{"field": {"fieldPath": "__name__"}}]),
        INVALID,
        "cannot contain more fields after the key",
    ),
    "a cursor that names a number": (
        "runQuery",
        query(orderBy=[{"field": {"fieldPath": "__name__"}}], startAt={"values": [number()]}),
        INVALID,
        "Cursor __key__ value is not a document reference.",
    ),
    "a filter of no collection": (
        "runQuery",
        {"structuredQuery": {"where": leaf("EQUAL", number())}},
        INVALID,
        "kind is required for filter: n",
    ),
    "an order of no collection": (
        "runQuery",
        {"structuredQuery": {"orderBy": [{"field": {"fieldPath": "n"}}]}},
        INVALID,
        "kind is required for all orders except __key__ ascending",
    ),
    "31 disjunctions": (
        "runQuery",
        both(leaf("IN", numbers(8)), leaf("IN", numbers(4), "m")),
        INVALID,
        "Result had 32 disjunctions which is more than the maximum of 30",
    ),
    "a sum of names": (
        "runAggregationQuery",
        aggregation({"sum": {"field": {"fieldPath": "__name__"}}}),
        INVALID,
        "Aggregations are not supported for the property: __key__",
    ),
    "a reserved alias": (
        "runAggregationQuery",
        aggregation({"alias": "__x__", "count": {}}),
        INVALID,
        'The property.name "__x__" is reserved.',
    ),
    "a batch with one malformed write": (
        "batchWrite",
        {"writes": [update()["writes"][0], {"delete": "x"}]},
        INVALID,
        "`x` is no resource name",
    ),
    "an update of what is deleted before": (
        "commit",
        {"writes": [{"delete": DOCUMENT}, update(currentDocument={"exists": True})["writes"][0]]},
        INVALID,
        "is deleted by an earlier write",
    ),
    "a page of fewer than none": ("listCollectionIds", {"pageSize": -1}, INVALID, "`page_size` must not be negative"),
    "a page of another list": ("listCollectionIds", {"pageToken": "x"}, INVALID, "`x` is no page token of this list"),
}
RPCS: dict[str, tuple[str, Any]] = {
    "commit": ("Commit", _firestore.CommitRequest),
    "batchWrite": ("BatchWrite", _firestore.BatchWriteRequest),
    "batchGet": ("BatchGetDocuments", _firestore.BatchGetDocumentsRequest),
    "beginTransaction": ("BeginTransaction", _firestore.BeginTransactionRequest),
    "rollback": ("Rollback", _firestore.RollbackRequest),
    "runQuery": ("RunQuery", _firestore.RunQueryRequest),
    "runAggregationQuery": ("RunAggregationQuery", _firestore.RunAggregationQueryRequest),
    "listCollectionIds": ("ListCollectionIds", _firestore.ListCollectionIdsRequest),
}
OWNER = {"authorization": "Bearer owner"}


@pytest.fixture(scope="module")
def channel(running: RunningFirestore) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(running.address) as opened:
        yield opened


def over_rest(address: str, verb: str, body: Any, *, path: str = ROOT) -> tuple[str, str]:
    answer = requests.post(f"http://{address}/v1/{path}:{verb}", json=body, headers=OWNER, timeout=10)
    reply = answer.json()
    error = (reply[0] if isinstance(reply, list) else reply)["error"]
    assert error["code"] == answer.status_code, "the body tells the code that the answer has"
    return error["status"], error["message"]


def over_grpc(channel: grpc.Channel, verb: str, body: Json) -> tuple[str, str]:
    method, request_class = RPCS[verb]
    request = json_format.ParseDict(body, request_class())
    names = request_class.DESCRIPTOR.fields_by_name
    setattr(request, "parent" if "parent" in names else "database", ROOT if "parent" in names else DATABASE)
    streams = verb in {"batchGet", "runQuery", "runAggregationQuery"}
    call = (channel.unary_stream if streams else channel.unary_unary)(
        f"/google.firestore.v1.Firestore/{method}", request_serializer=request_class.SerializeToString
    )
    with pytest.raises(grpc.RpcError) as refused:
        list(call(request, metadata=list(OWNER.items()), timeout=10)) if streams else call(
            request, metadata=list(OWNER.items()), timeout=10
        )
    return refused.value.code().name, refused.value.details()


@pytest.mark.parametrize("case", CASES)
def test_a_malformed_request_is_refused_by_name(running: RunningFirestore, channel: grpc.Channel, case: str) -> None:
    """The same code and the same words on both wires, and nothing is written."""
    verb, body, code, says = CASES[case]
    for found_code, message in (over_rest(running.address, verb, body), over_grpc(channel, verb, body)):
        assert (found_code, bool(re.search(says, message))) == (code, True), message
    stored = requests.get(f"http://{running.address}/v1/{DOCUMENT}", headers=OWNER, timeout=10)
    assert stored.status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "request body must be an object"),
        ({"writes": "x"}, "writes"),
        ({"write": []}, 'no field named "write"'),
        (transform(setToServerValue="REQUEST_TIM"), "Invalid enum value REQUEST_TIM"),
        (update(currentDocument={"exists": True, "updateTime": "2026-01-01T00:00:00Z"}), "condition_type"),
        (update(currentDocument={"updateTime": "yesterday"}), "updateTime"),
        (update({"n": {"integerValue": "1", "stringValue": "x"}}), "value_type"),
        (update({"n": {"integerValue": "x"}}), "integerValue"),
        (update({"n": {"timestampValue": "0000-01-01T00:00:00Z"}}), r"fields\[n\].timestampValue"),
        (update({"n": {"bytesValue": "***"}}), r"`bytesValue`: `\*\*\*` is no base64"),
        ({"transaction": "***", "writes": []}, "`transaction`: "),
        ({"writes": [{"update": {"name": DOCUMENT}, "delete": DOCUMENT}]}, "operation"),
    ],
)
def test_json_that_is_no_request_is_refused_by_place(running: RunningFirestore, body: object, says: str) -> None:
    """What gRPC cannot even say: unknown fields, two of a kind, words for numbers."""
    code, message = over_rest(running.address, "commit", body)
    assert code == INVALID
    assert "Invalid JSON payload received" in message
    assert re.search(says, message), message


def test_pipelines_are_refused_by_the_edition_that_has_them(running: RunningFirestore) -> None:
    """So that nobody looks for a fault of their own: it takes another kind of database."""
    code, message = over_rest(running.address, "executePipeline", {"structuredPipeline": {}})
    assert code == UNIMPLEMENTED
    assert "Enterprise edition" in message
    assert "RunQuery" in message


@pytest.mark.parametrize("verb", ["listen", "write"])
def test_streams_are_not_for_rest(running: RunningFirestore, verb: str) -> None:
    """The answer says where they are spoken."""
    code, message = over_rest(running.address, verb, {})
    assert code == UNIMPLEMENTED
    assert "gRPC" in message


def test_a_request_beyond_ten_mebibytes_is_refused_however_few_its_writes(channel: grpc.Channel) -> None:
    """Operands of transforms need not be stored to be too much."""
    elements = {"values": [{"stringValue": "x" * 1000 + str(at)} for at in range(11_000)]}
    body = transform(removeAllFromArray=elements)
    refused = (INVALID, "Request payload size exceeds the limit: 10485760 bytes.")
    assert over_grpc(channel, "commit", body) == refused
    assert over_grpc(channel, "batchWrite", body) == refused
    write = channel.stream_stream(
        "/google.firestore.v1.Firestore/Write", request_serializer=_firestore.WriteRequest.SerializeToString
    )
    requests_ = [_firestore.WriteRequest(database=DATABASE), json_format.ParseDict(body, _firestore.WriteRequest())]
    with pytest.raises(grpc.RpcError) as ended:
        list(write(iter(requests_), metadata=list(OWNER.items()), timeout=20))
    assert (ended.value.code().name, ended.value.details()) == refused


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30", "e30.W10.e30", "W10.e30.e30"])
def test_a_token_that_is_no_jwt_is_refused(running: RunningFirestore, channel: grpc.Channel, token: str) -> None:
    """Whoever sends one meant to be somebody: it is not answered as to nobody."""
    headers = {"authorization": f"Bearer {token}"}
    answer = requests.get(f"http://{running.address}/v1/{DOCUMENT}", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "invalid jwt")
    get = channel.unary_unary("/google.firestore.v1.Firestore/GetDocument")
    with pytest.raises(grpc.RpcError) as refused:
        get(_firestore.GetDocumentRequest(name=DOCUMENT).SerializeToString(), metadata=list(headers.items()))
    assert (refused.value.code().name, refused.value.details()) == (INVALID, "invalid jwt")
