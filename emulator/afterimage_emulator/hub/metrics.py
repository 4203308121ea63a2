"""`/metrics`: requests and functions as figures, in the text form that monitoring systems read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from afterimage_emulator.wire.observers import RequestObserver

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "afterimage_emulator_"
Sample = tuple[Mapping[str, object], float]


def metrics_text(observer: RequestObserver, services: Mapping[str, Any]) -> str:
    lines = [
        *_metric("requests_total", "counter", "Requests answered, by service and status.", (
            ({"service": service, "status": status}, count)
            for (service, status), count in sorted(observer.statuses.items())
        )),
        *_metric("request_seconds_total", "counter", "Time spent on answering, by service.", (
            ({"service": service}, seconds) for service, seconds in sorted(observer.seconds.items())
        )),
    ]  # fmt: skip
    functions = services.get("functions")
    if functions is not None:
        lines += _of_functions(functions)
    return "\n".join([*lines, ""])


def _of_functions(service: Any) -> Iterator[str]:
    figures = service.figures
    yield from _metric("function_attempts_total", "counter", "Attempts that ended, by function and outcome.", (
        ({"function": name, "outcome": outcome}, count) for (name, outcome), count in sorted(figures.outcomes.items())
    ))  # fmt: skip
    yield from _durations(figures.durations)
    found = [function for codebase in service.overview() for function in codebase["functions"]]
    for name, kind, meaning, value in (
        ("function_cold_starts_total", "counter", "Instances started.", lambda one: one["cold_starts"]),
        ("function_instances", "gauge", "Instances that run.", lambda one: len(one["instances"])),
        ("function_requests_in_flight", "gauge", "Requests that instances are at work on.",
         lambda one: sum(instance["in_flight"] for instance in one["instances"])),
        ("function_requests_waiting", "gauge", "Requests that wait for an instance.", lambda one: one["waiting"]),
        ("function_memory_bytes", "gauge", "Memory that all instances use, where the system tells.",
         lambda one: sum(instance["memory_bytes"] or 0 for instance in one["instances"])),
    ):  # fmt: skip
        yield from _metric(name, kind, meaning, (({"function": one["name"]}, value(one)) for one in found))


def _durations(durations: Mapping[str, Any]) -> Iterator[str]:
    name = f"{_PREFIX}function_seconds"
    yield f"# HELP {name} How long attempts took, by function."
    yield f"# TYPE {name} histogram"
    for function, told in sorted(durations.items()):
        for bound, count in zip((*told.bounds, "+Inf"), accumulate(told.counts), strict=True):
            yield f"{name}_bucket{_labels({'function': function, 'le': bound})} {count}"
        yield f"{name}_sum{_labels({'function': function})} {_number(told.sum_seconds)}"
        yield f"{name}_count{_labels({'function': function})} {sum(told.counts)}"


def _metric(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {_PREFIX}{name} {meaning}"
    yield f"# TYPE {_PREFIX}{name} {kind}"
    for labels, value in samples:
        yield f"{_PREFIX}{name}{_labels(labels)} {_number(value)}"


def _labels(labels: Mapping[str, object]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"
