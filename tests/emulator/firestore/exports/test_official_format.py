"""Official exports: written so that another reader finds every value, and read whoever wrote them."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from google.cloud import firestore
from google.cloud.firestore_v1.vector import Vector

from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.exports.progress import Progress
from afterimage_emulator.firestore.exports.record_logs import read_records, write_records
from afterimage_emulator.status import StatusError
from tests.emulator.firestore.conftest import RunningFirestore
from tests.emulator.firestore.exports.official_format import BLOCK_BYTES, field, fields_of, log_of, records_of

VERSION = bytes.fromhex("b86d444e01000133")
KIND = "all_namespaces/all_kinds/all_namespaces_all_kinds.export_metadata"


def control(running: RunningFirestore, project: str, verb: str, **body: str) -> requests.Response:
    url = f"http://{running.address}/emulator/v1/projects/{project}:{verb}"
    return requests.post(url, json=body, timeout=30)


def value_of(content: bytes) -> Any:
    """What a PropertyValue holds: the number of its field and what stands there."""
    found = fields_of(content)
    assert len(found) <= 1
    return found[0] if found else None


def properties_of(entity: bytes) -> list[tuple[int, str, int, int, Any]]:
    """Each property: indexed (14) or not (15), name, meaning, whether it is one of many, value."""
    found = []
    for tag, content in fields_of(entity):
        if tag in (14, 15):
            parts = dict(fields_of(content))
            assert {3, 4, 5} <= parts.keys()
            found.append((tag, parts[3].decode(), parts.get(1, 0), parts[4], value_of(parts[5])))
    return found


def test_another_reader_finds_every_value(
    client: firestore.Client, running: RunningFirestore, project: str, tmp_path: Path
) -> None:
    """The files, their metadata and each type are as the format's description has them, required fields included."""
    moment = datetime(1969, 12, 31, 23, 59, 59, 5, tzinfo=UTC)
    client.document("rooms/__id-7__/deep/é").set(
        {
            "none": None, "yes": True, "many": -3, "half": 0.5, "when": moment, "text": "é", "raw": b"\0",
            "ref": client.document("a/__id9__"), "at": firestore.GeoPoint(1.5, -2.0), "empty": [],
            "map": {"inner": [], "x": {}}, "list": [1, None, {"y": "z"}], "vector": Vector([1.0, -2.0]),
        }
    )  # fmt: skip
    answer = control(running, project, "export", export_directory=str(tmp_path), export_name="mine")
    assert (answer.status_code, answer.json()) == (200, {})
    root = tmp_path / "mine"
    output = (root / "all_namespaces/all_kinds/output-0").read_bytes()
    overall = (root / "mine.overall_export_metadata").read_bytes()
    _, metadata = records_of(overall)
    assert overall.startswith(VERSION)
    [(_, folder)] = fields_of(metadata)
    assert fields_of(folder) == [(1, field(1, 2) + field(3, 3)), (2, KIND.encode()), (3, 1), (4, len(output))]
    (_, about), (_, files) = fields_of((root / KIND).read_bytes())
    assert dict(fields_of(about))[1] == b"mine"
    assert fields_of(files) == [(1, b""), (2, b"output-0")]
    [entity] = records_of(output)
    tags = [tag for tag, _ in fields_of(entity)]
    assert tags == sorted(tags)
    assert (tags[0], tags[1], tags[-1]) == (13, 14, 16)
    key, group = dict(fields_of(entity))[13], dict(fields_of(entity))[16]
    path = [(1, [(2, b"rooms"), (3, 2**64 - 7)]), (1, [(2, b"deep"), (4, "é".encode())])]
    assert [(tag, value if tag == 13 else fields_of(value)) for tag, value in fields_of(key)] == [
        (13, f"dev~{project}".encode()),
        (14, path),
    ]
    assert fields_of(group) == path[:1]
    found = {name: (tag, meaning, many, value) for tag, name, meaning, many, value in properties_of(entity)}
    reference = [(13, f"dev~{project}".encode()), (14, [(15, b"a"), (16, 9)])]
    assert {name: found[name] for name in found if name not in ("map", "list", "vector")} == {
        "none": (15, 0, 0, None), "yes": (15, 0, 0, (2, 1)), "many": (15, 0, 0, (1, 2**64 - 3)),
        "half": (15, 0, 0, (4, 0.5)), "when": (15, 7, 0, (1, 2**64 - 999_995)), "text": (15, 0, 0, (3, "é".encode())),
        "raw": (15, 16, 0, (3, b"\0")), "ref": (15, 0, 0, (12, reference)),
        "at": (15, 9, 0, (5, [(6, 1.5), (7, -2.0)])), "empty": (14, 24, 0, None),
    }  # fmt: skip
    tag, meaning, many, (kind, inner) = found["map"]
    assert (tag, meaning, many, kind) == (15, 19, 0, 3)
    assert [(tag, value) for tag, value in fields_of(inner) if tag not in (14, 15)] == [(13, b"j\0r\0"), (16, b"")]
    assert [one[:4] for one in properties_of(inner)] == [(14, "inner", 24, 0), (15, "x", 19, 0)]
    elements = [one for one in properties_of(entity) if one[1] == "list"]
    assert [(meaning, many) for _, _, meaning, many, _ in elements] == [(0, 1), (0, 1), (19, 1)]
    assert properties_of(found["vector"][3][1]) == [
        (15, "__vector__", 0, 1, (4, 1.0)),
        (15, "__vector__", 0, 1, (4, -2.0)),
    ]


def test_an_empty_database_is_exported_as_officially(running: RunningFirestore, project: str, tmp_path: Path) -> None:
    """Fifteen bytes: the version and a record of nothing."""
    control(running, project, "export", export_directory=str(tmp_path), export_name="none")
    overall = (tmp_path / "none/none.overall_export_metadata").read_bytes()
    assert (len(overall), overall[:8]) == (15, VERSION)
    assert list(records_of(overall)) == [b"\x33", b""]


@pytest.mark.parametrize(
    "sizes",
    [
        [BLOCK_BYTES - 7, 1, 5],
        [BLOCK_BYTES - 14, 0, 3],
        [BLOCK_BYTES - 7 - 3, 9],
        [BLOCK_BYTES - 7 - 7, 9],
        [3 * BLOCK_BYTES, 10, BLOCK_BYTES * 2 - 20],
    ],
)
def test_records_of_any_size_fit_into_blocks(tmp_path: Path, sizes: list[int]) -> None:
    """Records end at, just before and beyond a block's end; both readings give them back."""
    records = [os.urandom(size) for size in sizes]
    write_records(tmp_path / "log", records)
    log = (tmp_path / "log").read_bytes()
    assert list(records_of(log, checked=False)) == records
    assert list(read_records(tmp_path / "log")) == records


def entity(path: list[tuple[str, str | int]], *properties: bytes, database: str = "", space: str = "") -> bytes:
    elements = [field(1, [field(2, kind), field(3 if isinstance(name, int) else 4, name)]) for kind, name in path]
    key = field(13, "s~of-production") + field(14, b"".join(elements))
    key += (field(20, space) if space else b"") + (field(23, database) if database else b"")
    return field(13, key) + b"".join(properties) + field(16, elements[0])


def prop(tag: int, name: str, value: bytes, *, meaning: int = 0, many: bool = False) -> bytes:
    return field(tag, (field(1, meaning) if meaning else b"") + field(3, name) + field(4, int(many)) + field(5, value))


def managed_export(folder: Path, entities: dict[str, list[bytes]]) -> Path:
    """As `gcloud firestore export --collection-ids` lays it out: a folder each, several files, fields indexed."""
    kinds = b""
    for kind, found in entities.items():
        base = f"all_namespaces/kind_{kind}"
        (folder / base).mkdir(parents=True)
        names = b""
        for number_, one in enumerate(found):
            (folder / base / f"output-{number_}").write_bytes(log_of([one]))
            names += field(2, f"output-{number_}")
        metadata = f"{base}/all_namespaces_kind_{kind}.export_metadata"
        (folder / metadata).write_bytes(field(1, field(1, "x")) + field(2, field(1, "") + names))
        kinds += field(1, field(1, field(1, 2)) + field(2, metadata) + field(3, len(found)) + field(4, 99))
    overall = folder / "2026-10-02T02:00:05_12345.overall_export_metadata"
    overall.write_bytes(log_of([b"\x33", kinds]))
    return overall


def reference(project: str) -> bytes:
    return field(12, [field(13, f"s~{project}"), field(14, [field(15, "a"), field(17, "b")])])


def test_exports_of_production_are_read(
    client: firestore.Client, running: RunningFirestore, project: str, tmp_path: Path
) -> None:
    """Several folders and files, indexed fields, numeric ids, other databases; merged over what is there."""
    client.document("cities/kept").set({"a": 1})
    client.document("cities/same").set({"a": "x"})
    before = client.document("cities/same").get()
    inner = field(13, field(13, "") + field(14, b"")) + prop(15, "x", field(4, 2.0)) + field(16, b"")
    vector = b"".join(prop(15, "__vector__", field(4, x), many=True) for x in (1.0, 2.0))
    overall = managed_export(
        tmp_path,
        {
            "cities": [
                entity([("cities", "same")], prop(14, "a", field(3, "x"))),
                entity(
                    [("cities", 7), ("streets", "s")],
                    prop(15, "map", field(3, inner), meaning=19),
                    prop(14, "when", field(1, -1), meaning=7),
                    prop(14, "list", field(1, 1), many=True),
                    prop(14, "list", field(3, "two"), many=True),
                    prop(14, "one", b"", many=True),
                    prop(14, "empty", b"", meaning=24),
                    prop(15, "moved", reference("of-production")),
                    prop(14, "stays", reference("of-a-third")),
                    prop(15, "long", field(3, "text"), meaning=15),
                    prop(15, "vector", field(3, vector), meaning=19),
                    prop(15, "at", field(5, [field(6, 1.0), field(7, 2.0)]), meaning=9),
                    prop(15, "nan", field(4, math.nan)),
                ),
            ],
            "other": [entity([("other", "1")], prop(14, "x", field(2, 1)), database="second")],
        },
    )
    answer = control(
        running, project, "import", export_directory=str(overall), database=f"projects/{project}/databases/x"
    )
    assert (answer.status_code, answer.json()) == (200, {})
    stored = running.call(lambda: running.service.store.database(DatabaseName(project)).get("cities/__id7__/streets/s"))
    assert stored is not None
    assert stored.message().fields["stays"].reference_value == "projects/of-a-third/databases/(default)/documents/a/b"
    fields = (
        client.collection("cities/__id7__/streets")
        .select(["moved", "map", "when", "list", "one", "empty", "long", "vector", "at", "nan"])
        .get()[0]
        .to_dict()
        or {}
    )
    assert math.isnan(fields.pop("nan"))
    assert fields == {
        "moved": client.document("a/b"),
        "map": {"x": 2.0}, "when": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "list": [1, "two"],
        "one": [None], "empty": [], "long": "text", "vector": Vector([1.0, 2.0]), "at": firestore.GeoPoint(1.0, 2.0),
    }  # fmt: skip
    assert client.document("cities/kept").get().exists
    same = client.document("cities/same").get()
    assert (same.create_time, same.update_time) == (before.create_time, before.update_time)
    url = f"http://{running.address}/v1/projects/{project}/databases/second/documents/other/1"
    assert requests.get(url, headers={"authorization": "Bearer owner"}, timeout=10).json()["fields"] == {
        "x": {"booleanValue": True}
    }


def cut(overall: Path) -> None:
    output = overall.parent / "all_namespaces/kind_a/output-0"
    output.write_bytes(output.read_bytes()[:-3])


def flip(overall: Path) -> None:
    output = overall.parent / "all_namespaces/kind_a/output-0"
    output.write_bytes(output.read_bytes()[:-1] + b"\xee")


def point(name: str) -> Callable[[Path], None]:
    """The kind's metadata names another file."""

    def change(overall: Path) -> None:
        kind = overall.parent / "all_namespaces/kind_a/all_namespaces_kind_a.export_metadata"
        kind.write_bytes(field(2, field(1, "") + field(2, name)))

    return change


def lead(overall: Path) -> None:
    overall.write_bytes(log_of([b"\x33", field(1, field(2, "../../../../etc/hostname"))]))


def link(overall: Path) -> None:
    output = overall.parent / "all_namespaces/kind_a/output-0"
    outside = overall.parent.parent / "outside"
    output.rename(outside)
    output.symlink_to(outside)


def age(overall: Path) -> None:
    overall.write_bytes(log_of([b"\x32", b""]))


def jumble(overall: Path) -> None:
    overall.write_bytes(log_of([b"\x33", b"\xff\xff"]))


def hold(record: bytes) -> Callable[[Path], None]:
    def change(overall: Path) -> None:
        (overall.parent / "all_namespaces/kind_a/output-0").write_bytes(log_of([record]))

    return change


def nested(depth: int) -> bytes:
    inner = prop(15, "x", field(1, 1))
    for _ in range(depth):
        inner = prop(15, "m", field(3, inner), meaning=19)
    return inner


@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (cut, "goes on beyond its end"),
        (flip, "checksum does not fit"),
        (point("output-9"), "output-9` cannot be read: No such file"),
        (point("../../../x"), "lies outside"),
        (point("/etc/hostname"), "lies outside"),
        (point("\0"), "no file's name"),
        (lead, "lies outside"),
        (link, "lies outside"),
        (age, "a format that is not known"),
        (jumble, "no metadata of an export"),
        (hold(b"\xff"), "record 1: it is no entity"),
        (hold(entity([("a", "1")], space="n")), "namespace `n`"),
        (hold(entity([("a", "1")], prop(14, "k", field(3, "x"), meaning=17))), "`k` holds a blob key"),
        (hold(entity([("a", "1")], prop(14, "k", field(8, [])))), "`k` holds a user"),
        (hold(entity([("a", "1")], prop(14, "k", field(3, b"\xff")))), "not UTF-8"),
        (hold(entity([("a", "..")])), "must not be"),
        (hold(entity([("a", "1")], nested(500))), "20 deep"),
        (hold(entity([("a", "1")], prop(14, "t", field(1, 2**63 - 1), meaning=7))), "outside of 0001"),
    ],
)
def test_a_broken_official_export_is_one_sentence(
    client: firestore.Client,
    running: RunningFirestore,
    project: str,
    tmp_path: Path,
    breaks: Callable[[Path], None],
    said: str,
) -> None:
    """It names the file and the record; no name in it leads out of its folder, and nothing is taken over."""
    good = entity([("a", "1")], prop(14, "x", field(1, 1)))
    overall = managed_export(tmp_path / "export", {"0": [good], "a": [good]})
    breaks(overall)
    answer = control(running, project, "import", export_directory=str(overall))
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert "\n" not in answer.json()["error"]["message"]
    assert not client.document("a/1").get().exists


def test_long_work_says_how_far_it_has_come(caplog: pytest.LogCaptureFixture) -> None:
    """By the thousand where time has passed, never for what is quick."""
    with caplog.at_level(logging.INFO, logger="afterimage_emulator.firestore"):
        quick, slow = Progress("quick", 2000), Progress("importing x", 2000, seconds_between=0.0)
        for _ in range(1000):
            quick.step()
            slow.step()
    assert [record.getMessage() for record in caplog.records] == [
        "importing x: 500 of 2,000 documents",
        "importing x: 1,000 of 2,000 documents",
    ]


def test_an_export_into_no_folder_is_refused(running: RunningFirestore, project: str, tmp_path: Path) -> None:
    """Officially `export_directory` must be there; a name that leads out of it is refused."""
    missing = control(running, project, "export", export_directory=str(tmp_path / "none"), export_name="x")
    assert (missing.status_code, missing.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    out = control(running, project, "export", export_directory=str(tmp_path), export_name="../x")
    assert (out.status_code, "lies outside" in out.text) == (400, True)
    assert list(tmp_path.iterdir()) == []


def test_what_was_of_a_project_follows_into_another(
    client: firestore.Client, running: RunningFirestore, project: str, tmp_path: Path
) -> None:
    """As in the official suite, whose importing project takes the documents over; the times stay."""
    client.document("a/1").set({"x": 1})
    before = client.document("a/1").get()
    control(running, project, "export", export_directory=str(tmp_path), export_name="mine")
    other = f"{project}-other"
    answer = control(running, other, "import", export_directory=str(tmp_path / "mine"))
    assert answer.status_code == 200
    url = f"http://{running.address}/v1/projects/{other}/databases/(default)/documents/a/1"
    found = requests.get(url, headers={"authorization": "Bearer owner"}, timeout=10).json()
    assert found["fields"] == {"x": {"integerValue": "1"}}
    assert datetime.fromisoformat(found["createTime"]) == before.create_time


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        ("{", "no listing"),
        ("[]", "no listing"),
        ('{"format": 9, "databases": []}', "format `9`"),
        ('{"format": 2, "project": "p", "databases": [{}]}', "no listing"),
        ('{"format": 2, "project": "p", "databases": [{"project": "p", "database": "d", "metadata_file": "../x",'
         ' "times": "t"}]}', "outside"),
    ],
)  # fmt: skip
def test_a_broken_listing_is_refused(running: RunningFirestore, tmp_path: Path, listing: str, said: str) -> None:
    """What lies beside the official files is checked as they are."""
    (tmp_path / "databases.json").write_text(listing)
    with pytest.raises(StatusError, match=said):
        running.run(running.service.import_from(tmp_path))
