"""A large commit that is read at once is read as each of its writes alone would be, or is left to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from afterimage_emulator.firestore.documents.plain_sets import read_plain_sets
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.wire_bytes import field
from afterimage_emulator.firestore.documents.writes import CheckedWrite, check_write
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import StatusError
from tests.thoroughness import examples

DATABASE: Final = DatabaseName("demo", "(default)")
ROOT: Final = "projects/demo/databases/(default)/documents"
MANY: Final = 12
_PLAIN: Final[tuple[tuple[str, object], ...]] = (
    ("integer_value", -7),
    ("string_value", "text \N{SNOWMAN}"),
    ("string_value", ""),
    ("boolean_value", False),
    ("double_value", 0.0),
    ("null_value", 0),
)


def plain(number: int) -> firestore_v1.Write:
    write = firestore_v1.Write()
    write.update.name = f"{ROOT}/rooms/r{number}"
    for place in reversed(range(number)):
        kind, value = _PLAIN[(number + place) % len(_PLAIN)]
        setattr(write.update.fields[f"f{place}"], kind, value)
    return write


def commit(*writes: firestore_v1.Write) -> firestore_v1.CommitRequest:
    return firestore_v1.CommitRequest(database=str(DATABASE), writes=writes)


def one_by_one(request: firestore_v1.CommitRequest) -> list[CheckedWrite]:
    return [check_write(write, DATABASE) for write in request.writes]


def outcome(read: Callable[[], list[CheckedWrite] | None]) -> object:
    try:
        found = read()
    except StatusError as error:
        return error.code, error.message
    return None if found is None else [(each.path, each.name, each.kind, each.body) for each in found]


def check_agreement(request: firestore_v1.CommitRequest) -> None:
    at_once = outcome(lambda: read_plain_sets(request, DATABASE))
    assert at_once is None or at_once == outcome(lambda: one_by_one(request))


def test_a_large_commit_of_plain_documents_is_read_at_once() -> None:
    """All kinds of plain values, empty documents and documents of one name twice: all as they are one by one."""
    request = commit(*(plain(number) for number in range(MANY)), plain(3))
    assert read_plain_sets(request, DATABASE) is not None
    assert outcome(lambda: read_plain_sets(request, DATABASE)) == outcome(lambda: one_by_one(request))


def named(name: str) -> firestore_v1.Write:
    return firestore_v1.Write(update=firestore_v1.Document(name=name))


def with_value(name: str = "odd", **value: Any) -> firestore_v1.Write:
    write = plain(1)
    write.update.fields[name].MergeFrom(firestore_v1.Value(**value))
    return write


def on_the_wire(*entries: bytes) -> firestore_v1.Write:
    """A document whose fields are these bytes, however a client came to write them."""
    document = field(1, f"{ROOT}/rooms/raw".encode()) + b"".join(field(2, entry) for entry in entries)
    return firestore_v1.Write.FromString(field(1, document))


def changed(change: Callable[[firestore_v1.Write], object]) -> firestore_v1.Write:
    write = plain(2)
    change(write)
    return write


KEY: Final = field(1, b"k")
ONE: Final = b"\x10\x01"
TRUE: Final = b"\x08\x01"
ODD: Final = {
    "a delete": firestore_v1.Write(delete=f"{ROOT}/rooms/gone"),
    "a verify": firestore_v1.Write(verify=f"{ROOT}/rooms/there", current_document={"exists": True}),
    "a transform": firestore_v1.Write(transform={"document": f"{ROOT}/rooms/counted"}),
    "no operation": firestore_v1.Write(),
    "a document without a name": firestore_v1.Write(update={}),
    "a mask": changed(lambda write: write.update_mask.field_paths.append("f0")),
    "an empty mask": changed(lambda write: write.update_mask.SetInParent()),
    "a precondition": changed(lambda write: setattr(write.current_document, "exists", False)),
    "an empty precondition": changed(lambda write: write.current_document.SetInParent()),
    "a transform of a field": changed(lambda write: write.update_transforms.add(field_path="n", increment={})),
    "a time of its own": changed(lambda write: setattr(write.update.update_time, "seconds", 5)),
    "an empty time": changed(lambda write: write.update.create_time.SetInParent()),
    "another database": named("projects/demo/databases/other/documents/rooms/a"),
    "a collection's name": named(f"{ROOT}/rooms"),
    "an empty id": named(f"{ROOT}/rooms/"),
    "a reserved id": named(f"{ROOT}/rooms/__a__"),
    "a long id": named(f"{ROOT}/rooms/{'a' * 1501}"),
    "an empty field name": with_value("", integer_value=1),
    "a reserved field name": with_value("__a__", integer_value=1),
    "a name that only begins as a reserved one": with_value("__a", integer_value=1),
    "a long field name": with_value("a" * 1501, integer_value=1),
    "a value without a type": with_value(),
    "a map": with_value(map_value={"fields": {"a": {"integer_value": 1}}}),
    "a bad map": with_value(map_value={"fields": {"": {"integer_value": 1}}}),
    "an array": with_value(array_value={}),
    "an array in an array": with_value(array_value={"values": [{"array_value": {}}]}),
    "a timestamp that is cut": with_value(timestamp_value={"nanos": 1001}),
    "a bad point": with_value(geo_point_value={"latitude": 91}),
    "a bad reference": with_value(reference_value="nothing"),
    "bytes": with_value(bytes_value=b"\xff"),
    "a long text": with_value(string_value="x" * 1_048_488),
    "a value of two kinds on the wire": on_the_wire(KEY + field(2, ONE + TRUE)),
    "a value of two kinds beside none": on_the_wire(KEY + field(2, ONE + TRUE), field(1, b"l") + field(2, b"")),
    "a value given twice on the wire": on_the_wire(KEY + field(2, ONE) + field(2, TRUE)),
    "a field without a value": on_the_wire(KEY),
    "a field without a name": on_the_wire(field(2, ONE)),
    "a field given twice on the wire": on_the_wire(KEY + field(2, ONE), KEY + field(2, TRUE)),
    "fields out of order": on_the_wire(field(1, b"z") + field(2, ONE), KEY + field(2, ONE)),
    "a field that nobody knows": on_the_wire(KEY + field(2, ONE) + field(9, b"unknown")),
    "a value of a kind that nobody knows": on_the_wire(KEY + field(2, field(99, b"unknown"))),
}


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_write_among_many_is_read_or_refused_as_it_is_alone(odd: str) -> None:
    """The whole commit is left to the reading one by one, or comes out of both alike."""
    for place in (0, MANY // 2, MANY):
        writes = [plain(number) for number in range(MANY)]
        writes.insert(place, ODD[odd])
        check_agreement(commit(*writes))


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_whatever_bytes_arrive_both_readings_agree(data: st.DataObject) -> None:
    """Bytes of a good commit with some of them changed, taken out or doubled, as far as they are a commit at all."""
    wire = bytearray(commit(*(plain(number) for number in range(MANY))).SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(wire) - 1))
        wire[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        request = firestore_v1.CommitRequest.FromString(bytes(wire))
    except DecodeError:
        return
    check_agreement(request)
