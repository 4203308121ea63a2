"""Export and import: what comes back is what was there, to the byte and to the microsecond."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from google.cloud import firestore
from google.cloud.firestore_v1.vector import Vector

from afterimage_emulator.firestore.exports.databases import LISTING
from afterimage_emulator.firestore.exports.lines_of_json import METADATA_FILE
from afterimage_emulator.status import StatusError
from tests.emulator.firestore.conftest import RunningFirestore

NAMING = '{"format": 1, "databases": [{"project": "p", "database": "d", "file": "%s"}]}'


def test_everything_comes_back(client: firestore.Client, running: RunningFirestore, tmp_path: Path) -> None:
    """All value types, names that no file system likes, creation times; listeners and queries see it all."""
    everything = {
        "n": None, "b": True, "i": 2**53 + 1, "d": -0.0, "nan": math.nan, "inf": -math.inf, "s": "é\n\u2028",
        "y": b"\0\xff", "t": datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC), "g": firestore.GeoPoint(1.5, -2),
        "r": client.document("a/b"), "l": [1, {"x": []}], "m": {"`": {}}, "v": Vector([1.0, 2.0]),
    }  # fmt: skip
    client.document("rooms/ü :%?*").set(everything)
    client.document("rooms/ü :%?*/deep/x").set({"a": 1})
    before = {d.reference.path: d for d in client.collection_group("deep").stream()}
    wires = running.call(lambda: snapshot(running, client.project))
    running.run(running.service.export_to(tmp_path))
    client.document("rooms/late").set({"a": 1})
    running.run(running.service.import_from(tmp_path))
    assert running.call(lambda: snapshot(running, client.project)) == wires
    after = {d.reference.path: d for d in client.collection_group("deep").stream()}
    assert {path: (d.create_time, d.update_time) for path, d in after.items()} == {
        path: (d.create_time, d.update_time) for path, d in before.items()
    }
    client.document("rooms/ü :%?*").update({"a": 1})
    updated, untouched = client.document("rooms/ü :%?*").get(), client.document("rooms/ü :%?*/deep/x").get()
    assert updated.update_time > untouched.update_time
    running.run(running.service.export_to(tmp_path / "twice"))
    running.run(running.service.import_from(tmp_path / "twice"))


@pytest.mark.parametrize("name", ["..", ".", "x" * 300, "ü" * 200, "CON", "Ab"])
@pytest.mark.parametrize("pattern", ["projects/{}/databases/(default)", "projects/demo-names/databases/{}"])
def test_no_name_of_a_project_or_database_leads_out_of_an_export(
    running: RunningFirestore, tmp_path: Path, name: str, pattern: str
) -> None:
    """Any client may write under any name; one that is no file's name must not make the export a broken one."""
    document = f"http://{running.address}/v1/{pattern.format(name)}/documents/a/1"
    body, headers = {"fields": {"x": {"booleanValue": True}}}, {"authorization": "Bearer owner"}
    prepared = requests.Request("PATCH", document, json=body, headers=headers).prepare()
    prepared.url = document  # as it stands: left to itself, the library would resolve the dots
    with requests.Session() as session:
        assert session.send(prepared, timeout=10).status_code == 200
        running.run(running.service.export_to(tmp_path / "inside"))
        assert [found.name for found in tmp_path.iterdir()] == ["inside"]
        assert {found.name for found in (tmp_path / "inside").iterdir()} >= {LISTING}
        running.call(running.service.reset)
        running.run(running.service.import_from(tmp_path / "inside"))
        prepared.method, prepared.body = "GET", None
        del prepared.headers["content-length"]
        assert session.send(prepared, timeout=10).json()["fields"] == body["fields"]
        running.call(running.service.reset)


def snapshot(running: RunningFirestore, project: str) -> dict[str, bytes]:
    return {
        document.path: document.wire
        for database in running.service.store.databases()
        if database.name.project == project
        for collection in database.collections.values()
        for document in collection.documents.values()
    }


def test_a_project_exports_by_its_control_route(
    client: firestore.Client, running: RunningFirestore, tmp_path: Path
) -> None:
    """POST :export writes this project alone, and of it the database that is named; :import brings it back."""
    client.document("a/1").set({"x": 1})
    url = f"http://{running.address}/emulator/v1/projects/{client.project}"
    second = f"http://{running.address}/v1/projects/{client.project}/databases/second/documents/a/1"
    requests.patch(second, json={}, headers={"authorization": "Bearer owner"}, timeout=10)
    body = {"export_directory": str(tmp_path), "export_name": "mine"}
    assert requests.post(f"{url}:export", json=body, timeout=10).status_code == 200
    metadata = json.loads((tmp_path / "mine" / LISTING).read_text())
    found = sorted((entry["project"], entry["database"]) for entry in metadata["databases"])
    assert found == [(client.project, "(default)"), (client.project, "second")]
    body["database"] = f"projects/{client.project}/databases/(default)"
    assert requests.post(f"{url}:export", json=body, timeout=10).status_code == 200
    [entry] = json.loads((tmp_path / "mine" / LISTING).read_text())["databases"]
    assert (entry["database"], entry["metadata_file"]) == ("(default)", "mine.overall_export_metadata")
    client.document("a/1").delete()
    assert requests.post(f"{url}:import", json=body, timeout=10).status_code == 200
    assert client.document("a/1").get().to_dict() == {"x": 1}


def test_exports_of_earlier_versions_are_read(
    client: firestore.Client, running: RunningFirestore, tmp_path: Path
) -> None:
    """A document a line, as its REST JSON, with the times that it had."""
    listing = {"format": 1, "databases": [{"project": client.project, "database": "(default)", "file": "a%20b.jsonl"}]}
    (tmp_path / METADATA_FILE).write_text(json.dumps(listing))
    name = f"projects/{client.project}/databases/(default)/documents/a/1"
    times = {"createTime": "2020-01-01T00:00:00.000001Z", "updateTime": "2021-01-01T00:00:00Z"}
    (tmp_path / "a b.jsonl").write_text(json.dumps({"name": name, "fields": {"x": {"integerValue": "1"}}, **times}))
    running.run(running.service.import_from(tmp_path))
    found = client.document("a/1").get()
    assert found.to_dict() == {"x": 1}
    assert (found.create_time, found.update_time) == (
        datetime(2020, 1, 1, 0, 0, 0, 1, UTC),
        datetime(2021, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "no export of Firestore"),
        ("{", "not JSON"),
        ('{"format": 99, "databases": []}', "format `99`"),
        (NAMING % "../../x", "lies outside of"),
        (NAMING % "broken.jsonl", "line 1 is no document"),
    ],
)
def test_a_broken_export_is_refused_whole(
    running: RunningFirestore, tmp_path: Path, metadata: str | None, said: str
) -> None:
    """The message names file and line, and nothing is taken over."""
    (tmp_path / "broken.jsonl").write_text('{"name": "nonsense"}\n')
    if metadata is not None:
        (tmp_path / METADATA_FILE).write_text(metadata)
    with pytest.raises(StatusError, match=said):
        running.run(running.service.import_from(tmp_path))
