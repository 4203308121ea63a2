"""The values rules compute with: plain Python values, the classes that Python has no match for, and their kinds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import total_ordering
from types import NoneType
from typing import Any, ClassVar, Final

NANOS_PER_SECOND: Final = 1_000_000_000
MAXIMUM_VALUE_DEPTH: Final = 100
MAXIMUM_COMPARISONS: Final = 200_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class EvaluationError(Exception):
    """An expression has no value. Rules absorb it or pass it on; it never grants. `message` is the official text."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@total_ordering
@dataclass(frozen=True, slots=True)
class Timestamp:
    """An instant in nanoseconds since the epoch."""

    rule_kind: ClassVar[str] = "timestamp"
    nanos: int

    @staticmethod
    def from_seconds(seconds: float) -> Timestamp:
        return Timestamp(round(seconds * NANOS_PER_SECOND))

    @staticmethod
    def from_datetime(moment: datetime) -> Timestamp:
        elapsed = moment - _EPOCH
        return Timestamp(((elapsed.days * 86400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds) * 1000)

    def to_datetime(self) -> datetime:
        """The instant in UTC, cut to microseconds; raises OverflowError outside of Python's years 1 to 9999."""
        return _EPOCH + timedelta(microseconds=self.nanos // 1000)

    def __lt__(self, other: Timestamp) -> bool:
        return self.nanos < other.nanos

    def __str__(self) -> str:
        try:
            moment = self.to_datetime()
        except OverflowError:
            return f"timestamp({self.nanos} ns)"
        fraction = f"{self.nanos % NANOS_PER_SECOND:09d}".rstrip("0")
        return f"{moment:%Y-%m-%dT%H:%M:%S}{'.' + fraction if fraction else ''}Z"


@total_ordering
@dataclass(frozen=True, slots=True)
class Duration:
    """A span of time in nanoseconds."""

    rule_kind: ClassVar[str] = "duration"
    nanos: int

    def __lt__(self, other: Duration) -> bool:
        return self.nanos < other.nanos

    def __str__(self) -> str:
        sign, nanos = ("-", -self.nanos) if self.nanos < 0 else ("", self.nanos)
        fraction = f"{nanos % NANOS_PER_SECOND:09d}".rstrip("0")
        return f"{sign}{nanos // NANOS_PER_SECOND}{'.' + fraction if fraction else ''}s"


@dataclass(frozen=True, slots=True)
class LatLng:
    """A place on the globe, in degrees."""

    rule_kind: ClassVar[str] = "latlng"
    latitude: float
    longitude: float

    def __str__(self) -> str:
        return f"latlng({self.latitude}, {self.longitude})"


@dataclass(frozen=True, slots=True)
class Path:
    """A path by its segments; one inside a list query may hold an `UnknownSegment`."""

    rule_kind: ClassVar[str] = "path"
    segments: tuple[Any, ...]

    @staticmethod
    def parse(text: str) -> Path:
        """The path of a text with or without a leading slash."""
        return Path(tuple(text.removeprefix("/").split("/")) if text.strip("/") else ())

    def __str__(self) -> str:
        return "/" + "/".join(str(segment) for segment in self.segments)


class UnknownValue:
    """Something a query leaves open, such as the id of the documents it will find; whoever needs it gets an error."""

    rule_kind: ClassVar[str] = "constraint"
    __slots__ = ("description",)

    def __init__(self, description: str) -> None:
        self.description = description

    def __str__(self) -> str:
        return f"<{self.description}>"

    __repr__ = __str__


class RuleSet:
    """A set of rule values, in the order of their first appearance."""

    rule_kind: ClassVar[str] = "set"
    __slots__ = ("_items", "_numbers")

    def __init__(self, values: Iterable[object] = ()) -> None:
        self._items: dict[object, object] = {}
        self._numbers: dict[Any, Any] = {}  # of what holds numbers: the identity that takes no notice of their kinds
        for value in values:
            key = identity(value)
            if key not in self._items:
                self._items[key] = value
                if key.__class__ is not str:
                    self._note_numbers(key)

    @classmethod
    def of_keys(cls, keys: Iterable[str]) -> RuleSet:
        """A set of texts, which need no closer look."""
        made = cls()
        made._items = dict.fromkeys(keys)
        made._items.update(zip(made._items, made._items, strict=True))
        return made

    def _note_numbers(self, key: object) -> None:
        blurred = _blurred(key)
        if blurred != key and self._numbers.setdefault(blurred, key) != key:
            raise EvaluationError(UNSURE)

    def __contains__(self, value: object) -> bool:
        key = identity(value)
        if key in self._items:
            return True
        if self._numbers and _blurred(key) in self._numbers:
            raise EvaluationError(UNSURE)
        return False

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def identities(self) -> AbstractSet[object]:
        return self._items.keys()

    def is_within(self, other: RuleSet) -> bool:
        """Whether the other set has every value of this one."""
        if self._items.keys() <= other._items.keys():
            return True
        if self._numbers and other._numbers and self._blurred_keys() <= other._blurred_keys():
            raise EvaluationError(UNSURE)
        return False

    def meets(self, other: RuleSet) -> bool:
        """Whether the two sets have a value in common."""
        if not self._items.keys().isdisjoint(other._items.keys()):
            return True
        if not self._numbers.keys().isdisjoint(other._numbers.keys()):
            raise EvaluationError(UNSURE)
        return False

    def _blurred_keys(self) -> set[object]:
        return {_blurred(key) for key in self._items}

    def __repr__(self) -> str:
        return f"RuleSet({list(self)!r})"


@dataclass(frozen=True, slots=True)
class MapDiff:
    """What `new.diff(old)` answers; its methods compare the two maps."""

    rule_kind: ClassVar[str] = "map_diff"
    new: Mapping[str, Any]
    old: Mapping[str, Any]


_KINDS: dict[type, str] = {
    NoneType: "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    bytes: "bytes",
    list: "list",
    tuple: "list",
    dict: "map",
}
_ABSTRACT_KINDS: Final = (
    (bool, "bool"), (int, "int"), (float, "float"), (str, "string"), (bytes, "bytes"), (Mapping, "map"),
    (Sequence, "list"),
)  # fmt: skip


def kind_of(value: object) -> str:
    """The name of a value's type, as rules and error texts call it."""
    kind = _KINDS.get(value.__class__)
    return kind if kind is not None else _learn_kind(value)


def _learn_kind(value: object) -> str:
    cls = value.__class__
    kind: str | None = getattr(cls, "rule_kind", None)
    if kind is None:
        kind = next((name for base, name in _ABSTRACT_KINDS if isinstance(value, base)), None)
    if kind is None:
        raise EvaluationError(f"Type error. Rules know no values of the Python class [{cls.__name__}].")
    _KINDS[cls] = kind
    return kind


_SCALARS: Final = frozenset({str, int, bool, NoneType, bytes})


def equals(left: Any, right: Any) -> bool:
    """The `==` of rules: an int and a float compare by value, otherwise only values of one kind are ever equal.

    Inside maps numbers of unlike kinds differ, as recorded. Inside lists and sets nothing is known of them: an error.
    """
    if left.__class__ is right.__class__:
        if left.__class__ in _SCALARS:
            return bool(left == right)
        if left.__class__ is Timestamp:
            return bool(left.nanos == right.nanos)
    kind = kind_of(left)
    if kind in _NUMBERS and kind_of(right) in _NUMBERS:
        return bool(left == right)
    found = alike(left, right)
    if found is None:
        if kind != "map":
            raise EvaluationError(UNSURE)
        return False
    return found


def is_same(left: Any, right: Any) -> bool:
    """Whether two values are the same, to the kind of every number in them."""
    cls = left.__class__
    if cls is right.__class__:
        if cls in _SCALARS:
            return bool(left == right)
        if cls is Timestamp:
            return bool(left.nanos == right.nanos)
    return alike(left, right) is True


def alike(left: object, right: object) -> bool | None:
    """Whether two values are the same as parts of others; None where only the kind of a number sets them apart."""
    waiting = [(left, right)]
    steps = 0
    is_sure = True
    while waiting:
        steps += 1
        if steps > MAXIMUM_COMPARISONS:
            raise EvaluationError("Value error. The values are too large to be compared.")
        one, other = waiting.pop()
        if one.__class__ is other.__class__ and one.__class__ in _SCALARS:
            if one != other:
                return False
            continue
        found = _match_shallowly(one, other, waiting)
        if found is False:
            return False
        is_sure = is_sure and found is True
    return True if is_sure else None


def _match_shallowly(left: Any, right: Any, waiting: list[tuple[Any, Any]]) -> bool | None:
    """Compares two values but for their parts, which are put where they wait for their turn."""
    kind, other = kind_of(left), kind_of(right)
    if kind == "constraint" or other == "constraint":
        raise EvaluationError("Query error. The query leaves a value open that the rule compares.")
    if kind != other:
        return None if kind in _NUMBERS and other in _NUMBERS and left == right else False
    if kind == "list":
        if len(left) != len(right):
            return False
        waiting.extend(zip(left, right, strict=True))
        return True
    if kind == "map":
        if len(left) != len(right) or any(key not in right for key in left):
            return False
        waiting.extend((value, right[key]) for key, value in left.items())
        return True
    if kind == "map_diff":
        waiting += [(left.new, right.new), (left.old, right.old)]
        return True
    if kind == "set":
        return len(left) == len(right) and bool(left.is_within(right))
    return bool(left == right)


_NUMBERS: Final = ("int", "float")
UNSURE: Final = (
    "Value error. An int and a float of the same value stand in a list or set: whether they are one is not known."
)


def identity(value: object) -> object:
    """A hashable key that is the same for exactly the values that are `alike`."""
    return value if value.__class__ is str else _identity(value, 0, [0])


def _identity(value: Any, depth: int, steps: list[int]) -> Any:
    if value.__class__ is str:
        return value
    kind = kind_of(value)
    if kind == "set":
        return ("set", frozenset(value.identities()))
    if kind == "map_diff":
        return ("map_diff", _identity(value.new, depth + 1, steps), _identity(value.old, depth + 1, steps))
    if kind not in ("list", "map"):
        return (kind, value)
    steps[0] += len(value)
    if depth >= MAXIMUM_VALUE_DEPTH or steps[0] > MAXIMUM_COMPARISONS:
        raise EvaluationError("Value error. A value is too large to be compared.")
    if kind == "list":
        return ("list", *(_identity(item, depth + 1, steps) for item in value))
    return ("map", frozenset((key, _identity(item, depth + 1, steps)) for key, item in value.items()))


def _blurred(key: object) -> object:
    """An identity that takes no notice of whether a number is an int or a float."""
    if key.__class__ is not tuple:
        return key
    kind = key[0]
    if kind in _NUMBERS:
        return ("number", key[1])
    if kind in ("list", "map_diff"):
        return (kind, *map(_blurred, key[1:]))
    if kind == "set":
        return ("set", frozenset(map(_blurred, key[1])))
    if kind == "map":
        return ("map", frozenset((name, _blurred(item)) for name, item in key[1]))
    return key


def describe(value: object, limit: int = 120) -> str:
    """A value as rules would write it, for people, cut to `limit` characters."""
    text = _describe(value, limit, 0)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _describe(value: Any, limit: int, depth: int) -> str:
    try:
        kind = kind_of(value)
    except EvaluationError:
        return f"<{type(value).__name__}>"
    if kind == "null":
        return "null"
    if kind == "bool":
        return "true" if value else "false"
    if kind == "string":
        return repr(str(value[: limit + 1]))
    if kind == "map_diff":
        return f"diff({_describe(value.new, limit, depth + 1)}, {_describe(value.old, limit, depth + 1)})"
    if kind not in ("list", "map", "set"):
        return str(value)
    if depth > 6:
        return "…"
    parts: list[str] = []
    length = 0
    for item in value.items() if kind == "map" else value:
        if kind == "map":
            part = f"{item[0]!r}: {_describe(item[1], limit, depth + 1)}"
        else:
            part = _describe(item, limit, depth + 1)
        parts.append(part)
        length += len(part) + 2
        if length > limit:
            parts.append("…")
            break
    inside = ", ".join(parts)
    return f"[{inside}]" if kind == "list" else f"{{{inside}}}"
