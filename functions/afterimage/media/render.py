"""Pixels in, files out: one decode, a pyramid of sizes, every output encoded once, in parallel, without metadata.

Deterministic: the same bytes and the same plan make the same files. Pillow releases the GIL while it decodes, resizes
and encodes, so threads are enough.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import TYPE_CHECKING, Final

from afterimage.media.animation import Movement, frames_of_webp, frames_shown, loops_of, with_clear_ground
from afterimage.media.color import to_screen, upright
from afterimage.media.early import early_level, small, smallest_of
from afterimage.media.inspection.inspect import Inspection, open_image
from afterimage.media.jpeg_pixels import decode_jpeg
from afterimage.media.limits import Limits
from afterimage.media.placeholder import placeholder_of
from afterimage.media.plan import Plan, Variant

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

WEBP_METHOD: Final = 3
"""On photos as small and as alike as four, and a little faster; two is twice as fast and a twentieth larger."""
AVIF_SPEED: Final = 8
FRAMES_AHEAD: Final = 2
"""How many decoded frames of an animation may wait to be made smaller."""
SHARPEST_UP_TO: Final = 400
"""Outputs up to this side show the difference that the widest filter makes."""

Size = tuple[int, int]


class BrokenImageError(Exception):
    """The pixels cannot be decoded: the file is cut off or corrupt. Deterministic, so it is a verdict, not a fault."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderedFile:
    """One finished output; without data where it was dropped for being larger than its source."""

    variant: Variant
    data: bytes | None
    sha256: str = ""
    frames: int = 1
    """As stored: of frames that look the same at this size the encoder keeps one, for as long as all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placeholder:
    blurhash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """What the decoder noticed about a picture that it could decode."""

    text: str


def available_cpus() -> int:
    return max(1, len(os.sched_getaffinity(0)))


def render(
    data: bytes, inspection: Inspection, plan: Plan, limits: Limits, *, workers: int | None = None
) -> Iterator[Doubt | Placeholder | RenderedFile]:
    """Makes every file of the plan; yields each as it is done, the small ones first."""
    if not plan.variants:
        return
    threads = workers or available_cpus()
    with ThreadPoolExecutor(max_workers=threads) as pool, ThreadPoolExecutor(max_workers=1) as preparer:
        encodes = _Encodes(pool, len(data))
        prepare = _prepare_animation if any(variant.animated for variant in plan.variants) else _prepare_still
        encodes.prepare_with(preparer.submit(prepare, encodes, data, inspection, plan, limits, threads))
        yield from encodes.news(len(plan.variants))


def _prepare_still(
    encodes: _Encodes, data: bytes, inspection: Inspection, plan: Plan, limits: Limits, threads: int
) -> None:
    """Decodes, makes all sizes, and starts every encode as soon as there is something to encode."""
    was_early = _begin_early(encodes, data, inspection, plan, limits, threads)
    image, doubt, check = _decoded(data, inspection, _sizes(plan)[0], limits)
    if doubt:
        encodes.tell(Doubt(text=doubt))
    if threads > 1:
        # One encode takes longer than all the rest, so it starts before anything else is made.
        encodes.start_largest(image, plan.variants)
    if not was_early():
        smallest = smallest_of(plan)
        size = smallest.width, smallest.height
        level = small(image, size)
        if plan.placeholder:
            encodes.tell(Placeholder(blurhash=placeholder_of(level)))
        encodes.start(smallest, [level])
    levels = _pyramid(image, _sizes(plan))
    del image
    for variant in _in_order_of_work(plan.variants, threads):
        encodes.start(variant, [levels[variant.width, variant.height]])
    del levels
    _checked(check)


def _begin_early(
    encodes: _Encodes, data: bytes, inspection: Inspection, plan: Plan, limits: Limits, threads: int
) -> Callable[[], bool]:
    """Ahead of all else, or beside it where there is a thread to spare; asks later whether it went well."""
    if threads > 1:
        return encodes.pool.submit(_early, encodes, data, inspection, plan, limits).result
    is_done = _early(encodes, data, inspection, plan, limits)
    return lambda: is_done


def _early(encodes: _Encodes, data: bytes, inspection: Inspection, plan: Plan, limits: Limits) -> bool:
    """Makes the smallest file from a decode of its own, where that goes well."""
    level = early_level(data, inspection, plan, limits)
    if level is None:
        return False
    if plan.placeholder:
        encodes.tell(Placeholder(blurhash=placeholder_of(level)))
    variant = smallest_of(plan)
    encodes.finish(variant, _encode([level], variant, None))
    return True


def _prepare_animation(
    encodes: _Encodes, data: bytes, inspection: Inspection, plan: Plan, limits: Limits, threads: int
) -> None:
    levels, movement = _animation_levels(data, inspection, plan, limits, encodes.pool)
    if plan.placeholder:
        encodes.tell(Placeholder(blurhash=placeholder_of(levels[_sizes(plan)[-1]][0])))
    for variant in _in_order_of_work(plan.variants, threads):
        encodes.start(variant, levels[variant.width, variant.height], movement)


class _Encodes:
    """The encodes of one picture: each variant once, and never two of them from the same image object."""

    def __init__(self, pool: ThreadPoolExecutor, source_bytes: int) -> None:
        self.pool = pool
        self._source_bytes = source_bytes
        self._lock = Lock()
        self._begun: set[str] = set()
        self._taken: set[Size] = set()
        self._news: SimpleQueue[Doubt | Placeholder | RenderedFile | BaseException | None] = SimpleQueue()

    def tell(self, news: Doubt | Placeholder) -> None:
        self._news.put(news)

    def news(self, files: int) -> Iterator[Doubt | Placeholder | RenderedFile]:
        """All that is told until so many files are there and nothing more is to come; raises what went wrong."""
        is_prepared = False
        while files or not is_prepared:
            news = self._news.get()
            if isinstance(news, BaseException):
                raise news
            if news is None:
                is_prepared = True
                continue
            files -= isinstance(news, RenderedFile)
            yield news

    def prepare_with(self, preparing: Future[None]) -> None:
        """The work that starts all others; it has its own say in whether the picture is whole."""
        preparing.add_done_callback(self._ended)
        preparing.add_done_callback(lambda _done: self._news.put(None))

    def _ended(self, work: Future[None]) -> None:
        error = None if work.cancelled() else work.exception()
        if error is not None:
            self._news.put(error)

    def start_largest(self, image: Image, variants: Iterable[Variant]) -> None:
        """Starts one of the variants that show the whole picture as it was decoded, if there are any."""
        for variant in variants:
            if (variant.width, variant.height) == image.size:
                self.start(variant, [image])
                return

    def start(self, variant: Variant, level: list[Image], movement: Movement | None = None) -> None:
        if not self._begin(variant):
            return
        if level[0].size in self._taken:
            # Pillow keeps an encoder's options on the image it saves, so two threads must never save the same one. That
            # is the first frame; the others are only read.
            level = [level[0].copy(), *level[1:]]
        self._taken.add(level[0].size)
        self.pool.submit(self._make, variant, level, movement).add_done_callback(self._ended)

    def _make(self, variant: Variant, level: list[Image], movement: Movement | None) -> None:
        self._tell_of(variant, _encode(level, variant, movement))

    def finish(self, variant: Variant, encoded: bytes) -> None:
        """Takes over a file that was made elsewhere."""
        if self._begin(variant):
            self._tell_of(variant, encoded)

    def _begin(self, variant: Variant) -> bool:
        with self._lock:
            is_new = variant.name not in self._begun
            self._begun.add(variant.name)
        return is_new

    def _tell_of(self, variant: Variant, encoded: bytes) -> None:
        self._news.put(_finished(variant, encoded, self._source_bytes))


def _in_order_of_work(variants: tuple[Variant, ...], threads: int) -> list[Variant]:
    """Smallest first for whoever is watching; but with a thread to spare, the largest starts at once."""
    by_size = sorted(variants, key=lambda variant: variant.width * variant.height)
    return [*by_size[-1:], *by_size[:-1]] if threads > 1 else by_size


def _finished(variant: Variant, encoded: bytes, source_size: int) -> RenderedFile:
    if variant.must_shrink and len(encoded) >= source_size:
        return RenderedFile(variant=variant, data=None)
    sha256 = hashlib.sha256(encoded).hexdigest()
    return RenderedFile(variant=variant, data=encoded, sha256=sha256, frames=frames_of_webp(encoded))


def _sizes(plan: Plan) -> list[Size]:
    """The sizes of a plan's outputs, largest first."""
    return sorted({(variant.width, variant.height) for variant in plan.variants}, reverse=True)


def _decoded(
    data: bytes, inspection: Inspection, largest: Size, limits: Limits
) -> tuple[Image, str | None, Callable[[], None]]:
    """The picture upright and in sRGB, at least as large as the largest output; what is doubtful about it; and a check.

    The check tells whether all of it was there. It may take as long as the decode, so that it is made last.
    """
    try:
        pillow_format, doubt = inspection.file_type.pillow_format or "", None
        check: Callable[[], None] = _nothing
        if pillow_format == "JPEG":
            decoded = decode_jpeg(data, limits, largest[::-1] if inspection.is_turned else largest)
            image, doubt, check = decoded.image, decoded.doubt, decoded.check
        else:
            image = open_image(io.BytesIO(data), pillow_format, limits)
            image.load()
        return upright(to_screen(image), inspection.orientation), doubt, check
    except MemoryError:
        raise
    except Exception as error:
        raise BrokenImageError(_reason(error)) from error


def _nothing() -> None:
    """There is nothing to be checked."""


def _checked(check: Callable[[], None]) -> None:
    try:
        check()
    except MemoryError:
        raise
    except Exception as error:
        raise BrokenImageError(_reason(error)) from error


def _pyramid(image: Image, sizes: list[Size]) -> Mapping[Size, Image]:
    """Each size from the one above it: the work of all thumbnails together is little more than that of the largest."""
    levels: dict[Size, Image] = {}
    whole = image
    for size in sizes:
        if image.size != size:
            image = image.resize(size, _resampling(image.size, size, is_first=image is whole))
        levels[size] = image
    return levels


def _resampling(source: Size, target: Size, *, is_first: bool) -> Resampling:
    """The step from the whole picture costs the most, and there a narrower filter looks the same."""
    from PIL.Image import Resampling

    if is_first and source[0] >= 2 * target[0]:
        return Resampling.HAMMING
    if is_first and max(target) > SHARPEST_UP_TO:
        return Resampling.BICUBIC
    return Resampling.LANCZOS


def _animation_levels(
    data: bytes, inspection: Inspection, plan: Plan, limits: Limits, pool: ThreadPoolExecutor
) -> tuple[dict[Size, list[Image]], Movement]:
    """All frames at all sizes; the plan has made sure that they fit into memory.

    Frames can only be decoded one after the other, so meanwhile the pool makes the smaller ones of the frame before.
    """
    sizes = _sizes(plan)
    pyramids: list[Future[Mapping[Size, Image]]] = []
    durations: list[int] = []
    try:
        with open_image(io.BytesIO(data), inspection.file_type.pillow_format or "", limits) as image:
            for shown, duration in frames_shown(image, inspection.frames or 1):
                frame = upright(to_screen(shown), inspection.orientation)
                frame = frame.convert("RGB") if frame.mode == "L" else frame
                durations.append(duration)
                if len(pyramids) >= FRAMES_AHEAD:
                    pyramids[-FRAMES_AHEAD].result()
                pyramids.append(pool.submit(_pyramid, frame, sizes))
            loops = loops_of(image)
        levels = {size: [pyramid.result()[size] for pyramid in pyramids] for size in sizes}
    except MemoryError:
        raise
    except Exception as error:
        raise BrokenImageError(_reason(error)) from error
    return levels, Movement(durations_ms=tuple(durations), loops=loops)


def _encode(frames: list[Image], variant: Variant, movement: Movement | None) -> bytes:
    output = io.BytesIO()
    first = frames[0] if frames[0].mode != "L" else frames[0].convert("RGB")
    if variant.format == "AVIF":
        first.save(output, "AVIF", quality=variant.quality, speed=AVIF_SPEED, max_threads=1)
    elif movement is not None and variant.animated:
        first.save(
            output,
            "WEBP",
            save_all=True,
            append_images=frames[1:],
            duration=list(movement.durations_ms),
            loop=movement.loops,
            quality=variant.quality,
            method=WEBP_METHOD,
            # No key frames after the first: each candidate is encoded twice, and nobody seeks in a looping picture.
            kmax=0,
        )
        if any(frame.has_transparency_data for frame in frames):
            return with_clear_ground(output.getvalue())
    else:
        first.save(output, "WEBP", quality=variant.quality, method=WEBP_METHOD)
    return output.getvalue()


def _reason(error: BaseException) -> str:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return "the picture cannot be decoded" if " object at 0x" in text else text[:200]
