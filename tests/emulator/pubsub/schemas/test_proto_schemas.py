"""Protocol buffers: a definition read as protoc reads it, and messages held against it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.protos.varint import varint
from afterimage_emulator.pubsub.schemas.proto_schema import ProtoSchema
from afterimage_emulator.pubsub.schemas.proto_source import read_proto
from afterimage_emulator.pubsub.schemas.refusals import ComparingSteps, MessageRefusedError, SchemaRefusedError
from afterimage_emulator.turns import Work
from tests.emulator.pubsub.serving import finished

PROTO3 = """
// A thing of the shop.
syntax = "proto3";
package shop.things;
option java_package = "com.shop";
option optimize_for = SPEED;
message Thing {
  string display_name = 1 [deprecated = true, json_name = "shown"];
  optional int32 count = 2; /* with
     presence */
  repeated sint64 sizes = 3 [packed = false];
  map<string, Part> parts = 4;
  map<int32, Colour> colours_by_id = 5;
  oneof kind { bytes raw = 6; Part part = 7; }
  optional .shop.things.Thing.Part other = 8;
  message Part { Thing.Colour colour = 1; Inner inner = 2; message Inner { fixed32 id = 0x1; }
    reserved 5, 7 to 9, 20 to max; reserved "old", "older";
  }
  enum Colour { option allow_alias = true; RED = 0; ROT = 0; BLUE = 1 [deprecated = true]; reserved 5 to 7; }
  things.Thing.Part long_way = 9;
  shop.things.Thing.Part longest_way = 10;
  ;
}
"""
PROTO2 = """
syntax = "proto2";
message Thing {
  required string name = 1 [default = "a\\"b\\x41"];
  optional double far = 2 [default = 1.5];
  optional float nan = 3 [default = -inf];
  optional bool flag = 4 [default = true];
  optional Colour colour = 5 [default = BLUE];
  optional bytes raw = 6 [default = "\\000\\xff"];
  optional int64 total = 7 [default = -0x10];
  optional Thing message = 8;
  repeated int32 enum = 9 [packed = true];
  map<string, string> map = 10;
  enum Colour { RED = -1; BLUE = 2; }
  extensions 100 to 199;
}
"""
EDITION = """
edition = "2023";
message Thing {
  option deprecated = true;
  string name = 1 [features.field_presence = IMPLICIT];
  int32 count = 2;
}
"""


@pytest.mark.parametrize("source", [PROTO3, PROTO2, EDITION], ids=["proto3", "proto2", "edition"])
def test_a_definition_is_read_as_protoc_reads_it(source: str, tmp_path: Path) -> None:
    """Field by field the same descriptor: kinds, full names, defaults, options, ranges, what is synthesized."""
    (tmp_path / "schema.proto").write_text(source)
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{tmp_path}", f"--descriptor_set_out={tmp_path}/out"]
    subprocess.run([*command, "schema.proto"], check=True, capture_output=True, timeout=60, cwd=tmp_path)
    (wanted,) = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "out").read_bytes()).file
    assert str(read_proto(source)) == str(wanted)
    ProtoSchema.from_source(source)


def of(body: str) -> str:
    return f'syntax = "proto3"; message M {{ {body} }}'


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("", "one message at its top, not 0"),
        ("@", "`@` is not understood"),
        ("/* open", "`/* open` is not understood"),
        ('syntax = "proto4";', "`proto4` is no syntax"),
        ('edition = "1999";', "no edition `1999`"),
        ('import "other.proto";', "imports nothing"),
        ("message A {} message B {}", "one message at its top, not 2"),
        ("message A {} enum E { X = 0; }", "put the enum within it"),
        ("service S {}", "is wanted"),
        ("message M { string a = 1; }", "the definition is proto2"),
        (of("string a = 0;"), "from 1 to"),
        (of("string a = 536870912;"), "from 1 to"),
        (of("string a = 19000;"), "19000"),
        (of("string a = 1; string b = 1;"), "the definition is no schema"),
        (of("string a = 1; int32 a = 2;"), "the definition is no schema"),
        (of("Missing a = 1;"), "`Missing`, which is not there"),
        (of("required string a = 1;"), "`required` is not of proto3"),
        (of("string a = 1 [(mine) = 1];"), "options of one's own"),
        (of("string a = 1 [nothing = 1];"), "`nothing` is no option"),
        (of("string a = 1 [deprecated = maybe];"), "takes no `maybe`"),
        (of("extend M { int32 a = 1; }"), "extends nothing"),
        (of("map<double, int32> a = 1;"), "the definition is no schema"),
        (of("repeated map<int32, int32> a = 1;"), "a map has no label"),
        (of("oneof o { repeated int32 a = 1; }"), "has no label"),
        (of("enum E { A = 1; }"), "the definition is no schema"),
        (of("reserved 9 to 3;"), "is no range"),
        (of("string a = 1"), "`;` is wanted"),
        ("message M {" * 60, "nested deeper"),
        ("message M { optional group G = 1 {} }", "groups are not taken"),
        (of("string a = 99999999999999999999999999999999999;"), "too long"),
    ],
)
def test_definitions_that_are_none_are_refused(source: str, named: str) -> None:
    """With the line or the name, and never with anything but a refusal."""
    with pytest.raises(SchemaRefusedError) as refused:
        ProtoSchema.from_source(source)
    assert named in str(refused.value)


def test_messages_are_held_against_the_definition() -> None:
    """JSON by protobuf's mapping; in binary, a field that the schema has not is refused like bytes that are none."""
    schema = ProtoSchema.from_source(PROTO3)
    finished(
        schema.check(b'{"shown": "x", "parts": {"a": {"colour": "BLUE"}}, "count": 3, "raw": "AA=="}', is_json=True)
    )
    finished(schema.check(b"\x0a\x01x\x10\x03", is_json=False))
    finished(schema.check(b"", is_json=False))
    for data, is_json in (
        (b'{"unknown": 1}', True), (b'{"count": "x"}', True), (b"[" * 5000, True), (b"\xff", True), (b"", True),
        (b"\x0a\x05x", False), (b"\xf8\x06\x01", False), (b"\x22\x09\x0a\x01a\x12\x04\x18\x01\x18\x01", False),
        (b"\x0a\x01\xff", False),
    ):  # fmt: skip
        with pytest.raises(MessageRefusedError):
            finished(schema.check(data, is_json=is_json))


EVERY_TYPE = """
syntax = "proto3";
message M {
  int32 a = 1; int64 b = 2; uint32 c = 3; uint64 d = 4; sint32 e = 5; sfixed64 f = 6; bool g = 7; float h = 8;
  double i = 9; string j = 10; bytes k = 11; E l = 12; M inner = 13; repeated int32 ma = 14; repeated M mm = 15;
  map<string, int32> n = 16; map<int32, M> o = 17; map<bool, E> p = 18; oneof q { string r = 19; M s = 20; }
  repeated E many_enums = 21; fixed32 t = 22; repeated double u = 23; optional string v = 24;
  enum E { ZERO = 0; ONE = 1; }
}
"""
KEYS = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "inner", "ma", "mm", "n", "o", "p", "r", "s", "t",
        "u", "v", "manyEnums", "many_enums", "none")  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.integers(-3, 3), st.floats(allow_nan=False),
    st.text(),
    st.sampled_from(["ZERO", "ONE", "1", "1.0", "1.5", " 1", "NaN", "Infinity", "true", "AA==", "A", "-1", "nan"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
        st.dictionaries(st.sampled_from(["1", "true", "x", ""]), inner, max_size=2),
    ),
    max_leaves=12,
)


def the_class(definition: str) -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(read_proto(definition))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("M"))


def fits(work: Work[None]) -> bool:
    try:
        finished(work)
    except MessageRefusedError:
        return False
    return True


MODEL = the_class(EVERY_TYPE)
EVERY = ProtoSchema.from_source(EVERY_TYPE)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_json_is_taken_as_protobufs_own_reader_takes_it(value: dict[str, Any]) -> None:
    """Value by value or as a whole: the same texts are messages."""
    text = json.dumps(value)
    try:
        json_format.Parse(text, MODEL())
        is_message = is_object_where_a_message_stands(value)
    except json_format.ParseError:
        is_message = False
    assert fits(EVERY.check(text.encode(), is_json=True)) == is_message, text


def is_object_where_a_message_stands(value: object) -> bool:
    """Python's reader takes an empty list or text for an empty message, which protobuf's mapping does not know."""
    if not isinstance(value, dict):
        return False
    within: list[object] = [value[name] for name in ("inner", "s") if value.get(name) is not None]
    within += value.get("mm") or []
    within += (value.get("o") or {}).values()
    return all(map(is_object_where_a_message_stands, within))


@given(st.dictionaries(st.sampled_from(KEYS[:-1]), VALUES, max_size=3), st.integers(0, 200), st.integers(0, 255))
def test_bytes_are_taken_as_protobufs_own_reader_takes_them(value: dict[str, Any], place: int, byte: int) -> None:
    """What is written passes; with one byte changed it passes where protobuf reads it and knows every field."""
    made = MODEL()
    try:
        json_format.ParseDict(value, made)
    except json_format.ParseError:
        made = MODEL(a=1, j="x", inner=MODEL(ma=[1, 2], u=[0.5]))
    raw = made.SerializeToString()
    assert fits(EVERY.check(raw, is_json=False))
    changed = raw[:place] + bytes([byte]) + raw[place + 1 :]
    again = MODEL()
    try:
        again.ParseFromString(changed)
        size = again.ByteSize()
        again.DiscardUnknownFields()
        is_message = again.ByteSize() == size
    except DecodeError:
        is_message = False
    assert fits(EVERY.check(changed, is_json=False)) == is_message, changed


@pytest.mark.parametrize(
    ("data", "is_json"),
    [
        (b'{"ma":[' + b"1,        " * 900_000 + b"1]}", True),
        (b'{"mm":[' + b"{},       " * 450_000 + b"{}]}", True),
        (b'{"n":{' + b",".join(b'"%x":1' % n for n in range(450_000)) + b"}}", True),
        (b"\x7a\x00" * (5 * 1024 * 1024), False),
        (b"\x72\x80\x80\x80\x05" + b"\x01" * (10 * 1024 * 1024), False),
    ],
)
def test_ten_megabytes_are_read_in_short_pieces(data: bytes, is_json: bool) -> None:
    """Counted in steps: however much a message holds, others wait for two thousand of them at the most."""
    work = EVERY.check(data, is_json=is_json)
    pieces = list(itertools.islice(work, 100))
    assert len(pieces) == 100
    assert max(pieces) <= 2_000, max(pieces)
    assert sum(pieces) >= 99_000


def test_what_is_nested_is_read_to_a_bound() -> None:
    """A hundred messages within each other, in both encodings, as protobuf's own readers have it."""
    deep = b'{"inner":' * 200 + b"{}" + b"}" * 200
    raw = b""
    for _ in range(200):
        raw = b"\x6a" + varint(len(raw)) + raw
    for data, is_json in ((deep, True), (raw, False)):
        with pytest.raises(MessageRefusedError, match="nested deeper than 100"):
            finished(EVERY.check(data, is_json=is_json))


def test_well_known_types_of_a_compiled_definition_are_read_in_json() -> None:
    """As protobuf's JSON writes them: times as texts, wrappers as values, what any message is by its type."""
    known = (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    file = descriptor_pb2.FileDescriptorProto(name="m.proto", syntax="proto3")
    file.dependency.extend(each.DESCRIPTOR.name for each in known)
    message = file.message_type.add(name="M")
    for number, name in enumerate(
        ("Any", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Timestamp", "Int32Value")
    ):
        message.field.add(name=name.lower(), json_name=name.lower(), number=number + 1, label=1, type=11,
                          type_name=f".google.protobuf.{name}")  # fmt: skip
    files = descriptor_pb2.FileDescriptorSet(file=[file])
    for each in known:
        each.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.insert(len(files.file), files.file.pop(0))
    schema = ProtoSchema.from_compiled(files.SerializeToString(), "M")
    whole: dict[str, Any] = {
        "any": {"@type": "type.googleapis.com/M", "duration": "1s"}, "duration": "1.5s", "fieldmask": "a,b",
        "struct": {"x": [1, {}]}, "value": None, "listvalue": [1, None],
        "timestamp": "2020-01-01T00:00:00Z", "int32value": 7,
    }  # fmt: skip
    assert fits(schema.check(json.dumps(whole).encode(), is_json=True))
    assert fits(schema.check(b'{"any": {}, "value": {"a": [null]}}', is_json=True))
    assert fits(schema.check(b'{"any": {"@type": "x/google.protobuf.Duration", "value": "1s"}}', is_json=True))
    any_one, any_m = {"@type": "x/None"}, {"@type": "x/M", "duration": 1}
    for name, wrong in (("any", {"a": 1}), ("any", any_one), ("any", any_m), ("any", []), ("duration", "1"),
                        ("struct", []), ("listvalue", {}), ("timestamp", {}), ("int32value", "x")):  # fmt: skip
        assert not fits(schema.check(json.dumps(whole | {name: wrong}).encode(), is_json=True)), (name, wrong)


def test_a_compiled_definition_names_its_message() -> None:
    """A descriptor set with the root that publishers send; what is none is refused."""
    files = descriptor_pb2.FileDescriptorSet(file=[read_proto(PROTO3)]).SerializeToString()
    finished(ProtoSchema.from_compiled(files, "shop.things.Thing").check(b'{"shown": "x"}', is_json=True))
    for compiled, root in ((files, "shop.things.None"), (b"\xff", "M"), (b"", "M")):
        with pytest.raises(SchemaRefusedError):
            ProtoSchema.from_compiled(compiled, root)


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (of("int64 id = 1; string more = 9;"), ""),
        (of(""), ""),
        (of("string other = 1;"), "other of type string is not compatible with id of type int64"),
        (of("repeated int64 id = 1;"), "id of type repeated int64 is not compatible with id of type int64"),
        (of("message P { string x = 1; } P p = 2;"), "x of type string is not compatible with x of type int32"),
    ],
)
def test_revisions_add_and_remove_fields_and_change_none(new: str, reason: str) -> None:
    """A number keeps its type, also within the messages that a field holds."""
    old = ProtoSchema.from_source(of("int64 id = 1; message P { int32 x = 1; } P p = 2;"))
    assert ProtoSchema.from_source(new).incompatible(old, ComparingSteps()) == reason
