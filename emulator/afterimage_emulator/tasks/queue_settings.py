"""What a queue is told: its rates and retries, with defaults and bounds, and the waits that follow. Pure."""

from __future__ import annotations

import math
from typing import Any, Final

from afterimage_emulator.protos import cloud_tasks_v2, well_known
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.tasks.resource_names import check_new_queue

RATE_LIMIT: Final = 500.0
CONCURRENCY_LIMIT: Final = 5_000
RETENTION_SECONDS: Final = 31 * 24 * 3600.0
"""How old a task may grow, whatever its queue says of retries."""
_DEFAULT_CONCURRENCY: Final = 1_000
_DEFAULT_ATTEMPTS: Final = 100
_DEFAULT_MIN_BACKOFF_SECONDS: Final = 0.1
_DEFAULT_MAX_BACKOFF_SECONDS: Final = 3_600.0
_DEFAULT_DOUBLINGS: Final = 16
_CHANGEABLE: Final = ("rate_limits", "retry_config", "stackdriver_logging_config")
_NOT_HERE: Final = ("http_target", "app_engine_routing_override")


def checked_queue(wanted: cloud_tasks_v2.Queue) -> cloud_tasks_v2.Queue:
    """A copy with all defaults filled in, or the error that says what is wrong with it."""
    check_new_queue(wanted.name)
    return completed_settings(wanted)


def completed_settings(wanted: cloud_tasks_v2.Queue, *, doublings: int | None = None) -> cloud_tasks_v2.Queue:
    """The same for a queue whose name is settled. On the wire no doublings are the default; here None is."""
    settings = cloud_tasks_v2.Queue()
    settings.CopyFrom(wanted)
    for field in _NOT_HERE:
        if settings.HasField(field):
            raise StatusError(
                Code.UNIMPLEMENTED, f"`{field}` of a queue is not implemented here; give each task its own url"
            )
    _complete_rates(settings.rate_limits)
    _complete_retries(settings.retry_config)
    if doublings is not None:
        settings.retry_config.max_doublings = doublings
    settings.state = settings.state or cloud_tasks_v2.Queue.State.Value("RUNNING")
    return settings


def changed_settings(
    current: cloud_tasks_v2.Queue, wanted: cloud_tasks_v2.Queue, paths: list[str]
) -> cloud_tasks_v2.Queue:
    """An update mask of fields, or of fields within them; an empty mask means all that can be changed."""
    settings = cloud_tasks_v2.Queue()
    settings.CopyFrom(current)
    for path in paths or _CHANGEABLE:
        first, _, rest = path.partition(".")
        if first in _NOT_HERE:
            raise StatusError(Code.UNIMPLEMENTED, f"`{first}` of a queue is not implemented here")
        if first not in _CHANGEABLE:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"`{path}` of update_mask is nothing that can be changed; name fields of {', '.join(_CHANGEABLE)}",
            )
        _copy_field(wanted, settings, first, rest)
    anew = "retry_config" in (paths or _CHANGEABLE)
    return completed_settings(settings, doublings=None if anew else settings.retry_config.max_doublings)


def task_backoff_seconds(retry: cloud_tasks_v2.RetryConfig, failures: int) -> float:
    """Doubles a number of times, then grows by the last doubled step, and never passes the longest."""
    shortest, longest = seconds_of(retry.min_backoff), seconds_of(retry.max_backoff)
    doublings = min(failures - 1, retry.max_doublings, 64)  # beyond, any wait that is no zero is the longest
    wait = shortest * 2.0**doublings
    if failures - 1 > retry.max_doublings:
        wait += (failures - 1 - retry.max_doublings) * shortest * 2.0**doublings
    return float(min(wait, longest))


def is_last_attempt(retry: cloud_tasks_v2.RetryConfig, *, attempts: int, age_seconds: float) -> bool:
    """Both limits must be passed where both are set; without any, a task is tried until it is too old to be kept."""
    if age_seconds >= RETENTION_SECONDS:
        return True
    longest = seconds_of(retry.max_retry_duration)
    if retry.max_attempts < 0:
        return 0 < longest <= age_seconds
    return bool(attempts >= retry.max_attempts and age_seconds >= longest)


def seconds_of(duration: well_known.Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)


def set_seconds(duration: well_known.Duration, seconds: float) -> None:
    duration.seconds = int(seconds)
    duration.nanos = round((seconds - int(seconds)) * 1e9)


def _complete_rates(rates: cloud_tasks_v2.RateLimits) -> None:
    rate, concurrency = rates.max_dispatches_per_second, rates.max_concurrent_dispatches
    _check(not (rate < 0 or math.isnan(rate)), "RateLimits.maxDispatchesPerSecond cannot be negative.")
    _check(rate <= RATE_LIMIT, "RateLimits.maxDispatchesPerSecond must be less than or equal to 500.")
    _check(concurrency >= 0, "RateLimits.maxConcurrentDispatches cannot be negative.")
    _check(concurrency <= CONCURRENCY_LIMIT, "RateLimits.maxConcurrentDispatches must be less than or equal to 5000.")
    rates.max_dispatches_per_second = rate or RATE_LIMIT
    rates.max_concurrent_dispatches = concurrency or _DEFAULT_CONCURRENCY
    rates.max_burst_size = max(1, math.ceil(rates.max_dispatches_per_second))


def _complete_retries(retry: cloud_tasks_v2.RetryConfig) -> None:
    _check(retry.max_attempts >= -1, "RetryConfig.maxAttempts must be greater or equal to -1.")
    _check(retry.max_doublings >= 0, "RetryConfig.maxDoublings cannot be negative.")
    for name, shown in (
        ("min_backoff", "minBackoff"),
        ("max_backoff", "maxBackoff"),
        ("max_retry_duration", "maxRetryDuration"),
    ):
        _check(seconds_of(getattr(retry, name)) >= 0, f"RetryConfig.{shown} cannot be negative.")
    retry.max_attempts = retry.max_attempts or _DEFAULT_ATTEMPTS
    retry.max_doublings = retry.max_doublings or _DEFAULT_DOUBLINGS
    if not retry.HasField("min_backoff"):
        set_seconds(retry.min_backoff, min(_DEFAULT_MIN_BACKOFF_SECONDS, _longest_given(retry)))
    if not retry.HasField("max_backoff"):
        set_seconds(retry.max_backoff, max(_DEFAULT_MAX_BACKOFF_SECONDS, seconds_of(retry.min_backoff)))
    _check(
        seconds_of(retry.min_backoff) <= seconds_of(retry.max_backoff),
        "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff.",
    )


def _longest_given(retry: cloud_tasks_v2.RetryConfig) -> float:
    return seconds_of(retry.max_backoff) if retry.HasField("max_backoff") else math.inf


def _copy_field(source: Any, target: Any, first: str, rest: str) -> None:
    if not rest:
        target.ClearField(first)
        if source.HasField(first):
            getattr(target, first).CopyFrom(getattr(source, first))
        return
    holder_from, holder_to = getattr(source, first), getattr(target, first)
    field = holder_to.DESCRIPTOR.fields_by_name.get(rest)
    if field is None or rest == "max_burst_size":
        raise StatusError(Code.INVALID_ARGUMENT, f"`{first}.{rest}` of update_mask is nothing that can be changed")
    if field.message_type is None:
        setattr(holder_to, rest, getattr(holder_from, rest))
        return
    holder_to.ClearField(rest)
    if holder_from.HasField(rest):
        getattr(holder_to, rest).CopyFrom(getattr(holder_from, rest))


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise StatusError(Code.INVALID_ARGUMENT, message)
