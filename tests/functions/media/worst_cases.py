"""Owns the bytes and names that cost their readers most; run as a program it reads them all within a processor's time.

python -m tests.functions.media.worst_cases names|pictures|largest SECONDS

`largest` are pictures at the limits of the smallest deployment in reach of users; each line says what a byte and what a
pixel of it costs.
"""

from __future__ import annotations

import gzip
import random
import resource
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from PIL import Image

from afterimage.media.inspection.inspect import Verdict, gunzip, inspect_image
from afterimage.media.limits import Limits, limits_for
from afterimage.media.plan import PlanOptions, make_plan
from afterimage.media.records import pixels_of
from afterimage.media.render import BrokenImageError, render
from afterimage.paths import is_document_id, object_id, parse_derived, place_of
from tests.functions.media.pictures import encoded

Make = Callable[[int], bytes]
SIZES: Final = (1 << 20, 5 << 20, 10 << 20)
"""The last two are what rules admit from clients."""


def _repeated(piece: bytes, end: bytes = b"", start: bytes = b"") -> Make:
    return lambda size: start + piece * (size // len(piece)) + end


HEADS: Final[Mapping[str, Make]] = {
    "empty comments": _repeated(b"<!---->", b"<"),
    "comments that might end later": _repeated(b"<!--x-->", b"<"),
    "comments that never end": _repeated(b"<!--"),
    "ends without a start": _repeated(b"-->", start=b"<!--"),
    "declarations": _repeated(b"<?xml>", b"<"),
    "document types": _repeated(b"<!DOCTYPE>"),
    "every kind in turn": _repeated(b"<?xml><!----><!DOCTYPE>\n", b"<!"),
    "space": _repeated(b" \t\r\n"),
    "space between": _repeated(b"<!-- --> \n\n\n\n", b"<"),
    "space in an element": _repeated(b" ", start=b"<"),
    "a long name": _repeated(b"a", start=b"<"),
    "colons": _repeated(b"a:", start=b"<"),
    "angles": _repeated(b"<"),
    "brands": lambda size: struct.pack(">I", size) + b"ftyp" + b"xxxx" * (size // 4),
    "zeros": _repeated(b"\0"),
}


def _gif() -> tuple[bytes, bytes]:
    """A small GIF in two: extensions may stand in between."""
    data = encoded(Image.new("P", (4, 4)), "GIF")
    at = 13 + (3 << ((data[10] & 7) + 1))
    return data[:at], data[at:]


def gif_of_blocks(blocks: int) -> bytes:
    """A comment in blocks of one byte each."""
    start, rest = _gif()
    return start + b"!\xfe" + b"\x01x" * blocks + b"\0" + rest


def gif_of_extensions(extensions: int) -> bytes:
    """Comments that hold nothing at all."""
    start, rest = _gif()
    return start + b"!\xfe\0" * extensions + rest


def gif_of_frames(frames: int) -> bytes:
    """The smallest frames there are."""
    start, rest = _gif()
    image = rest[rest.index(b",") : -1]
    return start + image * frames + b";"


def jpeg_of_segments(segments: int) -> bytes:
    data = encoded(Image.new("RGB", (16, 16)), "JPEG")
    return data[:2] + b"\xff\xe5\0\2" * segments + data[2:]


def jpeg_of_loose(piece: bytes, times: int) -> bytes:
    """Anything, between an empty comment and all other segments."""
    data = encoded(Image.new("RGB", (16, 16)), "JPEG")
    return data[:2] + b"\xff\xfe\0\2" + piece * times + data[2:]


def jpeg_of_exif(segments: int) -> bytes:
    """Exif in as many parts, each of a few bytes."""
    data = encoded(Image.new("RGB", (16, 16)), "JPEG")
    return data[:2] + (b"\xff\xe1" + struct.pack(">H", 18) + b"Exif\0\0" + b"x" * 10) * segments + data[2:]


def jpeg_of_scans(scans: int, side: int = 64) -> bytes:
    """A progressive picture whose last refinement is said again and again; every time all of it is gone through."""
    data = encoded(Image.new("L", (side, side), 90), "JPEG", progressive=True)
    last = data.rfind(b"\xff\xc4", 0, data.rfind(b"\xff\xda"))
    return data[:-2] + data[last:-2] * scans + data[-2:]


def png_of_chunks(chunks: int) -> bytes:
    """Private chunks that hold nothing, in front of the pixels."""
    data = encoded(Image.new("L", (4, 4)), "PNG")
    empty = b"\0\0\0\0prVt" + struct.pack(">I", zlib.crc32(b"prVt"))
    return data[:33] + empty * chunks + data[33:]


def png_of_texts(chunks: int) -> bytes:
    data = encoded(Image.new("L", (4, 4)), "PNG")
    text = b"tEXtk\0v"
    return data[:33] + (b"\0\0\0\3" + text + struct.pack(">I", zlib.crc32(text))) * chunks + data[33:]


def bmp_of_runs(runs: int) -> bytes:
    """Packed pixels, one at a time: each is two bytes, and a step of the decoder."""
    side = max(4, int(runs**0.5) // 4 * 4)
    body = (b"\1\0" * side + b"\0\0") * side + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + header + bytes(1024) + body


GIFS: Final[Mapping[str, Make]] = {
    "blocks of one byte": lambda size: gif_of_blocks(size // 2),
    "empty extensions": lambda size: gif_of_extensions(size // 3),
    "frames": lambda size: gif_of_frames(size // 20),
}

PICTURES: Final[Mapping[str, Make]] = {
    **{f"GIF of {name}": make for name, make in GIFS.items()},
    "JPEG of segments": lambda size: jpeg_of_segments(size // 4),
    "JPEG of fill bytes": lambda size: jpeg_of_loose(b"\xff", size),
    "JPEG of escaped bytes": lambda size: jpeg_of_loose(b"\xff\0", size // 2),
    "JPEG of restarts": lambda size: jpeg_of_loose(b"\xff\xd0", size // 2),
    "JPEG of tables": lambda size: jpeg_of_loose(b"\xff\xc4\0\2", size // 4),
    "JPEG of zeros": lambda size: jpeg_of_loose(b"\0", size),
    "JPEG of Exif segments": lambda size: jpeg_of_exif(size // 20),
    "JPEG of scans": lambda size: jpeg_of_scans(size // 18, side=2000),
    "PNG of empty chunks": lambda size: png_of_chunks(size // 12),
    "PNG of texts": lambda size: png_of_texts(size // 15),
    "BMP of runs": lambda size: bmp_of_runs(size // 2),
    **{f"head of {name}": make for name, make in HEADS.items()},
}

CONTAINERS: Final[Mapping[str, tuple[str, Make]]] = {
    "boxes of nothing": ("video/mp4", _repeated(b"\0\0\0\x08free")),
    "a film without its head": ("video/mp4", _repeated(b"mvhx", start=b"\xff\xff\xff\0moov")),
    "tracks without end": ("video/mp4", _repeated(b"\0\0\0\x08trak", start=b"\xff\xff\xff\0moov")),
    "elements of nothing": ("video/webm", _repeated(b"\xec\x80", start=b"\x1aE\xdf\xa3\x80")),
    "pages": ("audio/opus", _repeated(b"OggS", start=b"OggS" + bytes(22) + b"\1\x13OpusHead\1\2\0\0")),
    "chunks of nothing": ("audio/wav", _repeated(b"junk\0\0\0\0", start=b"RIFF\0\0\0\0WAVE")),
}

NAMES: Final[Mapping[str, Callable[[int], str]]] = {
    "underscores": lambda size: "_" * size,
    "digits": lambda size: "1" * size,
    "indexes": lambda size: "_1" * (size // 2),
    "almost an index": lambda size: "_" + "1" * size + "x",
    "slashes": lambda size: "/" * size,
    "tails": lambda size: "a/1/a/" * (size // 6),
    "almost a tail": lambda size: "/1" * (size // 2) + "/",
    "versions": lambda size: "v" + "1" * size,
    "dots": lambda size: "." * size,
    "an id almost kept back": lambda size: "__" + "_" * size + "x",
}
_PLACES: Final = (
    "{}", "users/u/ai_generated/images/{}", "users/{}/ai_generated/images/x.png", "users/u/ai_generated/audio/stems/{}",
    "generating/u/image/{}", "media/{}/x", "media/{}", "artifacts/u/f/{}/x", "projects/p/generations/g/{}.tar.gz",
    "b/n/{}/abc/v", "b/{}/1/abc/v", "b/n/1/{}/v",
)  # fmt: skip


def read_names() -> None:
    """Everything that reads a name or its metadata, with names a thousand times longer than Storage takes."""
    for case, make in NAMES.items():
        sys.stdout.write(f"{case}\n")
        sys.stdout.flush()
        text = make(SIZES[0])
        for place in _PLACES:
            name = place.format(text)
            metadata = dict.fromkeys(("card_id", "image_type", "stem_type", "stem_id", "file_uid", "owner"), text)
            place_of(name)
            place_of(name, metadata)
            parse_derived(name)
        is_document_id(text)
        object_id("bucket", text)


def read_pictures() -> None:
    """Inspected as uploads are, and rendered where they are accepted; packed with gzip a client sends still more."""
    limits = limits_for(1024)
    for case, make in PICTURES.items():
        for size in SIZES:
            used = _processor_seconds()
            data = gunzip(gzip.compress(make(size), 1), limits.image_bytes) or b""
            found = inspect_image(data, declared_type="image/png", limits=limits)
            if found.verdict is Verdict.ACCEPT:
                try:
                    list(render(data, found, make_plan(PlanOptions(), found, limits), limits, workers=1))
                except BrokenImageError:
                    pass
            sys.stdout.write(f"{case}, {size} bytes: {found.verdict}, {_processor_seconds() - used:.2f} s\n")
            sys.stdout.flush()


def _moving(pixels: int, kind: str, frames: int = 300) -> bytes:
    """As many frames as are kept, each unlike the one before, in as few bytes as can be."""
    side = int((pixels / frames) ** 0.5)
    grounds = [Image.new("P", (side, side), number % 2 * 255) for number in range(frames)]
    for ground in grounds:
        ground.putpalette([shade for value in range(256) for shade in (value, 255 - value, 90)])
    shown = grounds if kind == "GIF" else [ground.convert("RGB") for ground in grounds]
    return encoded(shown[0], kind, save_all=True, append_images=shown[1:], duration=20, loop=0)


def largest_pictures(limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Pictures that ask for as much as is accepted."""
    side = int(limits.pixels**0.5)
    clear = int(limits.pixels_with_alpha**0.5)
    flat, deep = Image.new("RGB", (side, side), (90, 120, 40)), Image.new("I;16", (side, side), 30_000)
    noise = Image.frombytes("RGB", (1700, 1700), random.Random(1).randbytes(3 * 1700 * 1700))
    yield "flat PNG", encoded(flat, "PNG", compress_level=9)
    yield "flat PNG, sixteen bits", encoded(deep, "PNG", compress_level=9)
    yield "flat PNG, transparent", encoded(Image.new("RGBA", (clear, clear), (9, 9, 9, 90)), "PNG", compress_level=9)
    yield "flat PNG of a palette", encoded(flat.quantize(4), "PNG", compress_level=9)
    yield "PNG of noise", encoded(noise, "PNG", compress_level=1)
    yield "flat JPEG", encoded(flat, "JPEG", quality=1)
    yield "flat JPEG, progressive", encoded(flat, "JPEG", quality=1, progressive=True)
    yield "JPEG of many scans", jpeg_of_scans(80, side=side)
    yield "JPEG of noise", encoded(noise, "JPEG", quality=98)
    coarse = Image.effect_noise((side // 4, side // 4), 90).resize((side, side)).convert("RGB")
    yield "JPEG of coarse noise", encoded(coarse, "JPEG", quality=5)
    yield "WebP of coarse noise", encoded(coarse, "WEBP", quality=5, method=0)
    yield "AVIF of coarse noise", encoded(coarse, "AVIF", quality=5, speed=10)
    yield "JPEG of four inks", encoded(flat.convert("CMYK"), "JPEG", quality=1)
    yield "flat WebP", encoded(flat, "WEBP", quality=1)
    yield "flat WebP without loss", encoded(flat, "WEBP", lossless=True)
    yield "flat AVIF", encoded(flat, "AVIF", quality=1, speed=10)
    yield "BMP of runs", bmp_of_runs(5_000_000)
    yield "flat GIF", encoded(flat.quantize(4), "GIF")
    for kind in ("GIF", "PNG", "WEBP"):
        yield f"moving {kind}", _moving(limits.animation_pixels - 300_000, kind)


def read_largest() -> None:
    limits = limits_for(1024)
    for case, data in largest_pictures(limits):
        used = _processor_seconds()
        found = inspect_image(data, declared_type="", limits=limits)
        plan = make_plan(PlanOptions(), found, limits)
        if found.verdict is Verdict.ACCEPT:
            list(render(data, found, plan, limits, workers=1))
        seconds = _processor_seconds() - used
        megapixels = pixels_of(found, plan) / 1e6
        sys.stdout.write(
            f"{case}: {found.verdict}, {len(data)} bytes, {megapixels:.1f} megapixels, {seconds:.2f} s, "
            f"{seconds / len(data) * 1e6:.2f} µs/byte, {seconds / max(1, megapixels):.3f} s/megapixel\n"
        )
        sys.stdout.flush()


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    seconds = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    {"names": read_names, "pictures": read_pictures, "largest": read_largest}[sys.argv[1]]()
