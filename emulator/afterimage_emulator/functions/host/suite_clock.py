"""The suite's clock within functions, where it is asked for: `time` and `datetime` tell what the last request said.

`follow` comes before anything else is imported, since whoever has taken a function out of `time` keeps that one.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Mapping
from datetime import date as real_date
from datetime import datetime as real_datetime
from typing import Any

VARIABLE = "AFTERIMAGE_FOLLOW_CLOCK"
HEADER = "x-afterimage-clock"

_real_time_ns = time.time_ns
_real_localtime, _real_gmtime = time.localtime, time.gmtime
_UTC = datetime.timezone(datetime.timedelta(0))
_offset_ns = 0
_stands_at_ns: int | None = None
_follows = False


def is_asked_for(environment: Mapping[str, str]) -> bool:
    return environment.get(VARIABLE, "").lower() in ("1", "true", "yes")


def stand(told: str) -> None:
    """As a request says: the nanoseconds since the epoch, and whether the clock stands still there."""
    global _offset_ns, _stands_at_ns
    now_ns, _, is_frozen = told.partition(" ")
    if _follows and now_ns.isdecimal():
        _stands_at_ns = int(now_ns) if is_frozen == "frozen" else None
        _offset_ns = int(now_ns) - _real_time_ns()


def follow() -> None:
    """From now on, where the environment asks for it."""
    global _follows
    if not is_asked_for(os.environ):
        return
    _follows = True
    patched: Any = time
    patched.time, patched.time_ns = _time, _time_ns
    patched.localtime = lambda seconds=None: _real_localtime(_time() if seconds is None else seconds)
    patched.gmtime = lambda seconds=None: _real_gmtime(_time() if seconds is None else seconds)
    dates: Any = datetime
    dates.datetime, dates.date = _DateTime, _Date


def _time_ns() -> int:
    return _real_time_ns() + _offset_ns if _stands_at_ns is None else _stands_at_ns


def _time() -> float:
    return _time_ns() / 1e9


class _LikeDateTime(type):
    """Moments that C made are datetimes too."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, real_datetime)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, real_datetime)


class _LikeDate(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, real_date)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, real_date)


class _DateTime(real_datetime, metaclass=_LikeDateTime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        moment = real_datetime.fromtimestamp(0, _UTC) + datetime.timedelta(microseconds=_time_ns() // 1000)
        here = moment.astimezone(tz) if tz is not None else moment.astimezone().replace(tzinfo=None)
        return cls(*here.timetuple()[:6], here.microsecond, here.tzinfo, fold=here.fold)

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(_UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _Date(real_date, metaclass=_LikeDate):
    @classmethod
    def today(cls) -> Any:
        now = _DateTime.now()
        return cls(now.year, now.month, now.day)


for _kind, _name in ((_DateTime, "datetime"), (_Date, "date")):
    _kind.__name__ = _kind.__qualname__ = _name  # pickled and shown as what they stand for
    _kind.__module__ = "datetime"
