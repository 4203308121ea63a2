"""The slice: from an upload to its thumbnails visible, for a cold function and for a warm one.

The floor is what no suite can avoid: the image work itself, plus one round trip to a bare functions-framework process.
"""

from __future__ import annotations

import base64
import io
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image

from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import load_configuration
from afterimage_emulator.suite import Suite
from bench.measuring import Figure, median_seconds, show, takes_no_options

ROOT = Path(__file__).resolve().parent.parent
UPLOADS = 12
BARE_FUNCTION = """
import functions_framework
@functions_framework.cloud_event
def nothing(event):
    pass
"""


def main() -> None:
    picture = draw()
    configuration = load_configuration(ROOT / "firebase.json", project_id="demo-bench-slice")
    with BackgroundSuite(Suite(configuration, free_ports=True)) as suite:
        os.environ |= suite.environment()
        taken = [seconds for number in range(UPLOADS + 1) for seconds in (upload(suite, picture, number),)]
    work = median_seconds(lambda: image_work(picture), repeats=5)
    bare_cold, bare_warm = bare_framework()
    cold, warm = taken[0], statistics.median(taken[1:])
    show(
        f"upload → thumbnails visible, JPEG of {len(picture):,} bytes (floor: image work + bare round trip)",
        [
            Figure("first event of a cold function", cold * 1000, "ms", (work + bare_cold) * 1000),
            Figure(f"median of {UPLOADS} warm ones", warm * 1000, "ms", (work + bare_warm) * 1000),
        ],
    )
    show(
        "of which",
        [
            Figure("image work", work * 1000, "ms"),
            Figure("bare functions-framework: spawn → first event", bare_cold * 1000, "ms"),
            Figure("bare functions-framework: one warm event", bare_warm * 1000, "ms"),
        ],
    )


def upload(suite: BackgroundSuite, picture: bytes, number: int) -> float:
    """Seconds from the start of the upload until the listener sees `ready`."""
    from google.cloud import firestore, storage

    name = f"users/bench/ai_generated/images/card{number}_portrait.jpg"
    identifier = base64.urlsafe_b64encode(f"{suite.default_bucket}/{name}".encode()).rstrip(b"=").decode()
    ready, listening = threading.Event(), threading.Event()

    def see(snapshots: list[Any], changes: Any, read_time: Any) -> None:
        listening.set()
        if any(snapshot.exists and snapshot.get("status") == "ready" for snapshot in snapshots):
            ready.set()

    bucket = storage.Client(project=suite.project_id).bucket(suite.default_bucket)
    record = firestore.Client(project=suite.project_id).document(f"users/bench/objects/{identifier}")
    with closing(record.on_snapshot(see)):
        listening.wait(10)
        started = time.perf_counter()
        bucket.blob(name).upload_from_string(picture, "image/jpeg")
        if not ready.wait(60):
            raise SystemExit("no thumbnails after 60 s")
        return time.perf_counter() - started


def image_work(picture: bytes) -> None:
    """What the function does between reading and writing, in this process."""
    sys.path.insert(0, str(ROOT / "functions"))
    from afterimage.media.inspection.inspect import inspect_image
    from afterimage.media.limits import limits_for
    from afterimage.media.plan import make_plan, options_for
    from afterimage.media.render import render
    from afterimage.paths import Family

    limits = limits_for(1024)
    inspection = inspect_image(picture, declared_type="image/jpeg", limits=limits)
    plan = make_plan(options_for(Family.AI_IMAGE, {}), inspection, limits)
    for _ in render(picture, inspection, plan, limits):
        pass


def bare_framework() -> tuple[float, float]:
    """Seconds from spawn to the first answered event, and for one more event."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "main.py"
        source.write_text(BARE_FUNCTION)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "nothing",
             "--signature-type", "cloudevent", "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            while not send_event(port):
                time.sleep(0.002)
            cold = time.perf_counter() - started
            warm = median_seconds(lambda: send_event(port), repeats=20)
            return cold, warm
        finally:
            process.terminate()
            process.wait()


def send_event(port: int) -> bool:
    headers = {"ce-id": "1", "ce-source": "//bench", "ce-type": "bench", "ce-specversion": "1.0",
               "content-type": "application/json"}  # fmt: skip
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=b"{}", headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(answer.status < 300)
    except OSError:
        return False


def draw() -> bytes:
    """Two megapixels with some texture, as a phone's portrait might be."""
    image = Image.effect_noise((1600, 1200), 24).convert("RGB")
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=88)
    return stored.getvalue()


if __name__ == "__main__":
    takes_no_options(__doc__)
    main()
