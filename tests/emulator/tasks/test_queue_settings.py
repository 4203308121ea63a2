"""The waits and the end that a retry configuration means."""

from __future__ import annotations

from typing import Any

import pytest

from afterimage_emulator.protos import messages
from afterimage_emulator.tasks.queue_settings import (
    RETENTION_SECONDS,
    is_last_attempt,
    set_seconds,
    task_backoff_seconds,
)


def retry_config(*, attempts: int = 3, duration: float = 0, shortest: float = 10, longest: float = 300,
                 doublings: int = 3) -> Any:  # fmt: skip
    retry = messages("google.cloud.tasks.v2").RetryConfig(max_attempts=attempts, max_doublings=doublings)
    set_seconds(retry.max_retry_duration, duration)
    set_seconds(retry.min_backoff, shortest)
    set_seconds(retry.max_backoff, longest)
    return retry


@pytest.mark.parametrize(
    ("settings", "waits"),
    [
        ({}, [10, 20, 40, 80, 160, 240, 300, 300]),  # the example of the API's own description
        ({"doublings": 0}, [10, 20, 30, 40]),
        ({"doublings": 1, "longest": 45}, [10, 20, 40, 45]),
        ({"shortest": 0, "doublings": 16}, [0, 0, 0]),
        ({"shortest": 0.1, "longest": 3600, "doublings": 16}, [0.1, 0.2, 0.4, 0.8]),
    ],
)
def test_backoff_doubles_then_grows_evenly_then_stays(settings: dict[str, Any], waits: list[float]) -> None:
    """As the API describes it."""
    retry = retry_config(**settings)
    assert [task_backoff_seconds(retry, failures) for failures in range(1, len(waits) + 1)] == pytest.approx(waits)


def test_no_number_of_failures_is_too_much() -> None:
    """Doublings without end meet the longest wait, and no number overflows."""
    retry = retry_config(doublings=2**31 - 1, shortest=0.1, longest=3600)
    assert task_backoff_seconds(retry, 10**9) == 3600
    assert task_backoff_seconds(retry_config(doublings=2**31 - 1, shortest=0), 10**9) == 0


@pytest.mark.parametrize(
    ("attempts", "duration", "made", "age", "is_last"),
    [
        (3, 0, 2, 1e6, False),
        (3, 0, 3, 0, True),
        (3, 100, 3, 99, False),  # both limits must be passed
        (3, 100, 2, 101, False),
        (3, 100, 3, 100, True),
        (-1, 0, 10**6, 1e6, False),
        (-1, 100, 10**6, 99, False),
        (-1, 100, 1, 100, True),
        (-1, 0, 5, RETENTION_SECONDS, True),
    ],
)
def test_when_the_last_attempt_has_been_made(
    attempts: int, duration: float, made: int, age: float, is_last: bool
) -> None:
    """Attempts and duration together where both are set; 31 days at the latest."""
    retry = retry_config(attempts=attempts, duration=duration)
    assert is_last_attempt(retry, attempts=made, age_seconds=age) is is_last
