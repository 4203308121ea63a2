"""Lifecycle rules: read from a bucket's settings, refused where they mean nothing, and asked of one object (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from afterimage_emulator.clock import NANOS_PER_SECOND
from afterimage_emulator.linear_patterns import LinearPattern, PatternError
from afterimage_emulator.storage.errors import invalid
from afterimage_emulator.storage.messages.timestamps import parse_time
from afterimage_emulator.storage.objects.records import STORAGE_CLASSES, ObjectRecord

DAY_NS: Final = 24 * 3600 * NANOS_PER_SECOND
_RULES: Final = 2_000
_AFFIXES: Final = 1_000
_NUMBER_LIMIT: Final = 2**31 - 1
_SIZE_LIMIT: Final = 5 * 1024**4
_COUNTS: Final = ("age", "daysSinceCustomTime", "daysSinceNoncurrentTime", "numNewerVersions")
_SIZES: Final = ("sizeAboveBytes", "sizeBelowBytes")
_DATES: Final = ("createdBefore", "customTimeBefore", "noncurrentTimeBefore")
_LISTS: Final = ("matchesPrefix", "matchesSuffix", "matchesStorageClass")
_PATTERN_CHARACTERS: Final = 1_024
_OF_UPLOADS: Final = frozenset({"age", "matchesPrefix", "matchesSuffix"})
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]{1,16}", re.ASCII)
DELETE: Final = "Delete"
SET_CLASS: Final = "SetStorageClass"
ABORT: Final = "AbortIncompleteMultipartUpload"

Condition = bool | int | tuple[str, ...] | LinearPattern


@dataclass(frozen=True, kw_only=True, slots=True)
class LifecycleRule:
    """One action and its conditions, all of which must hold. Dates are nanoseconds since the epoch."""

    action: str
    storage_class: str | None
    conditions: Mapping[str, Condition]

    def due_ns(self, record: ObjectRecord, newer_versions: int) -> int | None:
        """From when on the rule holds of an object as it stands; None where time alone will not bring it about."""
        due = 0
        for name, value in self.conditions.items():
            one = _DUE[name](value, record, newer_versions)
            if one is None:
                return None
            due = max(due, one)
        return due

    def due_ns_of_upload(self, name: str, started_ns: int) -> int | None:
        """For an upload in parts that nobody has completed."""
        conditions = self.conditions
        if not name.startswith(_texts(conditions.get("matchesPrefix", ("",)))):
            return None
        if not name.endswith(_texts(conditions.get("matchesSuffix", ("",)))):
            return None
        return started_ns + _number(conditions.get("age", 0)) * DAY_NS


def read_rules(said: object) -> tuple[LifecycleRule, ...]:
    """From `lifecycle` of a bucket; whatever production would refuse is refused here."""
    if not isinstance(said, Mapping):
        raise invalid(f"Invalid value for `lifecycle`: it must be an object, not `{str(said)[:60]}`")
    entries = [] if said.get("rule") is None else said["rule"]
    if not isinstance(entries, list) or len(entries) > _RULES:
        raise invalid(f"Invalid value for `lifecycle.rule`: it must be a list of at most {_RULES} rules")
    rules = tuple(_rule(entry) for entry in entries)
    affixes = sum(
        len(_texts(rule.conditions.get(name, ()))) for rule in rules for name in ("matchesPrefix", "matchesSuffix")
    )
    if affixes > _AFFIXES:
        raise invalid(f"the lifecycle names {affixes} prefixes and suffixes; it may name {_AFFIXES}")
    return rules


def _rule(entry: object) -> LifecycleRule:
    if not isinstance(entry, Mapping):
        raise invalid("Invalid value for `lifecycle.rule[]`: it must be an object")
    action, conditions = entry.get("action"), entry.get("condition")
    if not isinstance(action, Mapping) or action.get("type") not in (DELETE, SET_CLASS, ABORT):
        raise invalid(f"Invalid value for `lifecycle.rule[].action.type`: use {DELETE}, {SET_CLASS} or {ABORT}")
    if not isinstance(conditions, Mapping):
        raise invalid("Invalid value for `lifecycle.rule[].condition`: it must be an object")
    kind, storage_class = str(action["type"]), action.get("storageClass")
    if kind == SET_CLASS and (not isinstance(storage_class, str) or storage_class not in STORAGE_CLASSES):
        raise invalid(f"Invalid value for `lifecycle.rule[].action.storageClass`: `{storage_class}`")
    if kind != SET_CLASS and storage_class is not None:
        raise invalid(f"`{kind}` takes no `storageClass`")
    found: dict[str, Condition] = {}
    for name, value in conditions.items():
        read = None if value is None else _condition(name, value)
        if read is not None:
            found[name] = read
    if not found:
        raise invalid("a lifecycle rule needs at least one condition")
    if kind == ABORT and found.keys() - _OF_UPLOADS:
        raise invalid(f"`{ABORT}` takes only {', '.join(sorted(_OF_UPLOADS))}")
    return LifecycleRule(action=kind, storage_class=storage_class, conditions=found)


def _condition(name: str, value: object) -> Condition | None:
    where = f"lifecycle.rule[].condition.{name}"
    if name == "isLive":
        if isinstance(value, bool):
            return value
        raise invalid(f"Invalid value for `{where}`: `{str(value)[:60]}` is neither true nor false")
    if name in _COUNTS or name in _SIZES:
        limit = _NUMBER_LIMIT if name in _COUNTS else _SIZE_LIMIT
        if isinstance(value, bool) or not isinstance(value, int | str) or not _DIGITS.fullmatch(str(value)):
            raise invalid(f"Invalid value for `{where}`: `{str(value)[:60]}` is no number of 0 and above")
        if int(value) > limit:
            raise invalid(f"Invalid value for `{where}`: `{value}`; use at most {limit}")
        return int(value)
    if name in _DATES:
        return _midnight(value, where)
    if name in _LISTS:
        return _list(name, value, where)
    if name == "matchesPattern":
        return _pattern(value, where)
    raise invalid(f"`{name[:100]}` is no condition of lifecycle rules")


def _pattern(value: object, where: str) -> LinearPattern | None:
    """RE2's language, as production has it; an empty pattern is no condition."""
    if not isinstance(value, str) or len(value) > _PATTERN_CHARACTERS:
        raise invalid(f"Invalid value for `{where}`: it must be a pattern of at most {_PATTERN_CHARACTERS} characters")
    try:
        return LinearPattern(value) if value else None
    except PatternError as error:
        raise invalid(f"Invalid value for `{where}`: `{value[:60]}` is no pattern: {error}") from None


def _list(name: str, value: object, where: str) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise invalid(f"Invalid value for `{where}`: it must be a list of strings")
    for one in value:
        if name == "matchesStorageClass":
            if one not in STORAGE_CLASSES:
                raise invalid(f"Invalid value for `{where}`: `{one[:60]}` is no storage class")
        elif not 1 <= len(one.encode(errors="replace")) <= 1024:
            raise invalid(f"Invalid value for `{where}`: `{one[:60]}` must have 1 to 1,024 bytes")
    return tuple(value) or None


def _midnight(value: object, where: str) -> int:
    found = _DATE.fullmatch(value) if isinstance(value, str) else None
    try:
        day = None if found is None else date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        day = None
    if day is None:
        raise invalid(f"Invalid value for `{where}`: `{str(value)[:60]}` is no date; write it as 2030-01-31")
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(moment.timestamp()) * NANOS_PER_SECOND


def _number(value: Condition) -> int:
    return value if isinstance(value, int) else 0


def _texts(value: Condition) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _when(holds: bool) -> int | None:
    """What time does not change: it holds since ever, or never."""
    return 0 if holds else None


def _days_after(moment_ns: int | None, days: int) -> int | None:
    return None if moment_ns is None else moment_ns + days * DAY_NS


def _before(moment_ns: int | None, limit_ns: int) -> int | None:
    return _when(moment_ns is not None and moment_ns < limit_ns)


def _custom_time(record: ObjectRecord) -> int | None:
    return None if record.metadata.custom_time is None else parse_time(record.metadata.custom_time)


_DUE: Final[Mapping[str, Callable[[Any, ObjectRecord, int], int | None]]] = {
    "age": lambda value, record, newer: _days_after(record.created_ns, value),
    "createdBefore": lambda value, record, newer: _before(record.created_ns, value),
    "customTimeBefore": lambda value, record, newer: _before(_custom_time(record), value),
    "daysSinceCustomTime": lambda value, record, newer: _days_after(_custom_time(record), value),
    "daysSinceNoncurrentTime": lambda value, record, newer: _days_after(record.deleted_ns, value),
    "noncurrentTimeBefore": lambda value, record, newer: _before(record.deleted_ns, value),
    "isLive": lambda value, record, newer: _when((record.deleted_ns is None) == value),
    "matchesPattern": lambda value, record, newer: _when(value.covers(record.name)),
    "matchesPrefix": lambda value, record, newer: _when(record.name.startswith(value)),
    "matchesSuffix": lambda value, record, newer: _when(record.name.endswith(value)),
    "matchesStorageClass": lambda value, record, newer: _when(record.storage_class in value),
    "numNewerVersions": lambda value, record, newer: _when(newer >= value),
    "sizeAboveBytes": lambda value, record, newer: _when(record.blob.size > value),
    "sizeBelowBytes": lambda value, record, newer: _when(record.blob.size < value),
}
