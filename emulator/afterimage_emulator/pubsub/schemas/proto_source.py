"""Protocol buffer definitions: one file's text read into its descriptor, as protoc would describe it. Pure.

A schema of Pub/Sub is one message with what it holds, and imports nothing; what is left out of the language is refused.
What names and numbers may be is for protobuf's own pool to say, which takes the descriptor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf import descriptor_pb2

from afterimage_emulator.pubsub.schemas.proto_options import set_option
from afterimage_emulator.pubsub.schemas.proto_tokens import Tokens
from afterimage_emulator.pubsub.schemas.refusals import SchemaRefusedError

_Field = descriptor_pb2.FieldDescriptorProto
SCALARS: Final = {
    name: _Field.Type.Value(f"TYPE_{name.upper()}")
    for name in (
        "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
        "sfixed64", "bool", "string", "bytes",
    )
}  # fmt: skip
_LABELS: Final = {
    "optional": _Field.LABEL_OPTIONAL,
    "required": _Field.LABEL_REQUIRED,
    "repeated": _Field.LABEL_REPEATED,
}
_DEPTH_LIMIT: Final = 30
_LAST_FIELD: Final = (1 << 29) - 1
_PROTOBUFS_OWN: Final = range(19_000, 20_000)
_LAST_VALUE: Final = (1 << 31) - 1


def read_proto(definition: str) -> descriptor_pb2.FileDescriptorProto:
    parser = _Parser(Tokens(definition))
    parser.read_file()
    return parser.file


class _Parser:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self.file = descriptor_pb2.FileDescriptorProto(name="schema.proto")
        self._syntax = "proto2"

    def read_file(self) -> None:
        tokens = self._tokens
        if tokens.peek() in ("syntax", "edition") and tokens.peek(1) == "=":
            self._read_syntax(tokens.name())
        while not tokens.at_end():
            word = tokens.peek()
            if tokens.take_if(";"):
                continue
            if word == "package" and not self.file.package:
                tokens.take("package")
                self.file.package = tokens.type_name()
                tokens.take(";")
            elif tokens.take_if("option"):
                self._option(self.file.options)
            elif tokens.take_if("message"):
                self._message(self.file.message_type.add(), 0)
            elif word == "enum":
                raise tokens.refused("a schema has one message at its top: put the enum within it")
            elif word == "import":
                raise tokens.refused("a schema imports nothing: put the types that it needs within its message")
            else:
                raise tokens.refused("`message`, `package` or `option` is wanted")
        if len(self.file.message_type) != 1:
            raise SchemaRefusedError(
                f"a schema has one message at its top, not {len(self.file.message_type)}: put the others within it"
            )
        _resolve(self.file)

    def _read_syntax(self, word: str) -> None:
        tokens = self._tokens
        tokens.take("=")
        named = tokens.text()
        tokens.take(";")
        if word == "edition":
            try:
                self.file.edition = descriptor_pb2.Edition.Value(f"EDITION_{named}")
            except (AttributeError, ValueError):
                raise SchemaRefusedError(f"the installed protobuf knows no edition `{named[:20]}`") from None
            self._syntax = self.file.syntax = "editions"
        elif named in ("proto2", "proto3"):
            self._syntax = named
            if named == "proto3":
                self.file.syntax = named
        else:
            raise SchemaRefusedError(f"`{named[:20]}` is no syntax; use proto2, proto3 or an edition")

    def _message(self, made: descriptor_pb2.DescriptorProto, depth: int) -> None:
        if depth > _DEPTH_LIMIT:
            raise self._tokens.refused(f"messages are nested deeper than {_DEPTH_LIMIT}")
        tokens = self._tokens
        made.name = tokens.name()
        for _ in self._statements():
            statement, after = tokens.peek(), tokens.peek(1)
            declares = after not in (".", "=")  # otherwise it is the name of a type
            if declares and statement == "message":
                tokens.take("message")
                self._message(made.nested_type.add(), depth + 1)
            elif declares and statement == "enum":
                tokens.take("enum")
                self._enum(made.enum_type.add())
            elif declares and statement == "oneof":
                tokens.take("oneof")
                self._oneof(made)
            elif declares and statement == "option":
                tokens.take("option")
                self._option(made.options)
            elif declares and statement == "reserved":
                tokens.take("reserved")
                self._reserved(made, last=_LAST_FIELD, beyond=1)
            elif declares and statement == "extensions":
                tokens.take("extensions")
                self._ranges(made.extension_range, last=_LAST_FIELD, beyond=1)
            elif declares and statement == "extend":
                raise tokens.refused("a schema extends nothing: put the fields into its message")
            else:
                self._field(made, None)
        # As protoc has them: those that only say that a field may be missing come after those of the definition.
        for field in made.field:
            if field.proto3_optional:
                field.oneof_index = len(made.oneof_decl)
                made.oneof_decl.add(name=f"_{field.name}")

    def _statements(self) -> Iterator[None]:
        """Each time a statement begins, until the braces are closed."""
        self._tokens.take("{")
        while not self._tokens.take_if("}"):
            if not self._tokens.take_if(";"):
                yield

    def _field(self, message: descriptor_pb2.DescriptorProto, oneof: int | None) -> None:
        tokens = self._tokens
        label = _LABELS.get(tokens.peek())
        if label is not None:
            if oneof is not None:
                raise tokens.refused("a field of a `oneof` has no label")
            word = tokens.name()
            if self._syntax != "proto2" and (word == "required" or (word == "optional" and self._syntax == "editions")):
                raise tokens.refused(f"`{word}` is not of {self._syntax}, and stands")
        elif self._syntax == "proto2" and oneof is None and not (tokens.peek() == "map" and tokens.peek(1) == "<"):
            raise tokens.refused("`optional`, `required` or `repeated` is wanted: the definition is proto2")
        if tokens.peek() == "group":
            raise tokens.refused("groups are not taken: use a message")
        if tokens.peek() == "map" and tokens.peek(1) == "<":
            if label is not None or oneof is not None:
                raise tokens.refused("a map has no label and is in no `oneof`")
            self._map(message)
            return
        field = message.field.add(label=label or _Field.LABEL_OPTIONAL)
        self._typed(field)
        self._named(field)
        if oneof is not None:
            field.oneof_index = oneof
        elif label == _Field.LABEL_OPTIONAL and self._syntax == "proto3":
            field.proto3_optional = True

    def _typed(self, field: Any) -> None:
        word = self._tokens.type_name()
        if word in SCALARS:
            field.type = SCALARS[word]
        else:
            field.type_name = word

    def _named(self, field: Any) -> None:
        tokens = self._tokens
        field.name = tokens.name()
        tokens.take("=")
        number = tokens.integer()
        if not 1 <= number <= _LAST_FIELD:
            raise tokens.refused(f"a field's number is from 1 to {_LAST_FIELD}, not {number},")
        if number in _PROTOBUFS_OWN:
            raise tokens.refused(f"the numbers 19000 to 19999 are protobuf's own, and {number}")
        field.number = number
        field.json_name = _json_name(field.name)
        if tokens.take_if("["):
            self._options_in_brackets(field.options, field)
        tokens.take(";")

    def _map(self, message: descriptor_pb2.DescriptorProto) -> None:
        tokens = self._tokens
        tokens.take("map")
        tokens.take("<")
        entry = message.nested_type.add()
        entry.options.map_entry = True
        for number, name in ((1, "key"), (2, "value")):
            part = entry.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL, json_name=name)
            self._typed(part)
            tokens.take("," if number == 1 else ">")
        field = message.field.add(label=_Field.LABEL_REPEATED)
        self._named(field)
        camel = "".join(part[:1].upper() + part[1:] for part in field.name.split("_"))
        entry.name = f"{camel}Entry"
        field.type_name = entry.name

    def _oneof(self, message: descriptor_pb2.DescriptorProto) -> None:
        tokens = self._tokens
        index = len(message.oneof_decl)
        made = message.oneof_decl.add(name=tokens.name())
        for _ in self._statements():
            if tokens.peek() == "option" and tokens.peek(1) not in (".", "="):
                tokens.take("option")
                self._option(made.options)
            else:
                self._field(message, index)

    def _enum(self, made: descriptor_pb2.EnumDescriptorProto) -> None:
        tokens = self._tokens
        made.name = tokens.name()
        for _ in self._statements():
            if tokens.peek(1) != "=" and tokens.take_if("option"):
                self._option(made.options)
            elif tokens.peek(1) != "=" and tokens.take_if("reserved"):
                self._reserved(made, last=_LAST_VALUE, beyond=0)
            else:
                value = made.value.add(name=tokens.name())
                tokens.take("=")
                number = tokens.integer()
                if not -_LAST_VALUE - 1 <= number <= _LAST_VALUE:
                    raise tokens.refused(f"{number} is too large for an enum, and stands")
                value.number = number
                if tokens.take_if("["):
                    self._options_in_brackets(value.options, None)
                tokens.take(";")

    def _reserved(self, made: Any, *, last: int, beyond: int) -> None:
        tokens = self._tokens
        quoted = tokens.peek()[:1] in ("'", '"')
        if not quoted and not tokens.is_name():
            self._ranges(made.reserved_range, last=last, beyond=beyond)
            return
        while True:
            made.reserved_name.append(tokens.text() if quoted else tokens.name())
            if not tokens.take_if(","):
                break
        tokens.take(";")

    def _ranges(self, ranges: Any, *, last: int, beyond: int) -> None:
        """Ends are one beyond the last number in messages, and the last number itself in enums."""
        tokens = self._tokens
        while True:
            start = tokens.integer()
            end = start
            if tokens.take_if("to"):
                end = last if tokens.take_if("max") else tokens.integer()
            if not -_LAST_VALUE - 1 <= start <= end <= last:
                raise tokens.refused(f"{start} to {end} is no range of numbers, and stands")
            ranges.add(start=start, end=end + beyond)
            if not tokens.take_if(","):
                break
        tokens.take(";")

    def _option(self, options: Any) -> None:
        self._one_option(options, None)
        self._tokens.take(";")

    def _options_in_brackets(self, options: Any, field: Any) -> None:
        while True:
            self._one_option(options, field)
            if not self._tokens.take_if(","):
                break
        self._tokens.take("]")

    def _one_option(self, options: Any, field: Any) -> None:
        tokens = self._tokens
        if tokens.peek() == "(":
            raise tokens.refused("options of one's own are not taken: they would have to be imported")
        name = tokens.type_name()
        tokens.take("=")
        value = tokens.constant()
        try:
            set_option(options, field, name, value)
        except (KeyError, TypeError, ValueError):
            raise tokens.refused(f"`{name}` is no option here, or takes no `{value}`, and stands") from None


def _json_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _resolve(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Full names and kinds of all types that fields name."""
    package = f".{file.package}" if file.package else ""
    kinds: dict[str, int] = {}
    messages: list[tuple[str, descriptor_pb2.DescriptorProto]] = []
    waiting = [(f"{package}.{each.name}", each) for each in file.message_type]
    while waiting:
        name, message = waiting.pop()
        messages.append((name, message))
        kinds[name] = _Field.TYPE_MESSAGE
        kinds.update({f"{name}.{each.name}": _Field.TYPE_ENUM for each in message.enum_type})
        waiting += [(f"{name}.{each.name}", each) for each in message.nested_type]
    for name, message in messages:
        for field in message.field:
            if field.type_name:
                full = _found(field.type_name, name, kinds)
                if full is None:
                    raise SchemaRefusedError(
                        f"`{field.name}` of `{name[1:]}` is of type `{field.type_name}`, which is not there"
                    )
                field.type_name, field.type = full, kinds[full]


def _found(wanted: str, scope: str, kinds: dict[str, int]) -> str | None:
    """The innermost scope that has the first part of the name decides, as in C++."""
    if wanted.startswith("."):
        return wanted if wanted in kinds else None
    first = wanted.partition(".")[0]
    while True:
        if f"{scope}.{first}" in kinds:
            return f"{scope}.{wanted}" if f"{scope}.{wanted}" in kinds else None
        if f"{scope}.{wanted}" in kinds:  # the first parts are the package's
            return f"{scope}.{wanted}"
        if not scope:
            return None
        scope = scope.rpartition(".")[0]
