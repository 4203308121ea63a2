"""Memory: the largest picture that is accepted fits into the memory that its limits were derived from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import isqrt
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from afterimage.media.limits import AVIF_BYTES, OPAQUE_BYTES, Limits, limits_for
from tests.functions.media.pictures import encoded, swapped_profile

has_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
MEMORY_MIB = 256
LIMITS = limits_for(MEMORY_MIB)
SCRIPT = """
import sys
import firebase_functions.storage_fn, google.cloud.firestore_v1, google.cloud.storage
from pathlib import Path
from afterimage.media.allocator import suit_pictures
from afterimage.media.inspection.inspect import Verdict, inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.plan import PlanOptions, make_plan
from afterimage.media.render import render
suit_pictures()
data, limits = Path(sys.argv[1]).read_bytes(), limits_for(int(sys.argv[2]))
found = inspect_image(data, declared_type="", limits=limits)
assert found.verdict is Verdict.ACCEPT, found.reason
plan = make_plan(PlanOptions(avif='avif' in sys.argv), found, limits)
for _ in range(int(sys.argv[3])):
    assert list(render(data, found, plan, limits, workers=1 if "one thread" in sys.argv else 2))
    print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


def noise(pixels: int) -> Image.Image:
    return Image.effect_noise((isqrt(pixels) - 1, isqrt(pixels) - 1), 40)


def opaque(limits: Limits) -> bytes:
    return encoded(Image.merge("RGB", [noise(limits.pixels)] * 3), "JPEG", icc_profile=swapped_profile())


def transparent(limits: Limits) -> bytes:
    band = noise(limits.pixels_with_alpha).reduce(4).resize([isqrt(limits.pixels_with_alpha) - 1] * 2)
    return encoded(Image.merge("RGBA", [band] * 4), "PNG", compress_level=1)


def in_avif_too(limits: Limits) -> bytes:
    return encoded(Image.merge("RGB", [noise(limits.room // (OPAQUE_BYTES + AVIF_BYTES))] * 3), "JPEG")


def moving(limits: Limits) -> bytes:
    first = noise(limits.animation_pixels // 20).quantize(16)
    frames = [ImageChops.offset(first, step) for step in range(1, 20)]
    return encoded(first, "GIF", save_all=True, append_images=frames)


def peaks_mib(picture: Path, repeats: int, *options: str, memory_mib: int = MEMORY_MIB) -> list[int]:
    """The highest memory of a process with all that a function loads, after each time it rendered the picture."""
    command = [sys.executable, "-c", SCRIPT, str(picture), str(memory_mib), str(repeats), *options]
    done = subprocess.run(command, cwd=FUNCTIONS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


@has_proc
@pytest.mark.parametrize("make", [opaque, transparent, in_avif_too, moving])
def test_the_largest_accepted_picture_fits(make: Callable[[Limits], bytes], tmp_path: Path) -> None:
    """A process with all that a function loads stays within its memory at each limit, with two encoders at work."""
    picture = tmp_path / "picture"
    picture.write_bytes(make(LIMITS))
    assert peaks_mib(picture, 1, "avif")[0] < MEMORY_MIB


@has_proc
def test_one_picture_after_another_takes_no_more_than_the_first(tmp_path: Path) -> None:
    """What a large picture took goes back to the system before the next one: the peak does not creep up.

    On one thread, because with two it is chance which encodes meet.
    """
    picture = tmp_path / "picture"
    picture.write_bytes(encoded(noise(450_000).resize((3000, 2400)).convert("RGB"), "JPEG"))
    first, *_, last = peaks_mib(picture, 3, "one thread", memory_mib=512)
    assert last <= first + 5
