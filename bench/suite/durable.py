"""What keeping data costs: the same commits to a suite with `--data` and, in the same run, to one without.

Below stands what the disk itself takes for one wait, since a commit that is alone cannot be answered sooner.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.measuring import Figure, median_seconds, show, takes_no_options
from bench.suite.firestore import (
    A_COMMIT,
    CALLS,
    DATABASE,
    DOCUMENTS,
    NO_LIMIT,
    PREFIX,
    commit_request,
    document,
    in_flight,
    repeated,
    sample,
)

PROJECT = DATABASE.split("/")[1]
SYNCS = 200


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-durable-", dir=os.environ.get("BENCH_FOLDER")) as folder:
        show("Keeping data (floors: the same without --data, in the same run)", [*figures(Path(folder))])


def figures(folder: Path) -> Iterator[Figure]:
    with ExitStack() as stack:
        kept = stack.enter_context(suite(folder, "--data", str(folder / "data")))
        plain = stack.enter_context(suite(folder))
        calls = [
            stack.enter_context(grpc.insecure_channel(address, options=NO_LIMIT)).unary_unary(PREFIX + "Commit")
            for address in (kept, plain)
        ]
        requests = [commit_request(document("single/a", n=number, text="x" * 930)) for number in range(CALLS)]
        for name, way, bar in (("commit", repeated, 1.5), ("commit, 32 in flight", in_flight, 1.25)):
            taken = [1e6 * median_seconds(way(call, requests), repeats=3) / CALLS for call in calls]
            yield Figure(name, taken[0], "µs", taken[1], f"at most ×{bar}")
        load = [
            commit_request(*(sample(number) for number in range(first, first + A_COMMIT)))
            for first in range(0, DOCUMENTS, A_COMMIT)
        ]
        taken = [timed(in_flight(call, load)) for call in calls]
        yield Figure(f"load of {DOCUMENTS:,}", taken[0], "s", taken[1], "at most ×1.4")
    started = time.perf_counter()
    with suite(folder, "--data", str(folder / "data")):
        yield Figure(f"start with {DOCUMENTS:,}", time.perf_counter() - started, "s", note="at most 1.5 s")
    yield Figure("the disk alone: write and wait", 1e6 * wait_of_disk(folder), "µs")


def timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def wait_of_disk(folder: Path) -> float:
    """The median of a record of the same size, appended and waited for, by nobody but this process."""
    taken = []
    with (folder / "alone").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            started = time.perf_counter()
            file.write(b"x" * 1_100)
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


@contextmanager
def suite(folder: Path, *arguments: str) -> Iterator[str]:
    """Firestore alone, started as a user starts it; gives its address once it answers."""
    file = folder / "firebase.json"
    file.write_text('{"emulators": {"hub": {"port": 0}, "firestore": {"port": 0}, "ui": {"enabled": false}}}')
    process = subprocess.Popen(
        [sys.executable, "-m", "afterimage_emulator", "start", "--only", "firestore", "--project", PROJECT,
         "--config", str(file), *arguments],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    told = ""
    try:
        assert process.stderr is not None
        while "serving; press Ctrl-C" not in told:
            line = process.stderr.readline()
            if not line:
                raise RuntimeError(f"the suite did not start: {told}")
            told += line
        found = re.search(r"firestore +(127\.0\.0\.1:\d+)", told)
        assert found is not None
        yield found[1]
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
