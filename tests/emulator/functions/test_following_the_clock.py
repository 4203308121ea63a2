"""Handlers that are to follow the suite's clock do, and others do not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.emulator.functions.running import serving

CODE = """
import calendar, datetime, json, os, pickle, time
from datetime import date, datetime as taken
from time import time as seconds
from firebase_functions import pubsub_fn
from google.auth import _helpers
from google.protobuf.timestamp_pb2 import Timestamp

@pubsub_fn.on_message_published(topic="clock")
def told(event):
    stamp = Timestamp()
    stamp.GetCurrentTime()
    moment = taken.now(datetime.timezone.utc)
    assert isinstance(stamp.ToDatetime(), datetime.datetime) and pickle.loads(pickle.dumps(moment)) == moment
    years = {
        "time": time.gmtime(seconds()).tm_year, "gmtime": time.gmtime().tm_year, "now": moment.year,
        "utcnow": datetime.datetime.utcnow().year, "today": date.today().year,
        "google.auth": _helpers.utcnow().year, "protobuf": stamp.ToDatetime().year,
    }
    with open(os.environ["OUT_FILE"], "a") as file:
        file.write(json.dumps({"years": years, "seconds": seconds()}) + "\\n")
"""


@pytest.mark.parametrize("follows", [True, False])
async def test_time_and_datetime_tell_the_suites_clock_where_that_was_asked_for(
    tmp_path: Path, write_codebase: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, follows: bool
) -> None:
    """Frozen, moved on, and running: what modules had taken out of `time` and `datetime`, and what SDKs ask."""
    monkeypatch.setenv("AFTERIMAGE_FOLLOW_CLOCK", "1" if follows else "")
    now = datetime.now(UTC)
    async with serving(write_codebase(CODE), tmp_path / "out") as running:
        running.clock.freeze(datetime(2041, 6, 1, tzinfo=UTC))
        for seconds in (0, 40_000_000, 0):
            running.clock.advance(seconds)
            running.publish("clock")
            await running.settled()
            if seconds:
                running.clock.resume()
        told = [json.loads(line) for line in running.notes()]
        expected = [2041, 2042, 2042] if follows else [now.year] * 3
        assert [set(one["years"].values()) for one in told] == [{year} for year in expected]
        if follows:
            assert told[0]["seconds"] == datetime(2041, 6, 1, tzinfo=UTC).timestamp()
