"""What a codebase declares, as plain values: one `Function` for each endpoint of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from emulator.functions_draft.parameters import ParameterError, expand

DEFAULT_REGION: Final = "us-central1"
DEFAULT_TIMEOUT_SECONDS: Final = 60.0
DEFAULT_MEMORY_MIB: Final = 256
DEFAULT_CONCURRENCY: Final = 80
MOST_INSTANCES: Final = 8
"""Of one function on one machine, whatever the manifest allows: beyond, they would only wait for each other."""

EVENT, HTTPS, CALLABLE, SCHEDULE = "event", "https", "callable", "schedule"
SERVED_EVENTS: Final = (
    "google.cloud.storage.object.v1.",
    "google.cloud.firestore.document.v1.",
    "google.cloud.pubsub.topic.v1.messagePublished",
)
_UNSERVED: Final = {
    "taskQueueTrigger": "task queues",
    "blockingTrigger": "blocking functions",
    "dataConnectGraphqlTrigger": "Data Connect",
    "genkitTrigger": "Genkit",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """One deployed function: what calls it, and within what limits it runs."""

    name: str
    entry_point: str
    codebase: str
    kind: str
    region: str = DEFAULT_REGION
    event_type: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    path_patterns: Mapping[str, str] = field(default_factory=dict)
    retry: bool = False
    schedule: str = ""
    time_zone: str = ""
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    memory_mib: int = DEFAULT_MEMORY_MIB
    concurrency: int = DEFAULT_CONCURRENCY
    max_instances: int = MOST_INSTANCES
    secrets: tuple[str, ...] = ()
    is_served: bool = True
    note: str = ""

    @property
    def signature(self) -> str:
        """What functions-framework is told of the function."""
        return "cloudevent" if self.kind == EVENT else "http"

    @property
    def trigger(self) -> str:
        """What calls it, in a few words."""
        if self.kind == EVENT:
            short = self.event_type.removeprefix("google.cloud.").removeprefix("google.firebase.")
            return " ".join([short, *self.filters.values(), *self.path_patterns.values()])
        return self.schedule if self.kind == SCHEDULE else self.kind


def read_functions(codebase: str, manifest: Mapping[str, Any], values: Mapping[str, str]) -> list[Function]:
    """Every endpoint; one that cannot be read is listed as not served, with the reason, and stops no other."""
    functions = []
    for name, endpoint in sorted((manifest.get("endpoints") or {}).items()):
        try:
            functions.append(_read(codebase, name, _Expanded(endpoint, values)))
        except (ParameterError, ValueError, TypeError, KeyError, AttributeError) as error:
            functions.append(
                Function(name=name, entry_point=name, codebase=codebase, kind=EVENT, is_served=False, note=str(error))
            )
    return functions


class _Expanded:
    """An endpoint whose expressions are replaced by the parameters' values as they are read."""

    def __init__(self, endpoint: Mapping[str, Any], values: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        self._values = values

    def get(self, key: str, default: Any = None) -> Any:
        found = self._endpoint.get(key)
        return default if found is None else self._expand(found)

    def number(self, key: str, default: float) -> float:
        found = self.get(key)
        return default if found in (None, "") else float(found)

    def _expand(self, value: Any) -> Any:
        if isinstance(value, str):
            return expand(value, self._values)
        if isinstance(value, list):
            return [self._expand(item) for item in value]
        if isinstance(value, dict):
            return {key: self._expand(item) for key, item in value.items()}
        return value


def _read(codebase: str, name: str, endpoint: _Expanded) -> Function:
    regions = endpoint.get("region", [DEFAULT_REGION])
    kind, details, note = _trigger(endpoint)
    return Function(
        name=name,
        entry_point=endpoint.get("entryPoint", name),
        codebase=codebase,
        kind=kind,
        region=(regions or [DEFAULT_REGION])[0],
        timeout_seconds=endpoint.number("timeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
        memory_mib=int(endpoint.number("availableMemoryMb", DEFAULT_MEMORY_MIB)),
        concurrency=max(1, int(endpoint.number("concurrency", DEFAULT_CONCURRENCY))),
        max_instances=max(1, min(MOST_INSTANCES, int(endpoint.number("maxInstances", MOST_INSTANCES)))),
        secrets=tuple(secret["key"] for secret in endpoint.get("secretEnvironmentVariables", [])),
        is_served=not note,
        note=note,
        **details,
    )


def _trigger(endpoint: _Expanded) -> tuple[str, dict[str, Any], str]:
    """The kind of trigger, what is particular to it, and why it is not served if it is not."""
    if endpoint.get("httpsTrigger") is not None:
        return HTTPS, {}, ""
    if endpoint.get("callableTrigger") is not None:
        return CALLABLE, {}, ""
    schedule = endpoint.get("scheduleTrigger")
    if schedule is not None:
        details = {"schedule": str(schedule.get("schedule", "")), "time_zone": str(schedule.get("timeZone") or "")}
        return SCHEDULE, details, ""
    event = endpoint.get("eventTrigger")
    if event is not None:
        event_type = str(event["eventType"])
        details = {
            "event_type": event_type,
            "filters": {key: str(value) for key, value in (event.get("eventFilters") or {}).items()},
            "path_patterns": {key: str(value) for key, value in (event.get("eventFilterPathPatterns") or {}).items()},
            "retry": str(event.get("retry", False)).lower() == "true",
        }
        served = event_type.startswith(SERVED_EVENTS)
        return EVENT, details, "" if served else "this event has no local source; fire it with POST to the trigger"
    for key, what in _UNSERVED.items():
        if endpoint.get(key) is not None:
            return HTTPS, {}, f"{what} are not implemented here"
    raise ValueError("no trigger that is known here")
