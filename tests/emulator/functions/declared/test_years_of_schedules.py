"""Moving the clock over years: each schedule runs once, keeps its time, and nobody waits for what is left out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from afterimage_emulator.clock import Clock
from afterimage_emulator.functions.deliveries.time_tables import first_after, read_schedule
from tests.emulator.functions.running import serving

SCHEDULES = {
    "minutely": "* * * * *",
    "sevens": "every 7 minutes",
    "windowed": "every 5 minutes from 10:00 to 14:00",
    "monthly": "1 of month 09:00",
    "mondays": "every monday 09:00",
}
START = datetime(2026, 1, 31, 12, 0, 30, tzinfo=UTC)
TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600


def functions() -> str:
    lines = ["import os", "from firebase_functions import scheduler_fn"]
    for name, schedule in SCHEDULES.items():
        lines += [
            f"@scheduler_fn.on_schedule(schedule={schedule!r})",
            f"def {name}(event):",
            "    with open(os.environ['OUT_FILE'], 'a') as file:",
            f"        file.write({name!r} + '\\n')",
        ]
    return "\n".join(lines)


async def test_ten_years_are_one_run_of_each_schedule(
    tmp_path: Path, write_codebase: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """The first that comes due runs; the others are left out in one line, and timers do not fire for each of them."""
    async with serving(write_codebase(functions()), tmp_path / "out") as running:
        running.clock.freeze(START)
        schedules = running.service._schedules
        schedules.plan([])
        schedules.plan(running.service.functions().values())
        started_at = {name: schedules.due(name) for name in SCHEDULES}
        timers = next(running.clock._order)
        with caplog.at_level(logging.WARNING, logger="afterimage_emulator.functions"):
            running.clock.advance(TEN_YEARS_SECONDS)
            await running.settled()
        assert sorted(running.notes()) == sorted(SCHEDULES)
        assert next(running.clock._order) - timers <= 4 * len(SCHEDULES)
        left_out = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
        assert len(left_out) == len(SCHEDULES)
        now = running.clock.now()
        for name in SCHEDULES:
            due = schedules.due(name)
            assert due is not None
            assert now < due < now + timedelta(days=32)
        sevens, before = schedules.due("sevens"), started_at["sevens"]
        assert sevens is not None
        assert before is not None
        assert (sevens - before) % timedelta(minutes=7) == timedelta()
        running.clock.advance(60)
        await running.settled()
        assert running.notes().count("minutely") == 2


def test_an_interval_keeps_its_time_over_what_is_left_out() -> None:
    """As if every one had run, and at once: from there on nothing has shifted."""
    table = read_schedule("every 7 minutes", "UTC")
    due = START
    for _ in range(1000):
        due = table(due)
    assert first_after(table, START, due - timedelta(seconds=1)) == due
    assert first_after(table, START, due) == table(due)


async def test_no_clock_passes_the_year_9999() -> None:
    """Where dates end: refused in one sentence, and the clock stands where it stood."""
    clock = Clock(frozen_at=START)
    for seconds in (1e12, float("inf"), 9e18):
        with pytest.raises(ValueError, match="beyond the year 9999"):
            clock.advance(seconds)
    assert clock.now() == START
    clock.advance(1e9)
    assert clock.now() == START + timedelta(seconds=1e9)
