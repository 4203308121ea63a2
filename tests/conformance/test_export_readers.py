"""Exports of Firestore as other people's readers see them, and entities of theirs as this suite sees them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from afterimage_emulator.clock import Clock
from afterimage_emulator.firestore.documents.document_store import DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.exports.databases import export_databases, import_tree
from afterimage_emulator.firestore.exports.record_logs import write_records
from afterimage_emulator.protos import firestore_v1

pytestmark = pytest.mark.conformance
READERS = Path(sys.prefix) / "export-readers"
READ = """
import json, sys
sys.path.insert(0, sys.argv[2])  # its package imports more than the module that reads records does
from records import RecordsReader
from google.appengine.datastore.entity_bytes_pb2 import EntityProto
found = []
with open(sys.argv[1], "rb") as log:
    for record in RecordsReader(log, no_check_crc=False):
        entity = EntityProto.FromString(record)
        assert entity.IsInitialized() and entity.SerializeToString(deterministic=True) == record
        kinds = [element.type for element in entity.key.path.element]
        found.append([kinds, [[one.name, one.meaning, one.multiple] for one in entity.raw_property]])
print(json.dumps(found))
"""
WRITE = """
import sys
from google.appengine.datastore.entity_bytes_pb2 import EntityProto
entity = EntityProto()
entity.key.app = "s~p"
element = entity.key.path.element.add()
element.type, element.id = b"rooms", 7
entity.entity_group.element.add(type=b"rooms", id=7)
prop = entity.property.add(name=b"n", multiple=False)
prop.value.int64Value = -1
prop = entity.raw_property.add(name=b"at", multiple=False, meaning=9)
prop.value.pointvalue.x, prop.value.pointvalue.y = 1.5, 2.5
prop = entity.raw_property.add(name=b"r", multiple=True)
prop.value.referencevalue.app = "s~p"
one = prop.value.referencevalue.pathelement.add()
one.type, one.name = b"a", b"b"
sys.stdout.buffer.write(entity.SerializeToString())
"""


def ask(script: str, *arguments: str) -> bytes:
    """Runs it where the readers are, beside what this interpreter has."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], env={**os.environ, "PYTHONPATH": str(READERS)},
        capture_output=True, check=True, timeout=120,
    ).stdout  # fmt: skip


def store_with(fields: dict[str, firestore_v1.Value], name: DatabaseName) -> DocumentStore:
    store = DocumentStore(clock=Clock())
    body = firestore_v1.Document(name=f"{name.documents}/rooms/1", fields=fields)
    store.database(name).merge({"rooms/1": body.SerializeToString(deterministic=True)})
    return store


def test_other_readers_read_what_is_exported(tmp_path: Path) -> None:
    """Records with their checksums, and every entity: whole, and to the byte what their own writer makes of it."""
    name = DatabaseName("demo-p")
    value = firestore_v1.Value
    null = value(null_value=0)
    point = value(geo_point_value={"latitude": 1.0, "longitude": 2.0})
    fields = {
        "t": value(string_value="x" * 100_000), "i": value(integer_value=-5), "p": point, "n": null,
        "w": value(timestamp_value={"seconds": -1}), "r": value(reference_value=f"{name.documents}/a/__id5__"),
        "m": value(map_value={"fields": {"x": point}}), "l": value(array_value={"values": [point, null]}),
    }  # fmt: skip
    asyncio.run(export_databases(store_with(fields, name).databases(), tmp_path, name="x", project="demo-p"))
    [(kinds, properties)] = json.loads(
        ask(READ, str(tmp_path / "all_namespaces/all_kinds/output-0"), str(READERS / "leveldb_export"))
    )
    assert kinds == ["rooms"]
    assert sorted(properties) == [
        ["i", 0, False], ["l", 0, True], ["l", 9, True], ["m", 19, False], ["n", 0, False], ["p", 9, False],
        ["r", 0, False], ["t", 0, False], ["w", 7, False],
    ]  # fmt: skip


def test_what_others_write_is_read(tmp_path: Path) -> None:
    """An entity of Datastore's own library becomes the document that it says."""
    name = DatabaseName("demo-p")
    asyncio.run(export_databases(store_with({}, name).databases(), tmp_path, name="x", project="demo-p"))
    write_records(tmp_path / "all_namespaces/all_kinds/output-0", [ask(WRITE)])
    store = DocumentStore(clock=Clock())
    asyncio.run(import_tree(store, tmp_path / "x.overall_export_metadata", project="demo-p"))
    document = store.database(name).get("rooms/__id7__")
    assert document is not None
    fields = document.fields()
    assert fields["n"].integer_value == -1
    assert (fields["at"].geo_point_value.latitude, fields["at"].geo_point_value.longitude) == (1.5, 2.5)
    assert [one.reference_value for one in fields["r"].array_value.values] == [f"{name.documents}/a/b"]
