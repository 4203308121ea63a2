"""The functions of rules: casts, and the namespaces duration, timestamp, latlng, hashing and math."""

from __future__ import annotations

import binascii
import hashlib
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from afterimage_emulator.rules_language.evaluation.operators import LARGEST_INT, SMALLEST_INT, checked_timestamp
from afterimage_emulator.rules_language.evaluation.rule_values import (
    NANOS_PER_SECOND,
    Duration,
    EvaluationError,
    LatLng,
    Path,
    Timestamp,
    kind_of,
)
from afterimage_emulator.rules_language.evaluation.signatures import ANY, Builtin

NAMESPACES: Final = ("duration", "hashing", "latlng", "math", "timestamp")

FUNCTIONS: Final[dict[str, Builtin]] = {}


def _add(name: str, *overloads: tuple[str, ...], compute: Callable[..., object]) -> None:
    FUNCTIONS[name] = Builtin(name, overloads or ((),), compute)


# -- casts


def _conversion_error(value: object, target: str) -> EvaluationError:
    shown = str(value)[:200]
    return EvaluationError(
        f"Type conversion error. Argument: [{shown}], From type: [{kind_of(value)}], To type: [{target}]."
    )


def _saturated(value: float) -> int:
    """A float cut to an int of 64 bits: NaN is 0, and what lies beyond stays at the bound."""
    if math.isnan(value):
        return 0
    if math.isinf(value):
        return LARGEST_INT if value > 0 else SMALLEST_INT
    return max(SMALLEST_INT, min(LARGEST_INT, int(value)))


def _to_int(value: Any) -> int:
    if not isinstance(value, str):
        return _saturated(value) if isinstance(value, float) else value
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", value) or not SMALLEST_INT <= int(value) <= LARGEST_INT:
        raise _conversion_error(value, "int")
    return int(value)


_FLOAT_TEXT: Final = re.compile(r"[+-]?(?:NaN|Infinity|[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,5})?)")


def _to_float(value: Any) -> float:
    if isinstance(value, str) and not _FLOAT_TEXT.fullmatch(value):
        raise _conversion_error(value, "float")
    return float(value)


def _to_string(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Path) and any(kind_of(segment) == "constraint" for segment in value.segments):
        raise EvaluationError("Query error. The query leaves a segment of the path open.")
    return str(value)


_add("int", ("string",), ("int",), ("float",), compute=_to_int)
_add("float", ("string",), ("int",), ("float",), compute=_to_float)
_add("string", ("bool",), ("int",), ("float",), ("null",), ("string",), ("path",), compute=_to_string)
_add("path", ("string",), compute=Path.parse)


# -- durations and timestamps

_UNIT_NANOS: Final = {
    "w": 7 * 86_400 * NANOS_PER_SECOND,
    "d": 86_400 * NANOS_PER_SECOND,
    "h": 3_600 * NANOS_PER_SECOND,
    "m": 60 * NANOS_PER_SECOND,
    "s": NANOS_PER_SECOND,
    "ms": 1_000_000,
    "ns": 1,
}


def _duration_value(magnitude: int, unit: str) -> Duration:
    if unit not in _UNIT_NANOS:
        raise EvaluationError(f"Duration error. Invalid unit: [{unit[:20]}]. Expected: [w, d, h, m, s, ms, ns].")
    return Duration(magnitude * _UNIT_NANOS[unit])


def _duration_time(hours: int, minutes: int, seconds: int, nanos: int) -> Duration:
    return Duration(((hours * 60 + minutes) * 60 + seconds) * NANOS_PER_SECOND + nanos)


def _timestamp_date(year: int, month: int, day: int) -> Timestamp:
    try:
        return Timestamp.from_datetime(datetime(year, month, day, tzinfo=UTC))
    except (ValueError, OverflowError):
        raise EvaluationError(f"Timestamp error. Invalid date: [{year}-{month}-{day}].") from None


_add("duration.value", ("int", "string"), compute=_duration_value)
_add("duration.time", ("int", "int", "int", "int"), compute=_duration_time)
_add("duration.abs", ("duration",), compute=lambda value: Duration(abs(value.nanos)))
_add("timestamp.date", ("int", "int", "int"), compute=_timestamp_date)
_add("timestamp.value", ("int",), compute=lambda milliseconds: checked_timestamp(milliseconds * 1_000_000))


# -- places


def _latlng(latitude: float, longitude: float) -> LatLng:
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise EvaluationError(f"Latlng error. Out of range: [{latitude}, {longitude}].")
    return LatLng(float(latitude), float(longitude))


_NUMERIC: Final = ("float", "int")
_add("latlng.value", *((a, b) for a in _NUMERIC for b in _NUMERIC), compute=_latlng)


# -- hashes


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        remainder = byte
        for _ in range(8):
            remainder = (remainder >> 1) ^ (0x82F63B78 if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


_CRC32C: Final = _crc32c_table()


def _crc32c(data: bytes) -> int:
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder = (remainder >> 8) ^ _CRC32C[(remainder ^ byte) & 0xFF]
    return remainder ^ 0xFFFFFFFF


def _hash(digest: Callable[[bytes], bytes]) -> Callable[[Any], bytes]:
    def compute(value: Any) -> bytes:
        try:
            return digest(value.encode() if isinstance(value, str) else bytes(value))
        except UnicodeEncodeError:
            raise EvaluationError("String error. The string is not valid Unicode.") from None

    return compute


_DIGESTS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "crc32": lambda data: binascii.crc32(data).to_bytes(4, "little"),
    "crc32c": lambda data: _crc32c(data).to_bytes(4, "little"),
}
for _name, _digest in _DIGESTS.items():
    _add(f"hashing.{_name}", ("bytes",), ("string",), compute=_hash(_digest))


# -- numbers


def _float_of(compute: Callable[..., float]) -> Callable[..., float]:
    """Java's arithmetic: what has no value is NaN, what is too large infinite."""

    def computed(*values: float) -> float:
        try:
            result = compute(*map(float, values))
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf
        return float(result)

    return computed


def _whole(rounding: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: float(rounding(value)) if math.isfinite(value) else value


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        is_negative = base < 0 and exponent % 2 == 1
        return -math.inf if is_negative else math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan


def _round(value: Any) -> int:
    if isinstance(value, int):
        return value
    return _saturated(math.floor(value + 0.5) if abs(value) < 2**52 else value)


def _absolute(value: Any) -> Any:
    return value if value == SMALLEST_INT and isinstance(value, int) else abs(value)


_ONE_NUMBER: Final = (("int",), ("float",))
_add("math.abs", *_ONE_NUMBER, compute=_absolute)
_add("math.ceil", *_ONE_NUMBER, compute=_float_of(_whole(math.ceil)))
_add("math.floor", *_ONE_NUMBER, compute=_float_of(_whole(math.floor)))
_add("math.round", *_ONE_NUMBER, compute=_round)
_add("math.sqrt", *_ONE_NUMBER, compute=_float_of(math.sqrt))
_add("math.pow", *((a, b) for a in _NUMERIC for b in _NUMERIC), compute=_float_of(_power))
_add("math.isNaN", *_ONE_NUMBER, compute=lambda value: value != value)

_add("debug", (ANY,), compute=lambda value: value)
