"""What N users and M events a second take: instances, connections, dollars by line, and the first limit that is met.

Operations are counted, seconds of CPU are measured here with the official client against the suite in another process,
prices and limits are data (`bench/scale_parts`). The counted operations are checked against the suite at three sizes.
`python -m bench.scale --users 10000000 --events-per-second 11600` is a thousand million events a day.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functions"))

from afterimage.delivery.gathering import MOST_TOGETHER
from afterimage.ledger.bookkeeper import Awaiting, Bookkeeper
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.suite import Suite
from bench.ledger import CountingStore, event
from bench.measuring import Figure, show
from bench.scale_parts.model import (
    Load,
    dollars_a_day,
    instances,
    limits,
    operations_of,
    ramp_minutes,
    view_lag_seconds,
)

ROOT = Path(__file__).resolve().parents[1]
SIZES = (160, 800, 2_400)
"""Events of each kind, a multiple of a full group."""


def measure(size: int) -> dict[str, float]:
    """Books calm events and groups of a hot user's; what that was charged for, and the CPU of this process."""
    from google.cloud import firestore_v1

    store = CountingStore(firestore_v1.Client(project="demo-scale"))
    calm = Bookkeeper(store=store, monotonic=iter(range(0, 10**9, 10)).__next__)
    hot = Bookkeeper(store=store)
    # The first booking of a model reads the books; so does a first call, which also opens the channel.
    calm.book(event(f"calm-{size}", 0, 0), is_first=True)
    hot.book(event(f"hot-{size}", 0, 0), is_first=True)
    store.bill.reads = store.bill.writes = store.bill.deletes = 0
    began = time.process_time()
    for number in range(1, size + 1):
        calm.book(event(f"calm-{size}", number, 0), is_first=True)
    taken = time.process_time() - began
    for first in range(1, size + 1, MOST_TOGETHER):
        seen = [event(f"hot-{size}", first + number, 0) for number in range(MOST_TOGETHER)]
        hot.book_together([Awaiting(seen=each, is_first=True) for each in seen])
    bill = store.bill
    return {"reads": bill.reads, "writes": bill.writes, "deletes": bill.deletes, "cpu": taken / size}


def measured(sizes: tuple[int, ...]) -> list[dict[str, float]]:
    """Each size in a process of its own, so that the suite's CPU is not the client's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "firebase.json").write_text('{"firestore": {}}')
        configuration = load_configuration(Path(folder, "firebase.json"), project_id="demo-scale")
        with BackgroundSuite(Suite(configuration, only=("firestore",), free_ports=True)) as suite:
            found = []
            for size in sizes:
                done = subprocess.run(
                    [sys.executable, "-m", "bench.scale", "--measure", str(size)],
                    cwd=ROOT,
                    env=os.environ | suite.environment(),
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found.append(json.loads(done.stdout))
            return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--events-per-second", type=float, default=11_600.0)
    parser.add_argument("--hot", type=float, default=0.2, help="the share of events that come from hot users")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        sys.stdout.write(json.dumps(measure(options.measure)))
        return
    if options.users < 1 or options.events_per_second <= 0 or not 0 <= options.hot <= 1:
        parser.error("`--users` and `--events-per-second` must be above nought, `--hot` from 0 to 1")
    checked, cpu = [], 0.0
    for size, found in zip(SIZES, measured(SIZES), strict=True):
        expected = operations_of(2 * size, hot=0.5, new=1.0)
        note = f"{found['reads']:.0f} R of {expected.reads:.0f}, {found['writes']:.0f} W of {expected.writes:.0f}"
        checked.append(Figure(f"{2 * size} events", found["writes"], "W", floor=expected.writes, note=note))
        cpu = found["cpu"]
    show("counted on the suite, beside the model", checked)
    load = Load(users=options.users, events_a_second=options.events_per_second, hot=options.hot)
    load = replace(load, cpu_seconds_an_event=cpu)
    done = operations_of(load.events_a_second, hot=load.hot, new=load.new)
    show(
        f"{load.users:,} users, {load.events_a_second:,.0f} events a second",
        [
            Figure("CPU of an event", cpu * 1000, "ms", note="the client's and ours, measured here"),
            Figure("instances", instances(load), "", note="at 60 % of a processor each"),
            Figure("connections", load.users * load.online, "", note=f"{load.online:.0%} of users listen"),
            Figure("reads a second", done.reads, ""),
            Figure("writes a second", done.writes + load.events_a_second, "", note="with the clients' own"),
            Figure("operators' view behind", view_lag_seconds(load) / 3600, "h", note="at most"),
            Figure("ramp", ramp_minutes(load), "min", note="half as much again every five minutes"),
        ],
    )
    lines = dollars_a_day(load)
    show("dollars a day", [*(Figure(name, dollars, "$") for name, dollars in lines.items()),
                           Figure("all", sum(lines.values()), "$")])  # fmt: skip
    found_limits = [Figure(each.name, each.events_a_second, "ev/s", note=each.moved_by) for each in limits(load)]
    show("limits, the first that is met on top", found_limits)


if __name__ == "__main__":
    main()
