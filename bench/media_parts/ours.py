"""Our own contenders, each in a process of its own so that its peak of memory is its own: the renderer, and the floor.

The floor is one decode, and the encodes alone: their sizes were made before the watch was started.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "functions"))

from PIL import Image

from afterimage.media.allocator import suit_pictures
from afterimage.media.inspection.inspect import inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.plan import Plan, PlanOptions, make_plan
from afterimage.media.render import AVIF_SPEED, WEBP_METHOD, RenderedFile, render

LIMITS = limits_for(4096)


def plan_of(data: bytes, options: dict[str, Any]) -> Plan:
    return make_plan(PlanOptions(**options), inspect_image(data, declared_type="", limits=LIMITS), LIMITS)


def rendered(data: bytes, options: dict[str, Any], first: list[float], workers: int | None = None) -> dict[str, bytes]:
    """Everything between the bytes of the upload and the bytes of the variants; notes when the first one was there."""
    started = time.perf_counter()
    inspection = inspect_image(data, declared_type="", limits=LIMITS)
    plan = make_plan(PlanOptions(**options), inspection, LIMITS)
    files: dict[str, bytes] = {}
    for file in render(data, inspection, plan, LIMITS, workers=workers):
        if isinstance(file, RenderedFile) and file.data is not None:
            files[file.variant.name] = file.data
            if len(files) == 1:
                first.append((time.perf_counter() - started) * 1000)
    return files


def floor_of(data: bytes, options: dict[str, Any]) -> Callable[[], dict[str, bytes]]:
    plan = plan_of(data, options)
    frames = getattr(Image.open(io.BytesIO(data)), "n_frames", 1)
    levels: dict[tuple[int, int], list[Image.Image]] = {}
    for size in {(variant.width, variant.height) for variant in plan.variants}:
        levels[size] = [frame.resize(size, Image.Resampling.LANCZOS) for frame in _decoded(data, frames)]

    def run() -> dict[str, bytes]:
        _decoded(data, frames)
        return {
            variant.name: _encoded(levels[variant.width, variant.height], variant.format, variant.quality)
            for variant in plan.variants
        }

    return run


def _decoded(data: bytes, frames: int) -> list[Image.Image]:
    found = []
    with Image.open(io.BytesIO(data)) as image:
        for number in range(frames):
            image.seek(number)
            found.append(image.convert("RGBA" if frames > 1 else "RGB"))
    return found


def _encoded(frames: list[Image.Image], kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    if kind == "AVIF":
        frames[0].save(buffer, kind, quality=quality, speed=AVIF_SPEED, max_threads=1)
    elif len(frames) > 1:
        options = {"quality": quality, "method": WEBP_METHOD, "kmax": 0}
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **options)
    else:
        frames[0].save(buffer, kind, quality=quality, method=WEBP_METHOD)
    return buffer.getvalue()


def peak_memory_mib() -> float:
    """The peak of this very program: the figure of getrusage would carry over what its parent once had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main(request: dict[str, Any]) -> None:
    data = Path(request["input"]).read_bytes()
    options = request["options"]
    suit_pictures()
    workers = 1 if request["flow"] == "one thread" else None
    first: list[float] = []
    work = floor_of(data, options) if request["flow"] == "floor" else lambda: rendered(data, options, first, workers)
    wall = cpu = float("inf")
    files: dict[str, bytes] = {}
    for _ in range(request["repeats"]):
        started, cpu_started = time.perf_counter(), time.process_time()
        files = work()
        wall = min(wall, (time.perf_counter() - started) * 1000)
        cpu = min(cpu, (time.process_time() - cpu_started) * 1000)
    for name, content in files.items():
        (Path(request["folder"]) / name).write_bytes(content)
    memory = peak_memory_mib()
    found = {"wall": wall, "cpu": cpu, "memory": memory, "first": min(first, default=0.0)}
    sys.stdout.write(json.dumps(found | {"names": sorted(files)}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
