"""Avro: definitions, both encodings and compatibility, held against fastavro where it reads the same."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.pubsub.schemas.avro_binary import check_avro_binary
from afterimage_emulator.pubsub.schemas.avro_compatibility import why_unreadable
from afterimage_emulator.pubsub.schemas.avro_json import avro_json_to_binary, avro_number
from afterimage_emulator.pubsub.schemas.avro_schema import read_avro
from afterimage_emulator.pubsub.schemas.definitions import AvroDefinition
from afterimage_emulator.pubsub.schemas.proto_schema import ProtoSchema
from afterimage_emulator.pubsub.schemas.refusals import ComparingSteps, MessageRefusedError, SchemaRefusedError
from tests.emulator.pubsub.serving import finished

TEN_MEGABYTES = 10 * 1024 * 1024
THING: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "namespace": "shop",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "count", "type": "int"},
        {"name": "total", "type": "long"},
        {"name": "near", "type": "float"},
        {"name": "far", "type": "double"},
        {"name": "name", "type": "string"},
        {"name": "raw", "type": "bytes"},
        {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}},
        {"name": "code", "type": {"type": "fixed", "name": "Code", "size": 3}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "sizes", "type": {"type": "map", "values": {"type": "array", "items": "long"}}},
        {"name": "note", "type": ["null", "string", "int", "Colour", {"type": "map", "values": "int"}]},
        {"name": "parent", "type": ["null", "Thing"]},
    ],
}
READ = read_avro(json.dumps(THING))
PARSED = fastavro.parse_schema(THING)


def things(depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    note = st.none() | texts | st.integers(-(1 << 31), (1 << 31) - 1) | st.dictionaries(texts, st.integers(-9, 9))
    parent = st.none() | st.deferred(lambda: things(depth - 1)) if depth else st.none()
    return st.fixed_dictionaries(
        {
            "flag": st.booleans(),
            "count": st.integers(-(1 << 31), (1 << 31) - 1),
            "total": st.integers(-(1 << 63), (1 << 63) - 1),
            "near": st.floats(width=32, allow_nan=False, allow_infinity=False),
            "far": st.floats(allow_nan=False, allow_infinity=False),
            "name": texts,
            "raw": st.binary(max_size=8),
            "colour": st.sampled_from(["RED", "BLUE"]),
            "code": st.binary(min_size=3, max_size=3),
            "tags": st.lists(texts, max_size=3),
            "sizes": st.dictionaries(texts, st.lists(st.integers(-9, 9), max_size=2), max_size=2),
            "note": note,
            "parent": parent,
        }
    )


def in_json(thing: dict[str, Any]) -> dict[str, Any]:
    """By Avro's JSON encoding. fastavro's own writer of it fails on types that name themselves."""
    note, parent = thing["note"], thing["parent"]
    branch = {str: "string", int: "int", dict: "map"}
    return thing | {
        "raw": thing["raw"].decode("latin-1"),
        "code": thing["code"].decode("latin-1"),
        "note": None if note is None else {branch[type(note)]: note},
        "parent": None if parent is None else {"shop.Thing": in_json(parent)},
    }


@given(things())
def test_what_fastavro_writes_is_a_message_in_both_encodings(thing: dict[str, Any]) -> None:
    """Binary passes, JSON passes, and the JSON becomes the same bytes."""
    binary = io.BytesIO()
    fastavro.schemaless_writer(binary, PARSED, thing)
    finished(check_avro_binary(READ, binary.getvalue()))
    assert finished(avro_json_to_binary(READ, json.dumps(in_json(thing)).encode())) == binary.getvalue()


@given(things(0), st.data())
def test_broken_bytes_are_refused_or_are_another_value(thing: dict[str, Any], data: st.DataObject) -> None:
    """Whatever passes here, fastavro reads to the last byte; nothing but a refusal is ever raised."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, thing)
    broken = bytearray(out.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(broken[: data.draw(st.integers(0, len(broken)))])
    try:
        finished(check_avro_binary(READ, cut))
    except MessageRefusedError:
        return
    read = io.BytesIO(cut)
    fastavro.schemaless_reader(read, PARSED, None)
    assert read.read() == b""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda thing: thing.pop("flag"), "no field `flag`"),
        (lambda thing: thing.update(extra=1), "the field `extra`"),
        (lambda thing: thing.update(count=1 << 31), "`count` is 2147483648"),
        (lambda thing: thing.update(count=True), "`count` is True"),
        (lambda thing: thing.update(count=1.5), "`count` is 1.5"),
        (lambda thing: thing.update(far=float("inf")), "`Infinity` is no number"),
        (lambda thing: thing.update(near=1e300), "too large for a `float`"),
        (lambda thing: thing.update(raw="Ā"), "above 255"),
        (lambda thing: thing.update(name="\ud800"), "half a character"),
        (lambda thing: thing.update(colour="GREEN"), "`shop.Colour`"),
        (lambda thing: thing.update(code="ab"), "`shop.Code`"),
        (lambda thing: thing.update(tags={}), "an object where a list"),
        (lambda thing: thing.update(sizes=[]), "a list where an object"),
        (lambda thing: thing.update(note="bare"), "names the branch of a union"),
        (lambda thing: thing.update(note={"double": 1}), "the branch `double`"),
        (lambda thing: thing.update(note={"null": 1}), "the branch `null`"),
        (lambda thing: thing.update(parent={"shop.Thing": {}}), "has no field `flag`"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_its_place(change: Callable[[dict[str, Any]], Any], named: str) -> None:
    """A union is a tagged object, a number keeps within its bits, a record has its fields and no others."""
    thing: dict[str, Any] = {
        "flag": True, "count": 1, "total": 1, "near": 1, "far": 1, "name": "", "raw": "ÿ", "colour": "RED",
        "code": "abc", "tags": [], "sizes": {}, "note": {"string": "x"}, "parent": None,
    }  # fmt: skip
    finished(avro_json_to_binary(READ, json.dumps(thing).encode()))
    change(thing)
    with pytest.raises(MessageRefusedError) as refused:
        finished(avro_json_to_binary(READ, json.dumps(thing).encode()))
    assert named in str(refused.value)


def record(*fields: Any, **more: Any) -> str:
    return json.dumps({"type": "record", "name": "R", "fields": list(fields), **more})


@pytest.mark.parametrize(
    ("definition", "named"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("12", "a name, an object or a list"),
        ('["null", "int"]', "is a union"),
        ('{"type": "record", "fields": []}', "no `name`"),
        ('{"type": "record", "name": "R"}', "no list of `fields`"),
        (record({"type": "int"}), "a field without a name"),
        (record({"name": "a"}), "has no `type`"),
        (record({"name": "a", "type": "Nothing"}), "`Nothing`, which is not defined"),
        (record({"name": "a", "type": "int"}, {"name": "a", "type": "int"}), "there twice"),
        (record({"name": "1a", "type": "int"}), "a field without a name"),
        (record({"name": "a", "type": ["int", "int"]}), "`int` twice"),
        (record({"name": "a", "type": ["int", ["null"]]}), "holds a union"),
        (record({"name": "a", "type": []}), "union of nothing"),
        (record({"name": "a", "type": {"type": "array"}}), "no `items`"),
        (record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": []}}), "no `symbols`"),
        (record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["A", "A"]}}), "a symbol twice"),
        (record({"name": "a", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}}), "`default`"),
        (record({"name": "a", "type": {"type": "fixed", "name": "F", "size": -1}}), "no `size`"),
        (record({"name": "a", "type": {"type": "fixed", "name": "R", "size": 1}}), "`R` is defined twice"),
        (record({"name": "a", "type": "R"}), "always holds itself"),
        (record(name="int"), "is no name"),
        (record(name="no-name"), "is no name"),
        (record(namespace=7), "no text"),
        (record(aliases=[7]), "a list of names"),
    ],
)
def test_definitions_that_are_none_are_refused(definition: str, named: str) -> None:
    """With the place, and never with anything but a refusal."""
    with pytest.raises(SchemaRefusedError) as refused:
        read_avro(definition)
    assert named in str(refused.value)


def test_what_is_nested_is_read_without_the_stack() -> None:
    """Links to a bound, an array of 2^62 nothings and blocks that claim too much take no time and no memory."""
    linked = read_avro(record({"name": "next", "type": ["null", "R"]}))
    finished(check_avro_binary(linked, b"\x02" * 200 + b"\x00"))
    finished(avro_json_to_binary(linked, b'{"next":{"R":' * 200 + b'{"next":null}' + b"}}" * 200))
    with pytest.raises(MessageRefusedError, match="ends"):
        finished(check_avro_binary(linked, b"\x02" * 200))
    for deep in (check_avro_binary(linked, b"\x02" * TEN_MEGABYTES),
                 avro_json_to_binary(linked, b'{"next":{"R":' * 300 + b'{"next":null}' + b"}}" * 300)):  # fmt: skip
        with pytest.raises(MessageRefusedError, match="nested deeper than 500"):
            finished(deep)
    nothings = read_avro(record({"name": "all", "type": {"type": "array", "items": "null"}}))
    finished(check_avro_binary(nothings, avro_number(1 << 62) + b"\x00"))
    longs = read_avro(record({"name": "all", "type": {"type": "array", "items": "long"}}))
    with pytest.raises(MessageRefusedError, match="longer than the message"):
        finished(check_avro_binary(longs, avro_number(1 << 62) + b"\x00"))
    for at_the_bottom in ([], [INT]):
        doubling = {"name": "f0", "type": {"type": "record", "name": "R0", "fields": at_the_bottom}}
        for number in range(1, 60):
            fields = [doubling, {"name": "again", "type": f"R{number - 1}"}]
            doubling = {"name": "f", "type": {"type": "record", "name": f"R{number}", "fields": fields}}
        if not at_the_bottom:
            finished(check_avro_binary(read_avro(record(doubling)), b""))
            continue
        with pytest.raises(MessageRefusedError, match="ends where a `R`"):
            finished(check_avro_binary(read_avro(record(doubling)), b""))
    chained: dict[str, Any] = INT
    for number in range(90):
        chained = {"name": "f", "type": {"type": "record", "name": f"R{number}", "fields": [chained]}}
    chains = read_avro(record({"name": "all", "type": {"type": "array", "items": chained["type"]}}))
    finished(check_avro_binary(chains, avro_number(1_000) + b"\x02" * 1_000 + b"\x00"))
    with pytest.raises(MessageRefusedError, match="too many steps"):
        finished(check_avro_binary(chains, avro_number(30_000) + b"\x02" * 30_000 + b"\x00"))


INT = {"name": "a", "type": "int"}
LONGS = record({"name": "all", "type": {"type": "array", "items": "long"}})
PAIRS = record({"name": "all", "type": {"type": "map", "values": {"type": "record", "name": "P", "fields": [INT]}}})


@pytest.mark.parametrize(
    ("definition", "encoding", "data"),
    [
        (LONGS, "BINARY", avro_number(TEN_MEGABYTES) + b"\x02" * TEN_MEGABYTES),
        (PAIRS, "BINARY", (avro_number(TEN_MEGABYTES // 3) + b"\x02a\x00" * (TEN_MEGABYTES // 3))),
        (LONGS, "JSON", b'{"all":[' + b"1,      " * 900_000 + b"1]}"),
        (PAIRS, "JSON", b'{"all":{' + b",".join(b'"%06x":{"a":1}' % n for n in range(300_000)) + b"}}"),
    ],
)
def test_ten_megabytes_are_read_in_short_pieces(definition: str, encoding: str, data: bytes) -> None:
    """Counted in steps: however much a message holds, others wait for two thousand of them at the most."""
    work = AvroDefinition(read_avro(definition)).check(data, encoding)
    pieces = list(itertools.islice(work, 100))
    assert len(pieces) == 100
    assert max(pieces) <= 2_000, max(pieces)
    assert sum(pieces) >= 99_000


@pytest.mark.parametrize("kind", ["avro", "proto"])
def test_json_of_too_many_values_is_refused_before_it_is_read(kind: str) -> None:
    """It would be read in one piece. Commas within a text are none between values, however the text ends."""
    many = b'{"all":[' + b"1," * 1_000_001 + b"1]}"
    text = b'{"all":"' + b"," * 2_000_000 + b'"}'
    avro = AvroDefinition(read_avro(LONGS))
    proto = ProtoSchema.from_source('syntax = "proto3"; message M { repeated int64 all = 1; }')
    for data, named in (
        (many, "more than 1,000,000 values"),
        (text, "list"),
        (b'{"' + b"," * 1_000_001 + b'\\"' * 1_500_000, "not JSON"),
    ):
        work = avro.check(data, "JSON") if kind == "avro" else proto.check(data, is_json=True)
        with pytest.raises(MessageRefusedError, match=named):
            finished(work)


def test_no_more_waits_than_the_message_has_bytes() -> None:
    """A record with thousands of fields and itself at the end of them: each level would have them wait at two bytes."""
    fields = [{"name": f"f{number}", "type": "int"} for number in range(3_000)]
    wide = read_avro(record({"name": "next", "type": ["null", "R"]}, *fields))
    with pytest.raises(MessageRefusedError, match="ends where a"):
        finished(check_avro_binary(wide, b"\x02" * 20_000))


@pytest.mark.parametrize(
    ("new", "old", "reads"),
    [
        (record(INT), record(INT), True),
        (record(INT, {"name": "b", "type": "int", "default": 0}), record(INT), True),
        (record(INT, {"name": "b", "type": "int"}), record(INT), False),
        (record(INT), record(INT, {"name": "b", "type": "int"}), True),
        (record({"name": "a", "type": "long"}), record(INT), True),
        (record(INT), record({"name": "a", "type": "long"}), False),
        (record({"name": "a", "type": "string"}), record(INT), False),
        (record({"name": "a", "type": ["null", "int"]}), record(INT), True),
        (record(INT), record({"name": "a", "type": ["null", "int"]}), False),
        (record({"name": "b", "type": "int", "aliases": ["a"]}), record(INT), True),
        (record(INT, name="Other"), record(INT), False),
        (
            record({"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}}),
            record({"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}}),
            False,
        ),
        (
            record({"name": "l", "type": {"type": "array", "items": "double"}}),
            record({"name": "l", "type": {"type": "array", "items": "int"}}),
            True,
        ),
    ],
)
def test_one_schema_reads_what_another_wrote(new: str, old: str, reads: bool) -> None:
    """By Avro's rules of resolution: defaults, promotions, unions, aliases, symbols."""
    reason = why_unreadable(read_avro(new), read_avro(old), ComparingSteps())
    assert (reason == "") is reads, reason


def test_comparing_takes_a_bounded_number_of_steps() -> None:
    """Types that name each other are compared once; names that fit each other in all ways end in a refusal."""
    links = [
        {"name": f"x{n}", "type": {"type": "record", "name": f"C{n}", "fields": [{"name": "n", "type": ["null", "R"]}]}}
        for n in range(2_000)
    ]
    assert why_unreadable(read_avro(record(*links)), read_avro(record(*links)), ComparingSteps()) == ""
    named = [{"type": "fixed", "name": f"a{n}", "size": 1, "aliases": [f"b{(n + 1) % 2_000}"]} for n in range(2_000)]
    others = [{"type": "fixed", "name": f"b{n}", "size": 1} for n in range(2_000)]
    new, old = (read_avro(record({"name": "u", "type": each})) for each in (named, others))
    with pytest.raises(SchemaRefusedError, match="too many ways"):
        why_unreadable(new, old, ComparingSteps())
