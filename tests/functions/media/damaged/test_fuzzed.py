"""Whatever bytes and names arrive: each gets a verdict, within a bounded time, and nothing raises past it."""

from __future__ import annotations

import base64
import json
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from cloudevents.http import CloudEvent
from google.events.cloud.firestore import Document, DocumentEventData
from google.events.cloud.firestore import Value as FirestoreValue
from PIL import Image

from afterimage.delivery import events
from afterimage.delivery.dead_letters import DeadLetters
from afterimage.delivery.receiver import Receiver
from afterimage.media.inspection.containers import played_of
from afterimage.media.inspection.gif_blocks import GifError, count_frames
from afterimage.media.inspection.inspect import Verdict, gunzip, inspect_image
from afterimage.media.inspection.jpeg_scans import scans_of
from afterimage.media.inspection.signatures import identify
from afterimage.media.inspection.workload import OverloadError, png_chunks, refuse_overload
from afterimage.media.limits import limits_for
from afterimage.media.plan import PlanOptions, make_plan
from afterimage.media.render import BrokenImageError, render
from afterimage.paths import is_document_id, object_id, parse_derived, place_of, record_path
from afterimage.store.memory_documents import MemoryDocuments
from tests.functions.media import pictures
from tests.functions.media.pictures import corners, encoded
from tests.thoroughness import examples

LIMITS = limits_for(256)
SMALL = PlanOptions(thumbnails=(16,), full_webp=False)
SECONDS_OF_WORK = 20
"""A thousand times what an input of this size takes: only work that does not end comes to it."""
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SEEDS = [
    encoded(corners(), "JPEG"),
    encoded(corners(), "JPEG", progressive=True),
    encoded(corners(), "PNG"),
    encoded(corners(), "JPEG", restart_marker_rows=1),
    encoded(corners(), "WEBP"),
    encoded(corners(), "AVIF"),
    encoded(corners(), "BMP"),
    encoded(corners(), "GIF"),
    encoded(corners(), "MPO", save_all=True, append_images=[corners()]),
    pictures.animation("GIF"),
    pictures.animation("PNG"),
    pictures.animation("WEBP"),
    pictures.turned(6),
    pictures.palette_with_alpha(),
    pictures.deep_grey_png(),
    pictures.cmyk_jpeg(),
    pictures.growing_gif(300),
    encoded(Image.new("P", (9, 9)), "BMP"),
    b"<?xml version='1.0'?><!--a--><svg xmlns='x'/>",
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0",
    b"\0\0\0\x18ftypisom\0\0\0\0isommp42\0\0\0\x6cmoov\0\0\0\x64mvhd" + bytes(96),
    b"fLaC\0\0\0\x22" + bytes(34),
    b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead\1\2\x38\1\x80\xbb" + bytes(8) + b"OggS" + bytes(30),
]
PIECES = [
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xda",
    b"\xff\xd0",
    b"\xff\xc2",
    b"\xff" * 9,
    b"\0" * 9,
    b"IDAT",
    b"eXIf",
    b"acTL",
    b"fcTL",
    b"ANMF",
    b"VP8X",
    b"moov",
    b"mvhd",
    b"OggS",
    b"<!--",
    b"-->",
    b"\x21\xf9\x04",
    b"\x2c",
    b"\xff\xff\xff\xff",
]


def told(data: object) -> str:
    """An input as it can be tried again."""
    return base64.b64encode(data).decode() if isinstance(data, bytes) else repr(data)[:2000]


def part(data: bytes, start: int, end: int) -> bytes:
    return data[start:end]


@contextmanager
def bounded(data: object) -> Iterator[None]:
    """Fails, naming the input, where the processor has been at it for ever; patterns are stopped by signals, too."""

    def stop(_signal: int, _frame: object) -> None:
        raise AssertionError(f"{SECONDS_OF_WORK} seconds of work, and no end: {told(data)}")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_OF_WORK)
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}: {told(data)}") from error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.fixture
def dice() -> random.Random:
    """Other inputs at each run; a failure prints the input itself."""
    return random.Random(random.SystemRandom().randrange(2**32))


def mutated(dice: random.Random) -> bytes:
    """A file with a few bytes, pieces or lengths that are not what they were."""
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.choice((1, 1, 2, 4, 9))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(7):
            case 0 if at < len(data):
                data[at] = dice.randrange(256)
            case 1:
                data[at : at + dice.randrange(40)] = b""
            case 2:
                data[at:at] = dice.choice(PIECES) * dice.choice((1, 1, 1, 50))
            case 3:
                data[at : at + 4] = dice.choice((0, 1, 2**31 - 1, 2**32 - 1, dice.randrange(2**32))).to_bytes(4, "big")
            case 4:
                data = data[:at]
            case 5:
                other = dice.choice(SEEDS)
                data[at:] = other[dice.randrange(len(other)) :]
            case _:
                data[at:at] = dice.randbytes(dice.randrange(30))
        if not data:
            data = bytearray(b"\xff")
    return bytes(data)


def test_every_file_gets_a_verdict(dice: random.Random) -> None:
    """Inspected and, where it is accepted, rendered: ready, quarantined or unsupported, and never an error."""
    verdicts = set()
    for _ in range(examples(3_000)):
        data = mutated(dice)
        with bounded(data):
            found = inspect_image(data, declared_type="image/png", limits=LIMITS)
            verdicts.add(found.verdict)
            if found.verdict is Verdict.ACCEPT:
                with suppress(BrokenImageError):
                    list(render(data, found, make_plan(SMALL, found, LIMITS), LIMITS, workers=1))
            else:
                assert found.reason
    assert verdicts == set(Verdict)


def test_every_reader_of_bytes_ends(dice: random.Random) -> None:
    """Types, blocks, chunks, scans, durations and gzip, of bytes that other readers would have refused before."""
    for _ in range(examples(6_000)):
        data = mutated(dice) * dice.choice((1, 1, 3))
        with bounded(data):
            identify(data)
            scans_of(data)
            list(png_chunks(data))
            gunzip(data, 100_000)
            for kind in ("JPEG", "PNG"):
                with suppress(OverloadError):
                    refuse_overload(data, kind)
            with suppress(GifError, OverloadError):
                count_frames(data, 300)
            for kind in ("video/mp4", "video/webm", "audio/opus", "audio/wav", "audio/flac"):
                played_of(kind, len(data), partial(part, data))


LETTERS = "ab_./-~#[]*?%0129 \0\n\u202eäß\U0001f600"
ROOTS = (
    "users/u/ai_generated/images/",
    "users/u/ai_generated/videos/",
    "users/u/ai_generated/audio/stems/",
    "generating/u/image/",
    "media/",
    "artifacts/u/blobs/",
    "projects/p/generations/g/",
    "uploads/users/u/",
    "",
)


def name(dice: random.Random) -> str:
    tail = "".join(dice.choice(LETTERS) for _ in range(dice.randrange(30)))
    return f"{dice.choice(ROOTS)}{tail}{dice.choice(('', '.webp', '_portrait.png', '_0.png', '/v1.tar.gz', '.opus'))}"


def test_every_name_has_its_place_or_none(dice: random.Random) -> None:
    """Whatever the name and the metadata; a place that is found leads to documents that can exist."""
    placed = 0
    for _ in range(examples(20_000)):
        text, metadata = name(dice), {key: name(dice) for key in ("card_id", "image_type", "owner", "file_uid")}
        with bounded(text):
            for place in (place_of(text), place_of(text, metadata)):
                path = record_path(place, "bucket", text) if place and place.records else None
                if path is not None:
                    placed += 1
                    assert all(is_document_id(each) for each in path.split("/")), path
            parse_derived(f"bucket/{text}")
            object_id("bucket", text)
    assert placed


def changed(dice: random.Random, value: Any) -> Any:
    """JSON with something of another kind somewhere in it."""
    if isinstance(value, dict) and value and dice.random() < 0.7:
        key = dice.choice(sorted(value))
        rest = {**value, key: changed(dice, value[key])}
        return rest if dice.random() < 0.8 else {each: rest[each] for each in rest if each != key}
    return dice.choice([None, "", "x", "1" * 5000, -1, 1.5, [], [1], {}, {"a": []}, True, "\ud800", value])


def document_event(dice: random.Random) -> bytes:
    value = Document(
        name="projects/p/databases/(default)/documents/ai_outputs/u/dialogues/d",
        fields={"a": FirestoreValue(integer_value=1)},
    )
    data = bytearray(DocumentEventData.serialize(DocumentEventData(value=value)))
    for _ in range(dice.randrange(5)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    return bytes(data[: dice.choice((len(data), dice.randrange(len(data))))])


def test_every_event_is_handled_or_recorded(dice: random.Random) -> None:
    """None raises past its decoding, whatever is in it; what cannot be read lies open as a letter, once each."""
    store, handled = MemoryDocuments(), list[object]()
    receiver = Receiver(
        dead_letters=lambda: DeadLetters(store), age_limit=lambda: timedelta(hours=20), platform_retries=lambda: True,
        now=lambda: NOW,
    )  # fmt: skip
    stored = {"bucket": "b", "name": "x", "generation": "17", "size": "3", "metadata": {"k": "v"}}
    message = {"message": {"data": base64.b64encode(b'{"job": "x"}').decode(), "attributes": {"a": "b"}}}
    count = examples(3_000)
    for number in range(count):
        attributes = {"id": str(number), "type": "t", "source": "//s", "subject": "x", "time": "2026-11-20T11:59:00Z"}
        if dice.random() < 0.3:
            attributes["time"] = dice.choice(
                ["", "x", "2026-11-20", "9999-99-99T00:00:00Z", "1" * 3000, "2026-11-20T11:59:00+99:99"]
            )
        decode: Any
        decode, data = dice.choice([
            (events.decode_object_event, changed(dice, stored)), (events.decode_message_event, changed(dice, message)),
            (events.decode_object_event, json.dumps(stored).encode()[: dice.randrange(90)]),
            (events.decode_document_event, document_event(dice)),
        ])  # fmt: skip
        with bounded(data):
            receiver.receive("t", CloudEvent(attributes, data), decode, handled.append)
    letters = [path for path in store.documents if path.startswith("_events/")]
    assert len(handled) + len(letters) == count
    assert handled
    assert letters


@pytest.mark.soak
def test_the_same_for_much_longer(dice: random.Random) -> None:
    """Ten times over."""
    sys.stdout.write("fuzzing\n")
    for _ in range(10):
        test_every_file_gets_a_verdict(dice)
        test_every_reader_of_bytes_ends(dice)
        test_every_name_has_its_place_or_none(dice)
        test_every_event_is_handled_or_recorded(dice)
