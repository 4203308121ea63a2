"""The API: one generation read, a cold start, and five hundred clients at once.

The floors are peers in the same run under the same functions-framework: a bare Flask function with one get of the same
document, and a function that only imports Flask and firebase-admin. What is told at last is every status that 500
clients saw, of which only 2xx and 429 are allowed.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, percentile, show, takes_no_options

PROJECT = "demo-bench-api"
MAIN = Path(__file__).resolve().parents[1] / "functions/main.py"
USERS, READS = 12, 40
"""Below the limit of each user; what the limit costs is part of the figure."""
STARTS = 7
CLIENTS, EACH = 500, 3
PEER = """
import flask, functions_framework, firebase_admin
from firebase_admin import firestore

@functions_framework.http
def started(request):
    return flask.jsonify(status="ok")

@functions_framework.http
def bare(request):
    try:
        app = firebase_admin.get_app()
    except ValueError:
        app = firebase_admin.initialize_app()
    found = firestore.client(app).document(request.args["path"]).get().to_dict()
    return flask.jsonify({name: str(value) for name, value in found.items()})
"""


def main() -> None:
    takes_no_options(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "peer.py"
        peer.write_text(PEER)
        configuration = Configuration(root=Path(folder), project_id=PROJECT)
        suite = Suite(configuration, only=("firestore", "storage", "auth"), free_ports=True)
        with BackgroundSuite(suite) as running:
            environment = {**os.environ, **running.environment(), "API_APP_CHECK": "off", "THREADS": "8"}
            environment |= {"GCLOUD_PROJECT": PROJECT, "GOOGLE_CLOUD_PROJECT": PROJECT}
            write_generations(environment)
            figures = [*cold_starts(peer, environment), *reads(peer, environment), *crowd(environment)]
    show("the API", figures)


def write_generations(environment: dict[str, str]) -> None:
    """A generation of each user, by another process: this one shall load no client."""
    script = (
        "import sys; from datetime import datetime, UTC; from google.cloud import firestore;"
        "client = firestore.Client();"
        "fields = dict(project_id='p', prompt='a shop', mode='classic', status='completed', version=1,"
        " current_version=1, files=[dict(path=f'f{n}.py', bytes=100) for n in range(12)], files_count=12,"
        " archive=None, model='m', error=None, created_at=datetime.now(UTC), updated_at=datetime.now(UTC));"
        f"[client.document(f'users/u{{n}}/generations/g').set(fields) for n in range({max(USERS, CLIENTS)})]"
    )
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


def token(uid: str) -> str:
    now = int(datetime.now(UTC).timestamp())
    issuer = f"https://securetoken.google.com/{PROJECT}"
    claims = {"sub": uid, "user_id": uid, "aud": PROJECT, "iss": issuer, "iat": now, "exp": now + 3600}
    return unsigned_jwt({**claims, "auth_time": now})


@contextmanager
def serving(source: Path, target: str, environment: dict[str, str], first: str) -> Iterator[tuple[int, float]]:
    """A process of functions-framework: its port, and how long its first answer took from the start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", target]
    began = time.perf_counter()
    with subprocess.Popen(
        [*command, "--port", str(port), "--host", "127.0.0.1"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while True:
                try:
                    assert asked(port, first)[0] == 200
                    break
                except (ConnectionError, OSError):
                    if process.poll() is not None:
                        raise SystemExit(f"`{target}` did not start") from None
            yield port, time.perf_counter() - began
        finally:
            process.terminate()


def asked(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, float]:
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - began
    finally:
        connection.close()


def cold_starts(peer: Path, environment: dict[str, str]) -> list[Figure]:
    """In turns, so that whatever else the machine does meets both."""
    ours, theirs = list[float](), list[float]()
    for _ in range(STARTS):
        with serving(peer, "started", environment, "/") as (_, seconds):
            theirs.append(seconds)
        with serving(MAIN, "api", environment, "/health") as (_, seconds):
            ours.append(seconds)
    value, floor = percentile(ours, 0.5) * 1000, percentile(theirs, 0.5) * 1000
    return [Figure("spawn to first answer", value, "ms", floor, "peer: Flask and firebase-admin; goal ×1.3")]


def reads(peer: Path, environment: dict[str, str]) -> list[Figure]:
    ours, theirs = list[float](), list[float]()
    with (
        serving(peer, "bare", environment, "/?path=users/u0/generations/g") as (bare, _),
        serving(MAIN, "api", environment, "/health") as (api, _),
    ):
        for user in range(USERS):
            headers = {"Authorization": f"Bearer {token(f'u{user}')}"}
            path = f"users/u{user}/generations/g"
            for _ in range(READS):
                status, seconds = asked(bare, f"/?path={path}")
                assert status == 200
                theirs.append(seconds)
                status, seconds = asked(api, "/generations/g", headers)
                assert status == 200
                ours.append(seconds)
    value, floor = percentile(ours, 0.5) * 1000, percentile(theirs, 0.5) * 1000
    mean, mean_floor = sum(ours) / len(ours) * 1000, sum(theirs) / len(theirs) * 1000
    return [
        Figure("GET of one generation, median", value, "ms", floor, "peer: one get in a bare function; goal ×2.5"),
        Figure("GET of one generation, mean", mean, "ms", mean_floor, "with what the limit writes"),
    ]


def crowd(environment: dict[str, str]) -> list[Figure]:
    """Every client on connections of its own, all at once; half of them are one user, whom the limit meets."""
    statuses: Counter[int] = Counter()
    with serving(MAIN, "api", environment, "/health") as (api, _):

        def client(number: int) -> list[int]:
            uid = f"u{number}" if number % 2 else "u0"
            headers = {"Authorization": f"Bearer {token(uid)}"}
            return [asked(api, "/generations/g", headers)[0] for _ in range(EACH)]

        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            for told in pool.map(client, range(CLIENTS)):
                statuses.update(told)
        seconds = time.perf_counter() - began
    bad = sum(count for status, count in statuses.items() if not (200 <= status < 300 or status == 429))
    listed = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
    return [
        Figure("500 clients at once", sum(statuses.values()) / seconds, "/s", None, listed),
        Figure("neither 2xx nor 429", bad, "", None, "goal 0"),
    ]


if __name__ == "__main__":
    main()
