"""Making variants of one upload: ours, sharp, and the best-known extension's flow, on the same inputs in one run.

CPU and wall time are the best of a few rounds, each contender in a process of its own; bytes and likeness (SSIM against
the ideal picture of that size) stand beside them, so that nobody wins by quality. The floor runs on one thread, and two
threads that share a core take more CPU time for the same work, so ours is measured on one thread too. Sharp needs Node
and npm.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measuring import takes_no_options
from bench.media_parts.inputs import INPUTS
from bench.media_parts.likeness import likeness
from bench.media_parts.ours import plan_of

PARTS = Path(__file__).parent / "media_parts"
REPEATS = 3
STILL = {"thumbnails": [200, 400, 800, 1600]}
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, STILL) for name in INPUTS} | {
    "photo 8 MP JPEG, AVIF too": ("photo 8 MP JPEG", STILL | {"avif": True}),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender needed for one case."""

    wall: float
    cpu: float
    memory: float
    size: int
    likeness: float
    first: float
    """When the smallest file was there; nothing where that was not measured."""


def main(wanted: str = "") -> None:
    """Runs the cases whose title contains a text; all by default."""
    has_sharp = install_sharp()
    with tempfile.TemporaryDirectory() as folder:
        for title, (input_name, options) in CASES.items():
            if wanted not in title:
                continue
            source = Path(folder) / input_name.replace(" ", "_")
            if not source.exists():
                source.write_bytes(INPUTS[input_name]())
            show(title, source, dict(measured(source, options, has_sharp=has_sharp)))


def measured(source: Path, options: dict[str, Any], *, has_sharp: bool) -> Iterator[tuple[str, Result]]:
    data = source.read_bytes()
    variants = [
        {
            "name": variant.name,
            "width": variant.width,
            "height": variant.height,
            "format": variant.format.lower(),
            "quality": variant.quality,
        }
        for variant in plan_of(data, options).variants
    ]
    request = {"input": str(source), "repeats": REPEATS, "options": options, "outputs": variants}
    request["animated"] = source.name.startswith("animation")
    ours = [sys.executable, "-m", "bench.media_parts.ours"]
    yield "floor: decode + encodes", run(ours, request | {"flow": "floor"}, data)
    yield "ours on one thread", run(ours, request | {"flow": "one thread"}, data)
    yield "ours", run(ours, request | {"flow": "ours"}, data)
    if has_sharp:
        peer = ["node", str(PARTS / "peer.mjs")]
        yield "sharp in sequence", run(peer, request | {"flow": "sequence"}, data)
        yield "sharp in parallel", run(peer, request | {"flow": "parallel"}, data)
        yield "the extension's flow", run(peer, request | {"flow": "extension"}, data)


def run(command: list[str], request: dict[str, Any], source: bytes) -> Result:
    with tempfile.TemporaryDirectory() as folder:
        argument = json.dumps(request | {"folder": folder})
        done = subprocess.run([*command, argument], capture_output=True, text=True, timeout=300, check=True)
        found = json.loads(done.stdout)
        outputs = [path.read_bytes() for path in sorted(Path(folder).iterdir())]
        alike = [likeness(source, output) for output in outputs]
        return Result(
            wall=found["wall"],
            cpu=found["cpu"],
            memory=found["memory"],
            size=sum(map(len, outputs)),
            likeness=sum(alike) / len(alike),
            first=found.get("first", 0.0),
        )


def show(title: str, source: Path, results: dict[str, Result]) -> None:
    floor, ours = results["floor: decode + encodes"], results["ours"]
    single = results["ours on one thread"]
    sys.stdout.write(f"\n{title} ({source.stat().st_size / 1e6:.1f} MB)\n")
    sys.stdout.write(f"  {'':24}{'wall ms':>9}{'CPU ms':>9}{'MiB':>7}{'KB':>8}{'SSIM':>8}   ours, as a share of it\n")
    for name, result in results.items():
        share = (
            f"CPU ×{single.cpu / floor.cpu:.2f} on one thread, ×{ours.cpu / floor.cpu:.2f} on all"
            if result is floor
            else f"wall ×{ours.wall / result.wall:.2f}  CPU ×{ours.cpu / result.cpu:.2f}"
        )
        sys.stdout.write(
            f"  {name:24}{result.wall:9.0f}{result.cpu:9.0f}{result.memory:7.0f}{result.size / 1000:8.0f}"
            f"{result.likeness:8.4f}   {'' if result in (ours, single) else share}\n"
        )
    sys.stdout.write(
        f"  {'the first file after':24}{ours.first:9.0f}   ×{ours.first / ours.wall:.2f} of the time to all\n"
    )
    sys.stdout.flush()


def install_sharp() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        sys.stdout.write("npm is not installed: sharp is left out\n")
        return False
    if not (PARTS / "node_modules" / "sharp").exists():
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=PARTS, check=True, timeout=300)
    return True


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].startswith("-"):
        takes_no_options(__doc__)
    main(*sys.argv[1:2])
