"""What a codebase declares: each function with its trigger and limits, read from the SDK's manifest. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from afterimage_emulator.functions.codebases.parameters import Values, resolve

DEFAULT_REGION: Final = "us-central1"
DEFAULT_MEMORY_MIB: Final = 256
DEFAULT_TIMEOUT_SECONDS: Final = 60.0
DEFAULT_CONCURRENCY: Final = 80
PATH_PATTERN_LIMIT: Final = 1_500
"""What the platform gives a function with at least one CPU, the default of second-generation functions."""

DATABASE_EVENTS: Final = "google.firebase.database."
BLOCKING_NOT_ASKED: Final = ("beforeSendEmail", "beforeSendSms")

_WITHOUT_EFFECT: Final = ("minInstances", "vpc", "ingressSettings", "serviceAccountEmail")
"""Options that deploying obeys and nothing here does: a function that has one runs, and the option is named."""

_BLOCKING_PREFIX: Final = "providers/cloud.auth/eventTypes/user."
BLOCKING_EVENTS: Final = ("beforeCreate", "beforeSignIn")


class ManifestError(Exception):
    """A declaration that cannot be understood; names the function and the field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrySchedule:
    """How a schedule's failed run is tried again."""

    count: int = 0
    max_seconds: float = 0.0
    min_backoff_seconds: float = 5.0
    max_backoff_seconds: float = 3600.0
    max_doublings: int = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class EventTrigger:
    """Events of one type whose attributes fit all filters."""

    event_type: str
    filters: Mapping[str, str] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    retry: bool = False
    channel: str = ""
    """Of Eventarc, where events are published by programs; whole, or without its project and its location."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpTrigger:
    """A URL; `callable` for the Firebase SDKs' protocol over it."""

    callable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleTrigger:
    """A time table."""

    schedule: str
    time_zone: str = "UTC"
    retry: RetrySchedule = field(default_factory=RetrySchedule)


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskQueueTrigger:
    """Tasks of a queue of the function's own, with the rates and retries that deploying gives it."""

    function: str
    max_attempts: int = 3
    max_retry_seconds: float = 0.0
    min_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 3600.0
    max_doublings: int = 16
    max_concurrent_dispatches: int = 1_000
    max_dispatches_per_second: float = 500.0


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockingTrigger:
    """A question of Auth's, `beforeCreate` or `beforeSignIn`, and which of a provider's tokens it is to be told."""

    event: str
    credentials: frozenset[str] = frozenset()


Trigger = EventTrigger | HttpTrigger | ScheduleTrigger | TaskQueueTrigger | BlockingTrigger


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionSpec:
    """One function as it was declared, every parameter resolved."""

    name: str
    entry_point: str
    trigger: Trigger
    regions: tuple[str, ...] = (DEFAULT_REGION,)
    memory_mib: int = DEFAULT_MEMORY_MIB
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    concurrency: int = DEFAULT_CONCURRENCY
    max_instances: int | None = None
    secrets: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    """Options that it sets and that do nothing here."""

    @property
    def signature(self) -> str:
        return "cloudevent" if isinstance(self.trigger, EventTrigger) else "http"

    @property
    def is_of_database(self) -> bool:
        """Nothing here raises its events but who sends them by hand."""
        return isinstance(self.trigger, EventTrigger) and self.trigger.event_type.startswith(DATABASE_EVENTS)

    def described_trigger(self) -> tuple[str, str]:
        """Its kind, and what it listens to or where it answers, in a word or two each."""
        trigger = self.trigger
        if isinstance(trigger, EventTrigger):
            where = {**trigger.filters, **trigger.patterns}
            named = " ".join(value for value in where.values() if value != "(default)")
            return trigger.event_type.removeprefix("google.cloud.").replace(".v1.", " "), named
        if isinstance(trigger, ScheduleTrigger):
            return "schedule", f"{trigger.schedule} ({trigger.time_zone})"
        if isinstance(trigger, TaskQueueTrigger):
            return "task queue", ", ".join(self.regions)
        if isinstance(trigger, BlockingTrigger):
            return "asked by auth", trigger.event
        return "callable" if trigger.callable else "http", ", ".join(self.regions)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All of a codebase, and what of it cannot run here, each with the reason."""

    functions: tuple[FunctionSpec, ...]
    problems: tuple[str, ...]


def read_manifest(body: Mapping[str, object], values: Values) -> Manifest:
    """One function that makes no sense, or that cannot run here, does not keep the others from running."""
    functions: list[FunctionSpec] = []
    problems: list[str] = []
    endpoints = body.get("endpoints")
    if not isinstance(endpoints, Mapping):
        return Manifest(functions=(), problems=("the manifest has no `endpoints`",) if endpoints is not None else ())
    for name, endpoint in endpoints.items():
        try:
            functions.append(_function(str(name), resolve(endpoint, values)))
        except ManifestError as error:
            problems.append(f"{name}: {error}")
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            problems.append(f"{name}: its declaration cannot be read: {error!r}")
    return Manifest(functions=tuple(functions), problems=tuple(problems))


def _function(name: str, endpoint: Mapping[str, object]) -> FunctionSpec:
    concurrency = _number(endpoint, "concurrency")
    if concurrency is None:
        cpu = endpoint.get("cpu")
        # A fraction of a CPU serves one request at a time, as on the platform.
        concurrency = 1 if isinstance(cpu, int | float) and cpu < 1 else DEFAULT_CONCURRENCY
    return FunctionSpec(
        name=name,
        entry_point=str(endpoint.get("entryPoint") or name),
        trigger=_trigger(name, endpoint),
        regions=_regions(endpoint.get("region")),
        memory_mib=int(_number(endpoint, "availableMemoryMb") or DEFAULT_MEMORY_MIB),
        timeout_seconds=float(_number(endpoint, "timeoutSeconds") or DEFAULT_TIMEOUT_SECONDS),
        concurrency=max(1, int(concurrency)),
        max_instances=None if endpoint.get("maxInstances") is None else int(_number(endpoint, "maxInstances") or 0),
        secrets=tuple(_secret_names(endpoint.get("secretEnvironmentVariables") or ())),
        without_effect=tuple(option for option in _WITHOUT_EFFECT if endpoint.get(option)),
    )


def _trigger(name: str, endpoint: Mapping[str, object]) -> Trigger:
    for kind, read in TRIGGERS.items():
        if kind in endpoint:
            return read(name, endpoint[kind])
    raise ManifestError("it has no trigger that is known here")


def _event_trigger(name: str, event: Any) -> EventTrigger:
    return EventTrigger(
        event_type=str(event["eventType"]),
        filters=_texts(event.get("eventFilters")),
        patterns=_path_patterns(event.get("eventFilterPathPatterns")),
        retry=event.get("retry") is True,
        channel=str(event.get("channel") or ""),
    )


def _schedule_trigger(name: str, schedule: Any) -> ScheduleTrigger:
    return ScheduleTrigger(
        schedule=str(schedule["schedule"]),
        time_zone=str(schedule.get("timeZone") or "UTC"),
        retry=_retry_schedule(schedule.get("retryConfig") or {}),
    )


def _retry_schedule(config: Mapping[str, object]) -> RetrySchedule:
    standard = RetrySchedule()
    return RetrySchedule(
        count=int(_number(config, "retryCount") or 0),
        max_seconds=float(_number(config, "maxRetrySeconds") or 0),
        min_backoff_seconds=float(_number(config, "minBackoffSeconds") or standard.min_backoff_seconds),
        max_backoff_seconds=float(_number(config, "maxBackoffSeconds") or standard.max_backoff_seconds),
        max_doublings=int(_number(config, "maxDoublings") or standard.max_doublings),
    )


_QUEUE_BOUNDS: Final[Mapping[str, tuple[float, float]]] = {
    "maxAttempts": (-1, 2**31 - 1),
    "maxRetrySeconds": (0, 1e9),
    "minBackoffSeconds": (0, 1e9),
    "maxBackoffSeconds": (0, 1e9),
    "maxDoublings": (0, 2**31 - 1),
    "maxConcurrentDispatches": (1, 5_000),
    "maxDispatchesPerSecond": (0, 500),
}


def _blocking_trigger(name: str, trigger: Mapping[str, object]) -> BlockingTrigger:
    event = str(trigger["eventType"]).removeprefix(_BLOCKING_PREFIX)
    if event not in BLOCKING_EVENTS:
        raise ManifestError(f"blocking functions for `{event}` are not implemented here")
    options = trigger.get("options")
    wanted = options if isinstance(options, Mapping) else {}
    return BlockingTrigger(event=event, credentials=frozenset(name for name, value in wanted.items() if value is True))


def _task_queue_trigger(name: str, trigger: Mapping[str, object] | None) -> TaskQueueTrigger:
    """What is left out, or is null, has the values that the Firebase CLI deploys."""
    trigger = trigger or {}
    standard = TaskQueueTrigger(function=name)
    given = {**(trigger.get("retryConfig") or {}), **(trigger.get("rateLimits") or {})}
    numbers: dict[str, float] = {}
    for key, (lowest, highest) in _QUEUE_BOUNDS.items():
        value = _number(given, key)
        if value is not None and not lowest <= value <= highest:
            raise ManifestError(f"`{key}` must be from {lowest:g} to {highest:g}, not {value:g}")
        if value is not None:
            numbers[key] = value
    shortest = min(standard.min_backoff_seconds, numbers.get("maxBackoffSeconds", standard.min_backoff_seconds))
    shortest = numbers.get("minBackoffSeconds", shortest)
    longest = numbers.get("maxBackoffSeconds", max(standard.max_backoff_seconds, shortest))
    if shortest > longest:
        raise ManifestError("`minBackoffSeconds` must not be longer than `maxBackoffSeconds`")
    return TaskQueueTrigger(
        function=name,
        max_attempts=int(numbers.get("maxAttempts") or standard.max_attempts),
        max_retry_seconds=numbers.get("maxRetrySeconds", 0.0),
        min_backoff_seconds=shortest,
        max_backoff_seconds=longest,
        max_doublings=int(numbers.get("maxDoublings", standard.max_doublings)),
        max_concurrent_dispatches=int(numbers.get("maxConcurrentDispatches", standard.max_concurrent_dispatches)),
        max_dispatches_per_second=numbers.get("maxDispatchesPerSecond") or standard.max_dispatches_per_second,
    )


def _number(section: Mapping[str, object], key: str) -> float | None:
    value = section.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ManifestError(f"`{key}` must be a number, not `{value}`")
    try:
        return float(value)
    except ValueError:
        raise ManifestError(f"`{key}` must be a number, not `{value}`") from None


def _regions(value: object) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else list(value or ())
    return tuple(str(region) for region in listed if region) or (DEFAULT_REGION,)


def _texts(section: Mapping[str, object] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (section or {}).items()}


def _path_patterns(section: Mapping[str, object] | None) -> dict[str, str]:
    patterns = _texts(section)
    for name, pattern in patterns.items():
        if len(pattern) > PATH_PATTERN_LIMIT:
            raise ManifestError(
                f"the path pattern of `{name}` has {len(pattern):,} characters; use at most {PATH_PATTERN_LIMIT:,}"
            )
        if any("\ud800" <= character <= "\udfff" for character in pattern):
            raise ManifestError(f"the path pattern of `{name}` is not valid Unicode")
    return patterns


def _secret_names(section: Iterable[object]) -> Iterable[str]:
    for secret in section:
        if isinstance(secret, Mapping) and secret.get("key"):
            yield str(secret["key"])


TRIGGERS: Final[Mapping[str, Callable[[str, Any], Trigger]]] = {
    "eventTrigger": _event_trigger,
    "scheduleTrigger": _schedule_trigger,
    "taskQueueTrigger": _task_queue_trigger,
    "blockingTrigger": _blocking_trigger,
    "httpsTrigger": lambda name, trigger: HttpTrigger(),
    "callableTrigger": lambda name, trigger: HttpTrigger(callable=True),
}
"""By the key under which a manifest has them."""
