"""What every benchmark shares: repeated timings, medians, ratios, and a table that shows them beside their floor."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def takes_no_options(description: str | None) -> None:
    """For a benchmark without any: `--help` says what it measures, and anything else is refused by name."""
    argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. `floor` is the least that the figure could be (or the most, for rates)."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    note: str = ""


def median_seconds(work: Callable[[], object], *, repeats: int, warmup: int = 1) -> float:
    for _ in range(warmup):
        work()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work took: of processors, with those of its own processes, and by the clock."""

    processor_seconds: float
    clock_seconds: float


def spent_on(work: Callable[[], object]) -> Spent:
    """Work whose processes end with it. Its processor time hardly moves with what else a machine does."""
    began, started = os.times(), time.perf_counter()
    work()
    ended = os.times()
    of_processors = sum(ended[:4]) - sum(began[:4])  # of this process and of those it waited for
    return Spent(of_processors, time.perf_counter() - started)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def show(title: str, figures: Sequence[Figure]) -> None:
    """Prints a table: value, floor, and how far apart they are."""
    width = max(len(figure.name) for figure in figures)
    sys.stdout.write(f"{title}\n")
    for figure in figures:
        line = f"  {figure.name:<{width}}  {_number(figure.value):>9} {figure.unit:<5}"
        if figure.floor:
            line += f"  floor {_number(figure.floor):>9} {figure.unit:<5}  ×{figure.value / figure.floor:.2f}"
        sys.stdout.write(f"{line}  {figure.note}".rstrip() + "\n")
    sys.stdout.flush()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
