"""Measures the client against its floors: a download against bare HTTP, and what pulling many documents takes.

    python -m bench.client [--megabytes 1024] [--documents 50000]

The suite runs in a process of its own, and each figure of memory comes from a new process. Floors are of the same run:
the same bytes by bare httpx2 into a file without checksums.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import httpx2

from afterimage_client import FirebaseApp, FirebaseOptions
from afterimage_client.auth import FileStore
from bench.measuring import Figure, show

ROUNDS = 3
_SUITE = """
import json, sys
from pathlib import Path
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import find_configuration, load_configuration
from afterimage_emulator.suite import Suite
configuration = load_configuration(find_configuration(Path.cwd()), project_id="demo-bench")
with BackgroundSuite(Suite(configuration, only=("firestore", "auth", "storage"), free_ports=True)) as suite:
    print(json.dumps(suite.environment() | {"BUCKET": suite.default_bucket}), flush=True)
    sys.stdin.read()
"""


@contextmanager
def running_suite() -> Iterator[dict[str, str]]:
    process = subprocess.Popen([sys.executable, "-c", _SUITE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()


def app_in(folder: Path) -> FirebaseApp:
    options = FirebaseOptions(project_id="demo-bench", api_key="any", storage_bucket=os.environ["BUCKET"])
    return FirebaseApp(options, session_store=FileStore(folder / "session"))


async def downloads(folder: Path, size: int) -> list[Figure]:
    """In turn, so that both meet the machine in the same moods."""
    async with app_in(folder) as app, httpx2.AsyncClient(timeout=None) as http:
        user = await app.auth.sign_in_anonymously()
        path = f"users/{user.uid}/ai_generated/videos/large.mp4"
        source = folder / "source"
        with source.open("wb") as file:
            piece = os.urandom(1024 * 1024)
            for _ in range(size // len(piece)):
                file.write(piece)
        host = os.environ["FIREBASE_STORAGE_EMULATOR_HOST"]
        url = f"http://{host}/upload/storage/v1/b/{os.environ['BUCKET']}/o"
        with source.open("rb") as file:  # by an administrator: the rules keep users from files of this size
            answer = await asyncio.to_thread(
                httpx2.post,
                url,
                params={"uploadType": "media", "name": path},
                content=file,
                headers={"authorization": "Bearer owner"},
                timeout=None,
            )
        answer.raise_for_status()
        stored = app.storage.object(path)
        link = await stored.download_url()
        ours, bare = [], []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            with (folder / "bare").open("wb") as file:
                async with http.stream("GET", link) as streamed:
                    async for data in streamed.aiter_raw(1024 * 1024):
                        file.write(data)
                file.flush()
                os.fsync(file.fileno())
            bare.append(size / 1e6 / (time.perf_counter() - begun))
            (folder / "bare").unlink()
            begun = time.perf_counter()
            await stored.download(folder / "target")
            ours.append(size / 1e6 / (time.perf_counter() - begun))
            (folder / "target").unlink()
    return [Figure("a verified download", median(ours), "MB/s", floor=median(bare))]


async def fill(folder: Path, count: int) -> None:
    async with app_in(folder) as app:
        user = await app.auth.sign_in_anonymously()
        notes = app.firestore.collection(f"players/{user.uid}/notes")
        for start in range(0, count, 500):
            batch = app.firestore.batch()
            for number in range(start, min(start + 500, count)):
                batch.set(notes.document(f"{number:06}"), {"n": number, "text": "x" * 200})
            await batch.commit()


async def pull(folder: Path, way: str) -> None:
    """In a process of its own: prints seconds and how far the peak of memory rose."""
    async with app_in(folder) as app:
        user = app.auth.current_user
        assert user is not None
        notes = app.firestore.collection(f"players/{user.uid}/notes")
        await notes.limit(1).get()
        before, begun = peak_mebibytes(), time.perf_counter()
        if way == "stream":
            count = len([None async for _ in notes.stream()])
        elif way == "changes":
            async with notes.listen_to_changes() as changes:
                count = len((await anext(changes)).changed)
        else:
            async with notes.listen() as snapshots:
                count = len(await anext(snapshots))
        sys.stdout.write(json.dumps([count, time.perf_counter() - begun, peak_mebibytes() - before]))


def peak_mebibytes() -> float:
    """The peak of this very program: the figure of getrusage would carry over what its parent once had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--documents", type=int, default=50_000)
    parser.add_argument("--pull", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pull:
        asyncio.run(pull(Path(options.pull[0]), options.pull[1]))
        return
    with tempfile.TemporaryDirectory() as name, running_suite() as environment:
        os.environ.update(environment)
        folder = Path(name)
        figures = asyncio.run(downloads(folder, options.megabytes * 1024 * 1024))
        asyncio.run(fill(folder, options.documents))
        for way in ("stream", "changes", "listen"):
            command = [sys.executable, "-m", "bench.client", "--pull", name, way]
            ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            count, seconds, mebibytes = json.loads(ran.stdout)
            assert count == options.documents
            figures.append(
                Figure(f"{count:,} documents by `{way}`", count / seconds, "/s", note=f"{mebibytes:.0f} MiB")
            )
        show("the client, from the suite", figures)


if __name__ == "__main__":
    main()
