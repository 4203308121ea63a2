"""The traps: each known way in which a file is not what it seems, and the verdict it must get."""

from __future__ import annotations

import gzip

import pytest
from PIL import Image

from afterimage.media.inspection.inspect import Verdict, gunzip, inspect_image
from afterimage.media.limits import limits_for
from afterimage.media.plan import PlanOptions, make_plan
from afterimage.media.render import BrokenImageError, RenderedFile, render
from tests.functions.media import pictures
from tests.functions.media.pictures import corners, encoded

LIMITS = limits_for(512)
SMALL = PlanOptions(thumbnails=(32,), full_webp=False)
JPEG = encoded(corners(), "JPEG")
PNG = encoded(corners(), "PNG")

TRAPS: list[tuple[str, bytes, str, Verdict, str]] = [
    ("plain JPEG", JPEG, "image/jpeg", Verdict.ACCEPT, ""),
    ("JPEG with the usual misspelling", JPEG, "image/jpg", Verdict.ACCEPT, ""),
    ("JPEG that says nothing of itself", JPEG, "application/octet-stream", Verdict.ACCEPT, ""),
    ("progressive", encoded(corners(), "JPEG", progressive=True), "image/jpeg", Verdict.ACCEPT, ""),
    ("PNG called JPEG", PNG, "image/jpeg", Verdict.ACCEPT, ""),
    ("AVIF", encoded(corners(), "AVIF"), "image/avif", Verdict.ACCEPT, ""),
    ("WebP", encoded(corners(), "WEBP"), "image/webp", Verdict.ACCEPT, ""),
    ("BMP", encoded(corners(), "BMP"), "image/bmp", Verdict.ACCEPT, ""),
    ("multi-picture JPEG", encoded(corners(), "MPO", save_all=True, append_images=[corners()]), "image/jpeg",
     Verdict.ACCEPT, ""),
    ("JPEG with a zip behind it", JPEG + b"PK\3\4" + b"\0" * 99, "image/jpeg", Verdict.ACCEPT, ""),
    ("very wide", encoded(Image.new("RGB", (9000, 1)), "PNG"), "image/png", Verdict.ACCEPT, ""),
    ("nothing at all", b"", "image/png", Verdict.QUARANTINE, "empty"),
    ("text called PNG", b"hello there", "image/png", Verdict.QUARANTINE, "declared image/png"),
    ("page called PNG", b"<!DOCTYPE html><html><script>", "image/png", Verdict.QUARANTINE, "text/html"),
    ("program called JPEG", b"MZ\x90\0" + b"\0" * 99, "image/jpeg", Verdict.QUARANTINE, "portable-executable"),
    ("zip called WebP", b"PK\3\4" + b"\0" * 99, "image/webp", Verdict.QUARANTINE, "application/zip"),
    ("signature only", b"\x89PNG\r\n\x1a\n", "image/png", Verdict.QUARANTINE, "not a readable image/png"),
    ("header only", JPEG[:20], "image/jpeg", Verdict.QUARANTINE, "not a readable image/jpeg"),
    ("drawing with scripts", b"<?xml version='1.0'?><svg><script/></svg>", "image/svg+xml", Verdict.UNSUPPORTED,
     "image/svg+xml"),
    ("drawing called PNG", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png", Verdict.UNSUPPORTED,
     "image/svg+xml"),
    ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heic", Verdict.UNSUPPORTED, "image/heic"),
    ("TIFF", b"II*\0" + b"\0" * 99, "image/tiff", Verdict.UNSUPPORTED, "image/tiff"),
    ("bomb", pictures.png_bomb(), "image/png", Verdict.UNSUPPORTED, "pixels"),
    ("small bomb", pictures.png_bomb(4000, 4000), "image/png", Verdict.UNSUPPORTED, "pixels"),
    ("GIF that grows", pictures.growing_gif(), "image/gif", Verdict.ACCEPT, ""),
    ("text, honestly", b"hello there", "text/plain", Verdict.UNSUPPORTED, "nothing is derived"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "declared", "verdict", "reason"), [trap[1:] for trap in TRAPS], ids=[trap[0] for trap in TRAPS]
)
def test_each_trap_gets_its_verdict(data: bytes, declared: str, verdict: Verdict, reason: str) -> None:
    """Bytes decide, whatever name and type they carry; a refusal says why in words."""
    found = inspect_image(data, declared_type=declared, limits=LIMITS)
    assert found.verdict is verdict, found.reason
    assert reason in (found.reason or "")


def rendered(data: bytes) -> list[str] | None:
    """The hashes of everything made of a file; None for a file that is refused, before decoding or while at it."""
    found = inspect_image(data, declared_type="", limits=LIMITS)
    if found.verdict is not Verdict.ACCEPT:
        return None
    try:
        results = list(render(data, found, make_plan(SMALL, found, LIMITS), LIMITS, workers=1))
    except BrokenImageError:
        return None
    return [file.sha256 for file in results if isinstance(file, RenderedFile)]


@pytest.mark.parametrize("data", [JPEG, PNG, encoded(corners(), "WEBP"), pictures.animation("GIF")])
def test_a_file_that_is_cut_off_anywhere_is_never_half_shown(data: bytes) -> None:
    """Cut at any of many places it is refused, unless all of the picture was there before the cut."""
    whole, refused = rendered(data), 0
    for length in range(0, len(data), max(1, len(data) // 40)):
        cut = rendered(data[:length])
        refused += cut is None
        assert cut in (None, whole), f"cut at {length} of {len(data)}"
    assert refused > 30


def test_a_gif_that_grows_in_its_second_frame_is_refused_in_time() -> None:
    """Its header is harmless; the second frame would take gigabytes."""
    data = pictures.growing_gif()
    found = inspect_image(data, declared_type="image/gif", limits=LIMITS)
    with pytest.raises(BrokenImageError, match="exceeds limit"):
        list(render(data, found, make_plan(PlanOptions(), found, LIMITS), LIMITS, workers=1))


def test_a_type_that_lies_is_noted() -> None:
    """The mismatch is in the record, whatever the verdict; a type that says nothing is no lie."""
    assert inspect_image(PNG, declared_type="image/jpeg", limits=LIMITS).mismatch
    assert not inspect_image(PNG, declared_type="image/png; charset=binary", limits=LIMITS).mismatch
    assert not inspect_image(PNG, declared_type="", limits=LIMITS).mismatch


def test_gzip_is_unpacked_within_a_limit() -> None:
    """A file stored with gzip encoding is unpacked; a bomb, a torso and junk are not."""
    assert gunzip(gzip.compress(PNG), 10_000_000) == PNG
    assert gunzip(pictures.gzip_bomb(), 10_000_000) is None
    assert gunzip(gzip.compress(PNG)[:-9], 10_000_000) is None
    assert gunzip(b"junk", 10_000_000) is None


def test_limits_follow_from_memory() -> None:
    """Twice the memory, about twice the pixels; never none."""
    assert limits_for(2048).pixels > 1.9 * limits_for(1024).pixels > 0
    assert limits_for(128).pixels > 0
