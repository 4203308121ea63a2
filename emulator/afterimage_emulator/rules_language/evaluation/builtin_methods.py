"""The methods of values: what can be written behind a dot and called."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.operators import MAXIMUM_TEXT_LENGTH, checked_text, checked_timestamp
from afterimage_emulator.rules_language.evaluation.rule_values import (
    NANOS_PER_SECOND,
    Duration,
    EvaluationError,
    LatLng,
    MapDiff,
    Path,
    RuleSet,
    Timestamp,
    is_same,
    kind_of,
)
from afterimage_emulator.rules_language.evaluation.signatures import ANY, MethodTable
from afterimage_emulator.rules_language.evaluation.texts import in_order, size_of, trimmed

MAXIMUM_LIST_LENGTH: Final = 1_000_000
MAXIMUM_OCCURRENCES: Final = 100_000
_EARTH_RADIUS_METRES: Final = 6_371_010.0
_NANOS_PER_DAY: Final = 86_400 * NANOS_PER_SECOND

PATTERN_METHODS: Final = ("matches", "replace", "split")
METHODS: Final = MethodTable()
_add = METHODS.add


# -- strings and bytes


_GROUP: Final = re.compile(r"\$([0-9])(?![0-9])|\$[0-9]*|\\.?", re.DOTALL)


@lru_cache(maxsize=512)
def _pattern(pattern: str) -> Any:
    import re2  # rules without a pattern do without it

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except (re2.error, UnicodeError):
        raise EvaluationError(f"Regular expression error. Invalid pattern: [{pattern[:200]}].") from None


def is_pattern(pattern: str) -> bool:
    """Whether RE2 takes a text as a regular expression."""
    try:
        _pattern(pattern)
    except EvaluationError:
        return False
    return True


def _encodable(*texts: str) -> None:
    """Lone surrogates have no UTF-8, and RE2 reads UTF-8."""
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError:
            raise EvaluationError("String error. The string is not valid Unicode.") from None


def _found(pattern: str, text: str) -> Iterator[Any]:
    """The places where a pattern occurs, a bounded number of them."""
    _encodable(text, pattern)
    for count, found in enumerate(_pattern(pattern).finditer(text)):
        if count >= MAXIMUM_OCCURRENCES:
            raise EvaluationError(f"String error. A pattern may occur at most {MAXIMUM_OCCURRENCES} times in a string.")
        yield found


def _matches(text: str, pattern: str) -> bool:
    _encodable(text, pattern)
    return _pattern(pattern).fullmatch(text) is not None


def _replacement(replacement: str, groups: int) -> list[str | int]:
    """What stands in for an occurrence: texts, and the numbers of the groups that `$0`, `$1` … name.

    A backslash, a bare `$`, a group that the pattern lacks and a number of two digits are errors: what they mean to the
    official engine is not known.
    """
    parts: list[str | int] = []
    at = 0
    for found in _GROUP.finditer(replacement):
        if found.group(1) is None or int(found.group(1)) > groups:
            raise EvaluationError(f"String error. The replacement holds [{found.group()}], which names no group.")
        parts += (replacement[at : found.start()], int(found.group(1)))
        at = found.end()
    parts.append(replacement[at:])
    return parts


def _replace(text: str, pattern: str, replacement: str) -> str:
    template = _replacement(replacement, _pattern(pattern).groups)
    parts: list[str] = []
    end = length = 0
    for found in _found(pattern, text):
        written = "".join(part if isinstance(part, str) else found.group(part) or "" for part in template)
        length += found.start() - end + len(written)
        if length > MAXIMUM_TEXT_LENGTH:
            checked_text(" " * (MAXIMUM_TEXT_LENGTH + 1))
        parts += (text[end : found.start()], written)
        end = found.end()
    parts.append(text[end:])
    return checked_text("".join(parts))


def _split(text: str, pattern: str) -> list[str]:
    parts: list[str] = []
    end = 0
    for found in _found(pattern, text):
        if found.end() == found.start():
            raise EvaluationError("String error. How a text is split where a pattern finds nothing is not known.")
        parts.append(text[end : found.start()])
        end = found.end()
    if parts and end == len(text):
        raise EvaluationError("String error. Whether an empty part at the end of a split text counts is not known.")
    parts.append(text[end:])
    return parts


def _to_utf8(text: str) -> bytes:
    _encodable(text)
    return text.encode()


_add("string", "lower", compute=str.lower)
_add("string", "upper", compute=str.upper)
_add("string", "trim", compute=trimmed)
_add("string", "size", compute=size_of)
_add("string", "toUtf8", compute=_to_utf8)
_add("string", "matches", ("string",), compute=_matches)
_add("string", "replace", ("string", "string"), compute=_replace)
_add("string", "split", ("string",), compute=_split)

_add("bytes", "size", compute=len)
_add("bytes", "toBase64", compute=lambda data: base64.urlsafe_b64encode(data).decode())
_add("bytes", "toHexString", compute=lambda data: data.hex().upper())


# -- lists and sets


def _known(values: Iterable[object]) -> RuleSet:
    return values if isinstance(values, RuleSet) else RuleSet(values)


def _has_all(values: Iterable[object], wanted: Iterable[object]) -> bool:
    return _known(wanted).is_within(_known(values))


def _has_any(values: Iterable[object], wanted: Iterable[object]) -> bool:
    return _known(values).meets(_known(wanted))


def _has_only(values: Iterable[object], wanted: Iterable[object]) -> bool:
    return _known(values).is_within(_known(wanted))


def _concat(first: list[object], second: list[object]) -> list[object]:
    if len(first) + len(second) > MAXIMUM_LIST_LENGTH:
        raise EvaluationError(f"List error. A list may have at most {MAXIMUM_LIST_LENGTH} items.")
    return [*first, *second]


def _join(items: list[object], separator: str) -> str:
    texts: list[str] = []
    for item in items:
        if kind_of(item) not in ("string", "int"):
            raise EvaluationError(f"Type error. Received: [list of {kind_of(item)}] Expected: [list of string].")
        texts.append(str(item))
    length = sum(map(len, texts)) + len(separator) * max(0, len(texts) - 1)
    return separator.join(texts) if length <= MAXIMUM_TEXT_LENGTH else checked_text(" " * length)


def _remove_all(items: list[object], removed: list[object]) -> list[object]:
    gone = RuleSet(removed)
    return [item for item in items if item not in gone]


_add("list", "concat", ("list",), compute=_concat)
_add("list", "join", ("string",), compute=_join)
_add("list", "removeAll", ("list",), compute=_remove_all)
_add("list", "size", compute=len)
_add("list", "toSet", compute=RuleSet)
for _name, _test in (("hasAll", _has_all), ("hasAny", _has_any), ("hasOnly", _has_only)):
    _add("list", _name, ("list",), compute=_test)
    _add("set", _name, ("list",), ("set",), compute=_test)

_add("set", "size", compute=len)
_add("set", "difference", ("set",), compute=lambda a, b: RuleSet(item for item in a if item not in b))
_add("set", "intersection", ("set",), compute=lambda a, b: RuleSet(item for item in a if item in b))
_add("set", "union", ("set",), compute=lambda a, b: RuleSet([*a, *b]))


# -- maps


def _map_get(values: Mapping[str, Any], key: Any, default: Any) -> Any:
    """The value under a key or, with a list, under a way of keys; the default where any of it is missing."""
    found: Any = values
    for name in key if kind_of(key) == "list" else (key,):
        if kind_of(name) != "string":
            raise EvaluationError(
                "Unsupported operation error. Received: map.get(list, value). Expected: map.get(list of string, value)."
            )
        if kind_of(found) != "map" or name not in found:
            return default
        found = found[name]
    return found


_add("map", "get", ("string", ANY), ("list", ANY), compute=_map_get)
_add("map", "keys", compute=in_order)
_add("map", "values", compute=lambda values: [values[key] for key in in_order(values)])
_add("map", "size", compute=len)
_add("map", "diff", ("map",), compute=MapDiff)


def _changed(diff: MapDiff, *, unchanged: bool = False) -> list[str]:
    old = diff.old
    return [key for key, value in diff.new.items() if key in old and is_same(value, old[key]) == unchanged]


def _added(diff: MapDiff) -> list[str]:
    return [key for key in diff.new if key not in diff.old]


def _removed(diff: MapDiff) -> list[str]:
    return [key for key in diff.old if key not in diff.new]


_add("map_diff", "addedKeys", compute=lambda diff: RuleSet.of_keys(_added(diff)))
_add("map_diff", "removedKeys", compute=lambda diff: RuleSet.of_keys(_removed(diff)))
_add("map_diff", "changedKeys", compute=lambda diff: RuleSet.of_keys(_changed(diff)))
_add("map_diff", "unchangedKeys", compute=lambda diff: RuleSet.of_keys(_changed(diff, unchanged=True)))
_add(
    "map_diff",
    "affectedKeys",
    compute=lambda diff: RuleSet.of_keys([*_added(diff), *_removed(diff), *_changed(diff)]),
)


# -- times and places


def _moment(name: str, read: Callable[[datetime], int]) -> None:
    def compute(value: Timestamp) -> int:
        checked_timestamp(value.nanos)
        return read(value.to_datetime())

    _add("timestamp", name, compute=compute)


_moment("year", lambda moment: moment.year)
_moment("month", lambda moment: moment.month)
_moment("day", lambda moment: moment.day)
_moment("dayOfWeek", lambda moment: moment.isoweekday())
_moment("dayOfYear", lambda moment: moment.timetuple().tm_yday)
_moment("hours", lambda moment: moment.hour)
_moment("minutes", lambda moment: moment.minute)
_moment("seconds", lambda moment: moment.second)
_add("timestamp", "nanos", compute=lambda value: value.nanos % NANOS_PER_SECOND)
_add("timestamp", "toMillis", compute=lambda value: value.nanos // 1_000_000)
_add("timestamp", "date", compute=lambda value: checked_timestamp(value.nanos - value.nanos % _NANOS_PER_DAY))
_add("timestamp", "time", compute=lambda value: Duration(value.nanos % _NANOS_PER_DAY))

_add("duration", "seconds", compute=lambda value: int(_sign(value) * (abs(value.nanos) // NANOS_PER_SECOND)))
_add("duration", "nanos", compute=lambda value: int(_sign(value) * (abs(value.nanos) % NANOS_PER_SECOND)))


def _sign(value: Duration) -> int:
    """Both parts of a duration carry its sign, so that they add up to it."""
    return -1 if value.nanos < 0 else 1


def _distance(start: LatLng, end: LatLng) -> float:
    """Metres along the globe's surface, by the haversine formula."""
    latitudes = math.radians(start.latitude), math.radians(end.latitude)
    across = math.radians(end.longitude - start.longitude)
    chord = (
        math.sin((latitudes[1] - latitudes[0]) / 2) ** 2
        + math.cos(latitudes[0]) * math.cos(latitudes[1]) * math.sin(across / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_METRES * math.asin(min(1.0, math.sqrt(chord)))


_add("latlng", "latitude", compute=lambda place: place.latitude)
_add("latlng", "longitude", compute=lambda place: place.longitude)
_add("latlng", "distance", ("latlng",), compute=_distance)


# -- paths


def _bind(path: Path, values: Mapping[str, Any]) -> Path:
    """Fills the `{name}` segments of a path made from a text; `{name=**}` takes a path.

    A path without such a segment was never a template, and a name without a segment has no place in it: errors.
    """
    names = {segment: _template_name(segment) for segment in path.segments if _template_name(segment)}
    if not names or not set(values) <= set(names.values()):
        raise EvaluationError("Path error. Each name that is bound must stand in the path, as in path('users/{uid}').")
    segments: list[Any] = []
    for segment in path.segments:
        if segment not in names:
            segments.append(segment)
            continue
        if names[segment] not in values:
            raise EvaluationError(f"Property {names[segment]} is undefined on object.")
        segments.extend(_bound(values[names[segment]], takes_path=segment.endswith("=**}")))
    return Path(tuple(segments))


def _template_name(segment: Any) -> str:
    """The name in a `{name}` or `{name=**}` segment; empty for any other."""
    is_template = isinstance(segment, str) and segment.startswith("{") and segment.endswith("}")
    return segment[1:-1].removesuffix("=**") if is_template else ""


def _bound(value: Any, *, takes_path: bool) -> tuple[Any, ...]:
    kind = kind_of(value)
    if kind == "path" and takes_path:
        return tuple(value.segments)
    if kind != "string" or takes_path:
        raise EvaluationError(f"Type error. Received: [{kind}] Expected: [{'path' if takes_path else 'string'}].")
    if not value or "/" in value:
        raise EvaluationError(f"Path error. [{value[:100]}] is not one segment.")
    return (value,)


_add("path", "bind", ("map",), compute=_bind)
