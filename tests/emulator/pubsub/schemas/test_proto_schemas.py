"""Protocol buffers: a definition read as protoc reads it, and messages held against it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from afterimage_emulator.pubsub.schemas.proto_schema import ProtoSchema
from afterimage_emulator.pubsub.schemas.proto_source import read_proto
from afterimage_emulator.pubsub.schemas.refusals import MessageRefusedError, SchemaRefusedError

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
    schema.check(b'{"shown": "x", "parts": {"a": {"colour": "BLUE"}}, "count": 3, "raw": "AA=="}', is_json=True)
    schema.check(b"\x0a\x01x\x10\x03", is_json=False)
    schema.check(b"", is_json=False)
    for data, is_json in (
        (b'{"unknown": 1}', True), (b'{"count": "x"}', True), (b"[" * 5000, True), (b"\xff", True), (b"", True),
        (b"\x0a\x05x", False), (b"\xf8\x06\x01", False), (b"\x22\x09\x0a\x01a\x12\x04\x18\x01\x18\x01", False),
        (b"\x0a\x01\xff", False),
    ):  # fmt: skip
        with pytest.raises(MessageRefusedError):
            schema.check(data, is_json=is_json)


def test_a_compiled_definition_names_its_message() -> None:
    """A descriptor set with the root that publishers send; what is none is refused."""
    files = descriptor_pb2.FileDescriptorSet(file=[read_proto(PROTO3)]).SerializeToString()
    ProtoSchema.from_compiled(files, "shop.things.Thing").check(b'{"shown": "x"}', is_json=True)
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
    assert ProtoSchema.from_source(new).incompatible(old) == reason
