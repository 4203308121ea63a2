"""When a schedule comes due: cron lines and the App Engine wording, in any time zone. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

TimeTable = Callable[[datetime], datetime]
"""The first due time after a moment, both in UTC."""

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ORDINALS: Final = {
    word: number
    for number, words in enumerate(("1st first", "2nd second", "3rd third", "4th fourth", "5th fifth"), 1)
    for word in words.split()
}
_INTERVAL: Final = re.compile(
    r"every\s+(?P<number>\d+)\s+(?P<unit>hours?|minutes?|mins?)"
    r"(?:\s+(?:from\s+(?P<start>\d{1,2}:\d{2})\s+to\s+(?P<end>\d{1,2}:\d{2})|(?P<whole>synchronized)))?"
)
_AT: Final = re.compile(r"(?P<days>.+?)\s+(?:of\s+(?P<months>[a-z,\s]+?)\s+)?(?P<time>\d{1,2}:\d{2})")
_LONGEST_WAIT_DAYS: Final = 366 * 8


class ScheduleError(ValueError):
    """A schedule that cannot be read; the message shows how one is written."""


def read_schedule(schedule: str, time_zone: str) -> TimeTable:
    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        raise ScheduleError(f"`{time_zone}` is no time zone; write one such as `Europe/Vienna`") from None
    text = " ".join(schedule.split())
    lowered = text.lower()
    if lowered.startswith("every") or re.search(r"\d{1,2}:\d{2}$", lowered):
        return _app_engine(lowered, schedule, zone)
    return _cron(text, schedule, zone)


def _cron(text: str, schedule: str, zone: tzinfo) -> TimeTable:
    try:
        if len(text.split()) != 5:
            raise CronSimError("five fields are wanted")
        CronSim(text, datetime(2024, 1, 1, tzinfo=zone))
    except CronSimError as error:
        raise _unreadable(schedule, str(error)) from None

    def next_after(moment: datetime) -> datetime:
        try:
            return next(CronSim(text, moment.astimezone(zone))).astimezone(UTC)
        except StopIteration:
            raise ScheduleError(f"the schedule `{schedule}` never comes due") from None

    next_after(datetime(2024, 1, 1, tzinfo=UTC))
    return next_after


def first_after(table: TimeTable, due: datetime, moment: datetime) -> datetime:
    """The first due time after a moment, of a schedule that was due at `due`, without all those in between."""
    if isinstance(table, _Every):
        return due + ((moment - due) // table.step + 1) * table.step
    return table(moment)


@dataclass(frozen=True, slots=True)
class _Every:
    """From one due time to the next, wherever the first was."""

    step: timedelta

    def __call__(self, moment: datetime) -> datetime:
        return moment.astimezone(UTC) + self.step


@dataclass(frozen=True, slots=True)
class _Window:
    start: time
    end: time
    step: timedelta

    def next_after(self, moment: datetime, zone: tzinfo) -> datetime:
        local = moment.astimezone(zone)
        for days in range(-1, 3):
            day = (local + timedelta(days=days)).date()
            start = datetime.combine(day, self.start, zone)
            end = datetime.combine(day if self.end >= self.start else day + timedelta(days=1), self.end, zone)
            if moment < start:
                return start.astimezone(UTC)
            # Elapsed time, so that a change of the clocks neither repeats nor skips a run.
            passed = (moment - start.astimezone(UTC)) // self.step
            due = start.astimezone(UTC) + (passed + 1) * self.step
            if due <= end.astimezone(UTC):
                return due
        raise AssertionError("a daily window comes again every day")


def _app_engine(text: str, schedule: str, zone: tzinfo) -> TimeTable:
    interval = _INTERVAL.fullmatch(text)
    if interval is not None:
        number = int(interval["number"])
        step = timedelta(hours=number) if interval["unit"].startswith("h") else timedelta(minutes=number)
        if not step or step > timedelta(days=366):
            raise _unreadable(schedule, "an interval is from one minute to a year")
        if interval["start"] is None and interval["whole"] is None:
            return _Every(step)
        window = _Window(
            _time(interval["start"] or "00:00", schedule), _time(interval["end"] or "23:59", schedule), step
        )
        return lambda moment: window.next_after(moment, zone)
    parsed = _AT.fullmatch(text)
    if parsed is None:
        raise _unreadable(schedule, "it is neither cron nor App Engine syntax")
    is_day = _days(parsed["days"], schedule)
    months = _months(parsed["months"], schedule)
    at = _time(parsed["time"], schedule)

    def next_after(moment: datetime) -> datetime:
        local = moment.astimezone(zone)
        for days in range(_LONGEST_WAIT_DAYS):
            day = local.date() + timedelta(days=days)
            due = datetime.combine(day, at, zone).astimezone(UTC)
            if due > moment and day.month in months and is_day(day.weekday(), day.day):
                return due
        raise ScheduleError(f"the schedule `{schedule}` never comes due")

    next_after(datetime(2024, 1, 1, tzinfo=UTC))
    return next_after


def _days(text: str, schedule: str) -> Callable[[int, int], bool]:
    """A test of weekday and day of the month."""
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if words[0] == "every":
        words = words[1:]
        weekdays = _weekdays(words, schedule)
        return lambda weekday, day: weekday in weekdays
    if all(word.isdigit() for word in words):
        numbers = {int(word) for word in words}
        if not numbers <= set(range(1, 32)):
            raise _unreadable(schedule, "days of the month are from 1 to 31")
        return lambda weekday, day: day in numbers
    ordinals = {_ORDINALS[word] for word in words if word in _ORDINALS}
    weekdays = _weekdays([word for word in words if word not in _ORDINALS], schedule)
    if not ordinals:
        return lambda weekday, day: weekday in weekdays
    return lambda weekday, day: weekday in weekdays and (day - 1) // 7 + 1 in ordinals


def _weekdays(words: list[str], schedule: str) -> frozenset[int]:
    if words in (["day"], ["days"]):
        return frozenset(range(7))
    try:
        found = frozenset(_DAYS.index(word[:3]) for word in words)
    except ValueError:
        found = frozenset()
    if not found:
        raise _unreadable(schedule, f"`{' '.join(words)}` are no days")
    return found


def _months(text: str | None, schedule: str) -> frozenset[int]:
    words = re.split(r"[,\s]+", text.strip()) if text else ["month"]
    if words == ["month"]:
        return frozenset(range(1, 13))
    try:
        return frozenset(_MONTHS.index(word[:3]) + 1 for word in words if word)
    except ValueError:
        raise _unreadable(schedule, f"`{text}` are no months") from None


def _time(text: str, schedule: str) -> time:
    hour, minute = map(int, text.split(":"))
    if hour > 23 or minute > 59:
        raise _unreadable(schedule, f"`{text}` is no time of day")
    return time(hour, minute)


def _unreadable(schedule: str, reason: str) -> ScheduleError:
    return ScheduleError(
        f"the schedule `{schedule}` cannot be read: {reason}; "
        "write it as `*/5 * * * *`, `every 5 minutes` or `every monday 09:00`"
    )
