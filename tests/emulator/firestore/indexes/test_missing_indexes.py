"""A missing index is told once, with an entry that is ready to be declared, or refused in production's words."""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore
from google.cloud.firestore_admin_v1.types import Index
from google.cloud.firestore_v1.base_query import FieldFilter
from google.cloud.firestore_v1.base_vector_query import DistanceMeasure
from google.cloud.firestore_v1.query_profile import ExplainOptions
from google.cloud.firestore_v1.vector import Vector

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.commands.command_line import main
from afterimage_emulator.commands.indexes import with_entries
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.configuration.commented_json import parse_commented_json
from afterimage_emulator.suite import Suite

INDEXES = """{
  // what the app needs
  "indexes": [
    // none yet
  ],
  "fieldOverrides": [
    {"collectionGroup": "rooms", "fieldPath": "closed", "indexes": []} // never asked for
  ]
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of files, whose indexes file declares no composite index."""
    (tmp_path / "firebase.json").write_text(json.dumps({"firestore": {"indexes": "firestore.indexes.json"}}))
    (tmp_path / "firestore.indexes.json").write_text(INDEXES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def running(folder: Path, *, strict: bool = False) -> Iterator[tuple[BackgroundSuite, firestore.Client]]:
    configuration = load_configuration(folder / "firebase.json", project_id=f"demo-indexes-{os.getpid()}")
    suite = Suite(configuration, only=("firestore",), free_ports=True, strict_indexes=strict)
    with BackgroundSuite(suite) as background, pytest.MonkeyPatch.context() as variables:
        variables.setenv("FIRESTORE_EMULATOR_HOST", background.environment()["FIRESTORE_EMULATOR_HOST"])
        client = firestore.Client(project=configuration.project_id, credentials=AnonymousCredentials())
        yield background, client
        client.close()


def where(query: Any, field: str, op: str, value: Any) -> Any:
    return query.where(filter=FieldFilter(field, op, value))


def needy(client: firestore.Client) -> Any:
    return where(where(client.collection("rooms"), "a", "==", 1), "b", ">", 1)


def test_a_missing_index_is_answered_and_told_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The console names it at the first query of its shape, and the hub lists it with its entry."""
    with caplog.at_level(logging.WARNING, "afterimage_emulator"), running(folder) as (suite, client):
        client.document("rooms/x").set({"a": 1, "b": 2})
        for value in (1, 2, 1):
            where(where(client.collection("rooms"), "a", "==", value), "b", ">", value).get()
        assert [found.id for found in needy(client).get()] == ["x"]
        where(client.collection("rooms"), "a", "==", 1).get()
        hub = f"http://{suite.suite.addresses()['hub']}"
        listed = requests.get(f"{hub}/control/indexes", timeout=10).json()["missing"]
    told = [record.getMessage() for record in caplog.records if "needs an index" in record.getMessage()]
    assert len(told) == 1
    assert "(a ASC, b ASC, __name__ ASC)" in told[0]
    entry = {
        "collectionGroup": "rooms",
        "queryScope": "COLLECTION",
        "fields": [{"fieldPath": "a", "order": "ASCENDING"}, {"fieldPath": "b", "order": "ASCENDING"}],
    }
    assert [(found["database"], found["section"], found["entry"]) for found in listed] == [
        ("(default)", "indexes", entry)
    ]


def test_the_command_prints_and_writes_what_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Comments and all else stay; what was written is what the run needed, and a strict suite then takes it."""
    with running(folder) as (suite, client):
        project = suite.project_id
        assert main(["indexes", "--project", project]) == 0
        assert "every query so far has the index it needs" in capsys.readouterr().out
        needy(client).get()
        needy(client).order_by("b").order_by("c", direction="DESCENDING").get()
        where(client.collection_group("rooms"), "a", "==", 1).get()
        assert main(["indexes", "--project", project]) == 0
        assert '"fieldPath": "c"' in capsys.readouterr().out
        assert main(["indexes", "--write", "--project", project]) == 0
        written = (folder / "firestore.indexes.json").read_text()
        assert "// what the app needs" in written
        assert "// none yet" in written
        assert "// never asked for" in written
        content: Any = parse_commented_json(written)
        assert [len(entry["fields"]) for entry in content["indexes"]] == [2, 3]
        assert [entry["fieldPath"] for entry in content["fieldOverrides"]] == ["closed", "a"]
        assert {mode["queryScope"] for mode in content["fieldOverrides"][1]["indexes"]} == {
            "COLLECTION",
            "COLLECTION_GROUP",
        }
        assert main(["indexes", "--write", "--project", project]) == 0
        assert (folder / "firestore.indexes.json").read_text() == written, "nothing is written twice"
    with running(folder, strict=True) as (_, client):
        needy(client).get()
        needy(client).order_by("b").order_by("c", direction="DESCENDING").get()
        where(client.collection_group("rooms"), "a", "==", 1).get()
        where(client.collection("rooms"), "a", "==", 1).get()


def blob_in(message: str, name: str) -> Index:
    encoded = message.partition(f"{name}=")[2].split()[0]
    return Index.deserialize(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))


def test_strict_indexes_refuse_with_the_link_that_production_sends(folder: Path) -> None:
    """The link carries the index, name last, as the console reads it; queries and listeners alike are refused."""
    with running(folder, strict=True) as (_, client):
        where(where(client.collection("rooms"), "a", "==", 1), "tags", "array_contains", "x").get()
        with pytest.raises(exceptions.FailedPrecondition) as refused:
            needy(client).order_by("b", direction="DESCENDING").get()
        message = str(refused.value.message)
        console = (
            f"https://console.firebase.google.com/v1/r/project/{client.project}/firestore/indexes?create_composite="
        )
        assert message.startswith(f"The query requires an index. You can create it here: {console}")
        index = blob_in(message, "create_composite")
        assert index.name == f"projects/{client.project}/databases/(default)/collectionGroups/rooms/indexes/_"
        assert index.query_scope == Index.QueryScope.COLLECTION
        assert [(field.field_path, field.order.name) for field in index.fields] == [
            ("a", "ASCENDING"), ("b", "DESCENDING"), ("__name__", "DESCENDING"),
        ]  # fmt: skip
        with pytest.raises(exceptions.FailedPrecondition, match="range and inequality filters on multiple fields"):
            where(where(client.collection("rooms"), "a", ">", 1), "b", ">", 1).get()
        with pytest.raises(exceptions.FailedPrecondition, match="The query requires an index"):
            where(client.collection("rooms"), "a", "==", 1).sum("n").get()


def test_a_single_field_of_a_group_is_refused_with_its_own_link(folder: Path) -> None:
    """An exemption is what it takes, and the text names scope, direction, collection and field."""
    with running(folder, strict=True) as (_, client):
        for query, kind in (
            (where(client.collection_group("rooms"), "a", "==", 1), "COLLECTION_GROUP_ASC"),
            (client.collection_group("rooms").order_by("a", direction="DESCENDING"), "COLLECTION_GROUP_DESC"),
            (where(client.collection_group("rooms"), "a", "array_contains", 1), "COLLECTION_GROUP_CONTAINS"),
            (where(client.collection("rooms"), "closed", "==", 1), "COLLECTION_ASC"),
        ):
            field = "closed" if kind == "COLLECTION_ASC" else "a"
            expected = f"The query requires a {kind} index for collection rooms and field {field}. You can create it"
            with pytest.raises(exceptions.FailedPrecondition, match=expected) as refused:
                query.get()
            index = blob_in(str(refused.value.message), "create_exemption")
            assert index.name.endswith(f"/collectionGroups/rooms/fields/{field}")
            assert len(index.fields) == 1


def test_a_vector_search_is_refused_with_the_command_that_helps(folder: Path) -> None:
    """Production names gcloud's command line; a plan alone has words of its own."""
    with running(folder, strict=True) as (_, client):
        query = where(client.collection("rooms"), "color", "==", "red").find_nearest(
            "emb", Vector([1.0, 2.0, 3.0]), 3, DistanceMeasure.EUCLIDEAN
        )
        with pytest.raises(exceptions.FailedPrecondition) as refused:
            query.get()
        assert str(refused.value.message) == (
            "Missing vector index configuration. Please create the required index with the following gcloud command: "
            f"gcloud firestore indexes composite create --project={client.project} --collection-group=rooms "
            "--query-scope=COLLECTION --field-config=order=ASCENDING,field-path=color "
            '--field-config=vector-config=\'{"dimension":"3","flat": "{}"}\',field-path=emb'
        )
        with pytest.raises(exceptions.FailedPrecondition, match=r"no matching index found\."):
            needy(client).get(explain_options=ExplainOptions(analyze=False))


def test_a_listener_without_its_index_is_refused_too(folder: Path) -> None:
    """The target ends with the cause, as a query would."""
    import grpc

    from afterimage_emulator.protos import firestore_v1

    with running(folder, strict=True) as (suite, client):
        database = f"projects/{client.project}/databases/(default)"
        request = firestore_v1.ListenRequest(database=database)
        request.add_target.target_id = 2
        request.add_target.query.parent = f"{database}/documents"
        request.add_target.query.structured_query.CopyFrom(
            firestore_v1.StructuredQuery.FromString(
                type(needy(client)._to_protobuf()).serialize(needy(client)._to_protobuf())
            )
        )
        with grpc.insecure_channel(suite.environment()["FIRESTORE_EMULATOR_HOST"]) as channel:
            listen = channel.stream_stream("/google.firestore.v1.Firestore/Listen")
            replies = listen(
                iter([request.SerializeToString()]), metadata=[("authorization", "Bearer owner")], timeout=10
            )
            change = firestore_v1.ListenResponse.FromString(next(iter(replies))).target_change
        assert change.cause.code == 9
        assert "The query requires an index" in change.cause.message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{}", '{\n  "indexes": [\n    {\n      "x": 1\n    }\n  ]\n}'),
        ('{"indexes": []}', '{"indexes": [\n    {\n      "x": 1\n    }\n  ]}'),
        ('{"indexes": [{"y": 1} // last\n]}', '{"indexes": [{"y": 1},\n    {\n      "x": 1\n    } // last\n]}'),
        ('{"a": {"indexes": []}}', '{"a": {"indexes": []},\n  "indexes": [\n    {\n      "x": 1\n    }\n  ]}'),
        ('{"indexes": [{"x": 1}]}', '{"indexes": [{"x": 1}]}'),
    ],
)
def test_entries_are_added_where_they_belong(before: str, after: str) -> None:
    """Whatever the file looks like, it holds the entry once, and what it held before."""
    written, refused = with_entries(before, {"indexes": [{"x": 1}], "fieldOverrides": []})
    assert (written, refused) == (after, [])
    content: Any = parse_commented_json(written)
    assert content["indexes"][-1] == {"x": 1}


def test_an_override_that_clashes_is_left_to_its_author() -> None:
    """What the file already says of a field is not rewritten, but told."""
    entry = {"collectionGroup": "rooms", "fieldPath": "closed", "indexes": [{"order": "ASCENDING"}]}
    assert with_entries(INDEXES, {"indexes": [], "fieldOverrides": [entry]}) == (INDEXES, [entry])
