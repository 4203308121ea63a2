"""Bytes on disk: sums, failures in the middle, and nothing left behind."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import google_crc32c
import pytest

from afterimage_emulator.storage.errors import Reason, StorageError
from afterimage_emulator.storage.objects.blob_files import BlobFiles
from afterimage_emulator.storage.objects.blob_writer import AHEAD_BYTES, PIECE_BYTES
from afterimage_emulator.storage.objects.disk_threads import DiskThreads


class Disk:
    """Writes for real until `room` is used up, then fails as a full disk does: half-way through a write."""

    def __init__(self) -> None:
        self.room = 1 << 40

    def write_pieces(self, file: int, pieces: Sequence[bytes]) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(file, pieces[0][: min(len(pieces[0]), self.room)])
        self.room -= written
        return written


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def files(tmp_path: Path, disk: Disk) -> AsyncIterator[BlobFiles]:
    made = BlobFiles(tmp_path, disk=DiskThreads(write_pieces=disk.write_pieces))
    yield made
    await made.close()
    assert list(tmp_path.iterdir()) == [], "something was left behind"


async def test_sums_are_those_of_the_bytes(files: BlobFiles) -> None:
    """Size, MD5 and CRC32C are right however the bytes were cut, and the file holds them all."""
    content = os.urandom(3 * PIECE_BYTES + 5)
    writer = files.new_writer()
    for start in range(0, len(content), 300_000):
        await writer.write(content[start : start + 300_000])
    blob = await writer.finish()
    assert blob.size == len(content)
    assert blob.md5 == base64.b64encode(hashlib.md5(content).digest()).decode()
    assert blob.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()
    assert blob.path.read_bytes() == content


async def test_a_full_disk_corrupts_nothing(files: BlobFiles, disk: Disk) -> None:
    """After a failed write the upload stands where it stood, sums and all, and goes on when there is room again."""
    first, second = os.urandom(PIECE_BYTES), os.urandom(PIECE_BYTES)
    writer = files.new_writer()
    await writer.write(first)
    await writer.settle()
    disk.room = 1000
    await writer.write(second)
    with pytest.raises(StorageError) as refused:
        await writer.settle()
    assert refused.value.reason is Reason.DISK_FULL
    assert writer.size == writer.received_bytes == len(first)
    disk.room = 1 << 40
    await writer.write(second)
    blob = await writer.finish()
    assert blob.path.read_bytes() == first + second
    assert blob.md5 == base64.b64encode(hashlib.md5(first + second).digest()).decode()


@pytest.mark.parametrize("room", [0, 1, PIECE_BYTES, 3 * PIECE_BYTES + 17])
async def test_what_came_behind_a_failed_write_is_dropped_with_it(files: BlobFiles, disk: Disk, room: int) -> None:
    """Pieces run ahead of the disk; once one fails, none behind it closes the gap, and `size` says where to go on."""
    content = os.urandom(12 * PIECE_BYTES)
    writer = files.new_writer()
    disk.room = room

    async def send() -> None:
        for start in range(0, len(content), 100_000):
            await writer.write(content[start : start + 100_000])
        await writer.pause()

    with pytest.raises(StorageError):
        await send()
    assert writer.size == writer.received_bytes <= room
    disk.room = 1 << 40
    await writer.write(content[writer.size :])
    blob = await writer.finish()
    assert blob.path.read_bytes() == content
    assert blob.md5 == base64.b64encode(hashlib.md5(content).digest()).decode()
    assert blob.crc32c == base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


async def test_no_more_than_a_few_pieces_wait_in_memory(files: BlobFiles, disk: Disk) -> None:
    """A disk that stands still holds the client back; an upload that is given up meanwhile hangs nobody."""
    moves = threading.Event()
    write_pieces = files.disk.write_pieces
    files.disk.write_pieces = lambda file, pieces: moves.wait(30) and write_pieces(file, pieces)
    writer = files.new_writer()
    piece = bytes(PIECE_BYTES)

    async def send() -> None:
        for _ in range(64):
            await writer.write(piece)

    sending = asyncio.ensure_future(send())
    while writer.received_bytes < AHEAD_BYTES:
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert writer.received_bytes <= AHEAD_BYTES + PIECE_BYTES
    writer.abort()
    moves.set()
    await sending
    await files.disk.cleaned()
    assert list(files.folder.iterdir()) == []


async def test_an_aborted_upload_leaves_no_file(files: BlobFiles) -> None:
    """Whether its bytes are still in memory, on their way, or on disk."""
    for count in (0, 1, PIECE_BYTES, 2 * PIECE_BYTES):
        writer = files.new_writer()
        await writer.write(bytes(count))
        writer.abort()
    await files.disk.cleaned()
    assert list(files.folder.iterdir()) == []


async def test_shared_bytes_go_with_the_last_record(files: BlobFiles) -> None:
    """A copy keeps the file alive when the original goes."""
    writer = files.new_writer()
    await writer.write(b"shared")
    blob = await writer.finish()
    files.share(blob)
    files.release(blob)
    await files.disk.cleaned()
    assert blob.path.read_bytes() == b"shared"
    files.release(blob)
    await files.disk.cleaned()
    assert not blob.path.exists()


async def test_a_reset_refuses_what_was_under_way(files: BlobFiles) -> None:
    """An upload that began before the reset cannot end as an object without bytes."""
    writer = files.new_writer()
    await writer.write(b"before")
    await writer.settle()
    files.reset()
    with pytest.raises(StorageError, match="reset"):
        await writer.finish()
    writer.abort()


async def test_what_a_killed_suite_left_is_removed(tmp_path: Path) -> None:
    """A data directory used before begins empty."""
    (tmp_path / "blobs-1").mkdir()
    (tmp_path / "blobs-1" / "000001").write_bytes(b"left over")
    files = BlobFiles(tmp_path)
    assert [file for folder in tmp_path.iterdir() for file in folder.iterdir()] == []
    await files.close()


async def test_a_cancelled_writer_ends_what_it_began(files: BlobFiles) -> None:
    """A client that leaves in the middle of a write can neither tear the file nor the sums."""
    writer = files.new_writer()
    content = os.urandom(PIECE_BYTES)
    await writer.write(content)
    waiting = asyncio.ensure_future(writer.settle())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    blob = await writer.finish()
    assert blob.path.read_bytes() == content
    assert blob.md5 == base64.b64encode(hashlib.md5(content).digest()).decode()
