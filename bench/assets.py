"""The origin of published files, beside a bare route that streams the same bytes, and what a hit in a cache costs it.

All servers are functions-framework under gunicorn, each in a process of its own, asked by the same clients in turns;
the bytes lie in the suite's Cloud Storage. The bare route checks nothing: it opens the object with the official client
and streams it; a second one streams what it holds in memory, which nothing that asks a database can reach.
Bars: the warm origin serves at least 0.6 of the bare route, and a hit behind a shared cache asks the function nothing.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from google.cloud import firestore, storage

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, show, takes_no_options

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "demo-bench-assets"
PUBLIC = "0" * 40
SIZES = {"thumbnail, 20 KiB": 20 * 1024, "full picture, 1 MiB": 1024 * 1024}
CLIENTS = 4
REQUESTS = 400
ROUNDS = 5
HITS = 500
BAR = 0.6
BARE = """
import os
import functions_framework
from flask import Response
from google.cloud import storage

client = storage.Client(project=os.environ["GCLOUD_PROJECT"])
held = {}

@functions_framework.http
def bare(request):
    kind, _, name = request.path.strip("/").partition("/")
    blob = client.bucket(os.environ["DERIVED_BUCKET"]).blob(name)
    if kind == "memory":
        if name not in held:
            held[name] = blob.download_as_bytes()
        return Response(iter([held[name]]), content_type="image/webp")
    def pieces():
        with blob.open("rb") as file:
            while piece := file.read(1024 * 1024):
                yield piece
    return Response(pieces(), content_type="image/webp")
"""


def main() -> None:
    takes_no_options(__doc__)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        configuration = Configuration(root=folder, project_id=PROJECT)
        suite = stack.enter_context(
            BackgroundSuite(Suite(configuration, only=("firestore", "storage"), free_ports=True))
        )
        environment = {
            **os.environ,
            **suite.environment(),
            "GCLOUD_PROJECT": PROJECT,
            "DERIVED_BUCKET": "bench-derived",
        }
        targets = _filled(environment)
        (folder / "bare.py").write_text(BARE)
        assets = stack.enter_context(_function("assets", ROOT / "functions/main.py", environment))
        bare = stack.enter_context(_function("bare", folder / "bare.py", environment))
        figures = []
        for name in SIZES:
            public, plain = targets[name]
            addresses = (f"{assets.url}{public}", f"{bare.url}/stored/{plain}", f"{bare.url}/memory/{plain}")
            ours, floor, memory = _rates(*addresses)
            note = "as the bar asks" if ours >= BAR * floor else f"UNDER the bar of {BAR:.0%}"
            figures.append(Figure(f"warm origin, {name}", ours, "req/s", floor, note))
            figures.append(Figure("  beside one that streams from memory", ours, "req/s", memory))
        show("published files, beside a bare streaming route", figures)
        show(f"behind a shared cache, {HITS} hits", list(_hits(assets, targets["thumbnail, 20 KiB"][0], folder)))


class Served:
    """A function in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"

    def cpu_seconds(self) -> float:
        """What gunicorn and its workers have used so far."""
        ticks = 0
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if self.process.pid in {int(status.parent.name), int(fields[1])}:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def _function(target: str, source: Path, environment: dict[str, str]) -> Iterator[Served]:
    with closing(socket.socket()) as trial:
        trial.bind(("127.0.0.1", 0))
        port = trial.getsockname()[1]
    command = [str(Path(sys.executable).parent / "functions-framework"), "--target", target, "--source", str(source)]
    settled = environment | {"PORT": str(port), "THREADS": "4", "WORKERS": "1"}
    process = subprocess.Popen([*command, "--port", str(port)], env=settled, cwd=source.parent)
    try:
        end = time.monotonic() + 60
        while True:
            with closing(socket.socket()) as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"`{target}` does not serve")
            time.sleep(0.05)
        yield Served(process, port)
    finally:
        process.terminate()
        process.wait(20)


def _filled(environment: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Stores the bytes and says that they are public; the address of each at the origin, and its name."""
    os.environ.update(environment)
    bucket = storage.Client(project=PROJECT).bucket("bench-derived")
    targets, files = {}, {}
    for number, (name, size) in enumerate(SIZES.items()):
        path = f"bench/picture/1/abcdef0123/size_{number}.webp"
        bucket.blob(path).upload_from_string(os.urandom(size), "image/webp")
        tail = f"abcdef0123/size_{number}.webp"
        files[tail] = {
            "bucket": "bench-derived", "path": path, "content_type": "image/webp", "bytes": size, "etag": f"e{number}",
            "pixels": 1, "generation": None,
        }  # fmt: skip
        targets[name] = (f"/a/{PUBLIC}/{tail}", path)
    publication = {
        "owner": "bench", "object": "x", "generation": 1, "family": "media", "files": files, "at": datetime.now(UTC)
    }  # fmt: skip
    firestore.Client(project=PROJECT).document(f"publications/{PUBLIC}").set(publication)
    return targets


def _rates(*addresses: str) -> tuple[float, ...]:
    """Requests a second at each address; in turns, so that what else the machine does meets all alike."""
    taken: list[list[float]] = [[] for _ in addresses]
    for address in addresses:
        _ask(address, 20)
    for _ in range(ROUNDS):
        for at, address in enumerate(addresses):
            started = time.perf_counter()
            with ThreadPoolExecutor(CLIENTS) as pool:
                list(pool.map(lambda _, address=address: _ask(address, REQUESTS // ROUNDS // CLIENTS), range(CLIENTS)))
            taken[at].append(REQUESTS / ROUNDS / (time.perf_counter() - started))
    return tuple(statistics.median(rates) for rates in taken)


def _ask(address: str, times: int) -> None:
    with httpx2.Client(trust_env=False) as client:
        for _ in range(times):
            client.get(address).raise_for_status()


def _hits(assets: Served, target: str, folder: Path) -> Iterator[Figure]:
    sys.path.insert(0, str(ROOT / "functions"))
    from tests.functions.assets.shared_caches import KINDS, program_of

    for kind, cache_of in KINDS.items():
        if program_of(kind) is None:
            print(f"  `{kind}` is not installed here")
            continue
        room = folder / kind
        room.mkdir()
        with cache_of(assets.port, room) as cache:
            cache.get(target).raise_for_status()
            before, started = assets.cpu_seconds(), time.perf_counter()
            for _ in range(HITS):
                cache.get(target).raise_for_status()
            rate, spent = HITS / (time.perf_counter() - started), assets.cpu_seconds() - before
            yield Figure(f"{kind}, hits", rate, "req/s")
            yield Figure(f"{kind}, CPU of the function", spent * 1000, "ms", note="for all hits together")


if __name__ == "__main__":
    main()
