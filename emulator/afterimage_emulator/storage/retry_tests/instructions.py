"""The instructions of retry tests, and of the older header: read, or refused by name (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from afterimage_emulator.storage.errors import StorageError, invalid

KIB: Final = 1024
_FIRST_BYTES: Final = 4
_OLD_BREAK_BYTES: Final = 1024 * KIB
_OLD_STALL_SECONDS: Final = 10.0


class Act(Enum):
    """What an instruction does to a call."""

    RETURN = auto()
    RESET = auto()
    BREAK_ANSWER = auto()
    CUT_FINAL_ANSWER = auto()
    RETURN_AFTER = auto()
    STALL = auto()
    UNREACHABLE = auto()
    CORRUPT = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One of them. `at_bytes` counts from the beginning of the object."""

    text: str
    act: Act
    status: int = 0
    at_bytes: int = 0
    seconds: float = 0.0
    buckets: tuple[str, ...] = ()


_FORMS: Final[Sequence[tuple[re.Pattern[str], Callable[[str, re.Match[str]], Instruction]]]] = (
    (
        re.compile(r"return-([1-5][0-9]{2})"),
        lambda text, found: Instruction(text=text, act=Act.RETURN, status=int(found[1])),
    ),
    (
        re.compile(r"return-([1-5][0-9]{2})-after-([0-9]{1,9})K"),
        lambda text, found: Instruction(
            text=text, act=Act.RETURN_AFTER, status=int(found[1]), at_bytes=int(found[2]) * KIB
        ),
    ),
    (re.compile(r"return-reset-connection"), lambda text, found: Instruction(text=text, act=Act.RESET)),
    (
        re.compile(r"return-broken-stream"),
        lambda text, found: Instruction(text=text, act=Act.BREAK_ANSWER, at_bytes=_FIRST_BYTES),
    ),
    (
        re.compile(r"return-broken-stream-after-([0-9]{1,9})K"),
        lambda text, found: Instruction(text=text, act=Act.BREAK_ANSWER, at_bytes=int(found[1]) * KIB),
    ),
    (
        re.compile(r"return-broken-stream-final-chunk-after-([0-9]{1,9})B"),
        lambda text, found: Instruction(text=text, act=Act.CUT_FINAL_ANSWER, at_bytes=int(found[1])),
    ),
    (
        re.compile(r"stall-for-([0-9]{1,4})s-after-([0-9]{1,9})K"),
        lambda text, found: Instruction(
            text=text, act=Act.STALL, seconds=float(found[1]), at_bytes=int(found[2]) * KIB
        ),
    ),
    (
        re.compile(r"return-unreachable-buckets-([a-z0-9._-]+(?:,[a-z0-9._-]+){0,99})"),
        lambda text, found: Instruction(text=text, act=Act.UNREACHABLE, buckets=tuple(found[1].split(","))),
    ),
)
_OLD: Final = {
    "return-broken-stream": Instruction(text="return-broken-stream", act=Act.BREAK_ANSWER, at_bytes=_OLD_BREAK_BYTES),
    "return-corrupted-data": Instruction(text="return-corrupted-data", act=Act.CORRUPT),
    "stall-always": Instruction(text="stall-always", act=Act.STALL, seconds=_OLD_STALL_SECONDS),
    "stall-at-256KiB": Instruction(
        text="stall-at-256KiB", act=Act.STALL, seconds=_OLD_STALL_SECONDS, at_bytes=256 * KIB
    ),
    "return-503-after-256K": Instruction(
        text="return-503-after-256K", act=Act.RETURN_AFTER, status=503, at_bytes=256 * KIB
    ),
}


def read_instruction(said: object) -> Instruction:
    """One of a retry test."""
    if isinstance(said, str):
        for pattern, made in _FORMS:
            found = pattern.fullmatch(said)
            if found is not None:
                return made(said, found)
    raise _unknown(said, "return-503, return-503-after-256K, return-reset-connection, return-broken-stream …")


def read_old_instruction(said: str) -> Instruction:
    """The value of `x-goog-emulator-instructions`, which holds for its own request alone."""
    if said not in _OLD:
        raise _unknown(said, ", ".join(_OLD))
    return _OLD[said]


def _unknown(said: object, known: str) -> StorageError:
    return invalid(f"The instruction `{str(said)[:100]}` is not known here; use {known}")
