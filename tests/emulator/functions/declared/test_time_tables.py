"""When schedules come due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterimage_emulator.functions.deliveries.time_tables import ScheduleError, read_schedule

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda m: m.replace(tzinfo=UTC))  # noqa: DTZ001 — made UTC right here


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "due"),
    [
        ("*/15 * * * *", "UTC", "2026-01-01T00:07:00", "2026-01-01T00:15:00"),
        ("0 9 * * 1", "Europe/Vienna", "2026-07-01T00:00:00", "2026-07-06T07:00:00"),
        ("30 2 * * *", "Europe/Vienna", "2026-03-29T00:00:00", "2026-03-29T01:00:00"),
        ("every 5 minutes", "UTC", "2026-01-01T00:07:30", "2026-01-01T00:12:30"),
        ("every 12 hours", "UTC", "2026-01-01T00:00:00", "2026-01-01T12:00:00"),
        ("every 30 mins from 10:00 to 14:00", "UTC", "2026-01-01T13:45:00", "2026-01-01T14:00:00"),
        ("every 30 mins from 10:00 to 14:00", "UTC", "2026-01-01T14:00:00", "2026-01-02T10:00:00"),
        ("every 2 hours synchronized", "UTC", "2026-01-01T03:10:00", "2026-01-01T04:00:00"),
        ("every 6 hours from 22:00 to 05:00", "UTC", "2026-01-01T23:00:00", "2026-01-02T04:00:00"),
        ("every day 09:30", "America/New_York", "2026-01-01T00:00:00", "2026-01-01T14:30:00"),
        ("every monday,friday 08:00", "UTC", "2026-01-01T00:00:00", "2026-01-02T08:00:00"),
        ("1,15 of month 06:00", "UTC", "2026-01-02T00:00:00", "2026-01-15T06:00:00"),
        ("2nd,third mon,wed of march 17:00", "UTC", "2026-01-01T00:00:00", "2026-03-09T17:00:00"),
        ("first monday of sep,oct,nov 17:00", "UTC", "2026-10-06T00:00:00", "2026-11-02T17:00:00"),
        ("29 of feb 00:00", "UTC", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_schedules_come_due_when_they_say(schedule: str, zone: str, after: str, due: str) -> None:
    """Cron and App Engine syntax, in any time zone, across changes of the clocks."""
    table = read_schedule(schedule, zone)
    assert table(datetime.fromisoformat(after).replace(tzinfo=UTC)) == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone"),
    [
        ("every now and then", "UTC"),
        ("* * * *", "UTC"),
        ("61 * * * *", "UTC"),
        ("0 0 31 2 *", "UTC"),
        ("31 of february 00:00", "UTC"),
        ("every 0 minutes", "UTC"),
        ("every monday 25:00", "UTC"),
        ("every someday 10:00", "UTC"),
        ("", "UTC"),
        ("* * * * *", "Mars/Olympus"),
    ],
)
def test_what_cannot_be_read_is_named_with_a_way_out(schedule: str, zone: str) -> None:
    """The message repeats the input and shows how it is written."""
    with pytest.raises(ScheduleError, match=r"`"):
        read_schedule(schedule, zone)


@given(
    MOMENTS,
    st.sampled_from(["*/7 3-5 * * *", "every 17 minutes", "every day 02:30", "every 90 minutes from 23:00 to 04:30"]),
    st.sampled_from(["UTC", "Europe/Vienna", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_time_only_moves_forward(moment: datetime, schedule: str, zone: str) -> None:
    """The next due time is always later, soon enough, and following it never stands still."""
    table = read_schedule(schedule, zone)
    for _ in range(5):
        due = table(moment)
        assert moment < due <= moment + timedelta(days=3)
        moment = due
