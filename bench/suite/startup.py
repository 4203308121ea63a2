"""Starting up: from `afterimage-emulator start` to every port answering, and what the idle process holds in memory.

The floor is a Python that only imports the libraries the suite stands on.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from bench.measuring import Figure, show, takes_no_options

ROOT = Path(__file__).resolve().parents[2]
REPEATS = 5
SERVICES = "firestore,storage,auth,pubsub,tasks"
LIBRARIES = "import asyncio, h2.connection, httptools, google.protobuf.message_factory, google_crc32c, sortedcontainers"


def main() -> None:
    floor = statistics.median(imports() for _ in range(REPEATS))
    without = [start(SERVICES) for _ in range(REPEATS)]
    whole = [start(f"{SERVICES},functions") for _ in range(REPEATS)]
    show(
        "start-up (floor: a Python that imports the same libraries)",
        [
            Figure("five services answer", statistics.median(run[0] for run in without), "s", floor, "goal 0.4 s"),
            Figure("with the functions ready", statistics.median(run[0] for run in whole), "s", floor, "goal 1.0 s"),
        ],
    )
    show(
        "memory of the suite's process, idle",
        [
            Figure("five services", statistics.median(run[1] for run in without), "MiB", note="goal under 60"),
            Figure("with the functions ready", statistics.median(run[1] for run in whole), "MiB", note="goal under 60"),
        ],
    )


def imports() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], check=True)
    return time.perf_counter() - started


def start(only: str) -> tuple[float, float]:
    """Seconds until every service has answered a request, and the resident MiB after that."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        environment = os.environ | {"TMPDIR": folder}
        started = time.perf_counter()
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "afterimage_emulator", "start", "--only", only, "--project", "demo-startup"],
                cwd=ROOT, stdout=output, stderr=output, env=environment,
            )  # fmt: skip
        try:
            hub = wait_for_hub(Path(folder) / "hub-demo-startup.json", process, log)
            for address in emulators(hub).values():
                knock(address)
            wait_for_line(log, "try", process)
            seconds = time.perf_counter() - started
            return seconds, resident_mib(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def wait_for_hub(locator: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(log.read_text())
        try:
            return str(json.loads(locator.read_text())["origins"][0])
        except (OSError, ValueError):
            time.sleep(0.002)
    raise SystemExit("the suite did not start:\n" + log.read_text())


def wait_for_line(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    while text not in log.read_text() and process.poll() is None:
        time.sleep(0.002)


def emulators(hub: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{hub}/emulators", timeout=10) as answer:
        listing: dict[str, Any] = json.load(answer)
        return listing


def knock(address: dict[str, Any]) -> None:
    """Any HTTP answer counts: the port is served."""
    connection = http.client.HTTPConnection(address["host"], address["port"], timeout=10)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()


def resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the process has no memory figure")


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
