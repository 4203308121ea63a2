"""What is loaded and how it is doing, as the console shows it: functions, schedules, parameters, names of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from afterimage_emulator.functions.codebases.manifest import ScheduleTrigger
from afterimage_emulator.functions.codebases.running_codebase import Loaded, RunningCodebase
from afterimage_emulator.functions.deliveries.schedules import Schedules
from afterimage_emulator.functions.instances.function_pool import FunctionPool

_HIDDEN: Final = "secret"


def overview(codebases: Iterable[RunningCodebase], schedules: Schedules) -> list[dict[str, Any]]:
    """One entry a codebase. A secret is told by its name, and by whether it has a value: never by the value."""
    return [_codebase(running, schedules) for running in codebases]


def _codebase(running: RunningCodebase, schedules: Schedules) -> dict[str, Any]:
    loaded = running.loaded
    return {
        "name": running.codebase.name,
        "source": str(running.codebase.source),
        "error": running.error,
        "runtime": "" if loaded is None else loaded.host.runtime,
        "unforkable": "" if loaded is None else loaded.host.unforkable,
        "not_run": [] if loaded is None else list(loaded.manifest.problems),
        "functions": [] if loaded is None else [
            _function(loaded.pools[spec.name], running.cold_starts[spec.name], schedules)
            for spec in loaded.manifest.functions
        ],
        "parameters": [] if loaded is None else _parameters(loaded),
        "secrets": [] if loaded is None else _secrets(loaded),
    }  # fmt: skip


def _function(pool: FunctionPool, cold_starts: int, schedules: Schedules) -> dict[str, Any]:
    spec = pool.spec
    told = {
        "name": spec.name,
        "trigger": spec.described_trigger(),
        "regions": list(spec.regions),
        "memory_mib": spec.memory_mib,
        "timeout_seconds": spec.timeout_seconds,
        "concurrency": spec.concurrency,
        "max_instances": spec.max_instances,
        "secrets": list(spec.secrets),
        "without_effect": list(spec.without_effect),
        "instance_limit": pool.instance_limit,
        "instances": [
            {"in_flight": instance.in_flight, "memory_bytes": instance.memory_bytes(), "retired": instance.retired}
            for instance in pool.instances
        ],
        "waiting": pool.waiting,
        "cold_starts": cold_starts,
    }
    if isinstance(spec.trigger, ScheduleTrigger):
        due = schedules.due(spec.name)
        told["schedule"] = {
            "schedule": spec.trigger.schedule,
            "time_zone": spec.trigger.time_zone,
            "due": None if due is None else due.isoformat(),
            "running": schedules.is_running(spec.name),
        }
    return told


def _declared(loaded: Loaded) -> Sequence[Mapping[str, Any]]:
    declared = loaded.host.manifest.get("params")
    return [each for each in declared if isinstance(each, Mapping)] if isinstance(declared, list) else []


def _parameters(loaded: Loaded) -> list[dict[str, Any]]:
    return [
        {
            "name": str(each.get("name")),
            "type": str(each.get("type", "string")),
            "value": loaded.values.get(str(each.get("name"))),
            "given": str(each.get("name")) in loaded.environment,
        }
        for each in _declared(loaded)
        if each.get("type") != _HIDDEN
    ]


def _secrets(loaded: Loaded) -> list[dict[str, Any]]:
    of_functions = {name for spec in loaded.manifest.functions for name in spec.secrets}
    declared = {str(each.get("name")) for each in _declared(loaded) if each.get("type") == _HIDDEN}
    return [
        {
            "name": name,
            "has_value": name in loaded.environment,
            "functions": [spec.name for spec in loaded.manifest.functions if name in spec.secrets],
        }
        for name in sorted(of_functions | declared)
    ]
