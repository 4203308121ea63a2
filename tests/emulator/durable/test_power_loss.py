"""A power cut: only what was synced is there afterwards, names of files as well as what is in them."""

from __future__ import annotations

import asyncio
import http.client
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from afterimage_emulator.suite import Suite
from tests.emulator.durable.kill_worlds import asking, md5_of

BUCKET = "demo-cut.appspot.com"
CHUNK = 256 * 1024


class Disk:
    """What a disk holds for good: hears of each sync, and notes what the file held, or which names the folder had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lock = threading.Lock()
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, dict[str, int]] = {}
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._noting(getattr(os, name)))

    def _noting(self, sync: Callable[[int], None]) -> Callable[[int], None]:
        def synced(opened: int) -> None:
            path = os.readlink(f"/proc/self/fd/{opened}")
            with self._lock:
                if os.path.isdir(path):
                    self._names[path] = {entry.name: entry.inode() for entry in os.scandir(path)}
                else:
                    self._contents[os.fstat(opened).st_ino] = Path(path).read_bytes()
            sync(opened)

        return synced

    def after_a_cut(self, folder: Path, copy: Path) -> Path:
        """The folder as it would be found; a file whose name was kept and whose bytes were not is empty."""
        with self._lock:
            self._restore(str(folder.resolve()), copy)
        return copy

    def _restore(self, folder: str, copy: Path) -> None:
        copy.mkdir(mode=0o700)
        for name, inode in self._names.get(folder, {}).items():
            place = f"{folder}/{name}"
            if place in self._names or os.path.isdir(place):
                self._restore(place, copy / name)
            else:
                content = self._contents.get(inode, b"")
                (copy / name).write_bytes(content)
                self._contents[(copy / name).stat().st_ino] = content
        self._names[str(copy)] = {entry.name: entry.inode() for entry in os.scandir(copy)}


class Client:
    """Asks a suite of this process, from a thread, as its loop has to answer."""

    def __init__(self, suite: Suite) -> None:
        address = suite.addresses()["storage"]
        self._connection = http.client.HTTPConnection(address.host, address.port, timeout=60)

    async def ask(self, *arguments: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
        return await asyncio.to_thread(asking(self._connection), *arguments, **headers)


def opened(folder: Path) -> Suite:
    return Suite(project_id="demo-cut", only=("storage",), free_ports=True, data=folder)


async def objects_after_a_cut(disk: Disk, folder: Path, copy: Path) -> dict[str, str]:
    """Each object's MD5 as the next start tells it, compared with its bytes."""
    found = {}
    async with opened(disk.after_a_cut(folder, copy)) as suite:
        for record in suite.services["storage"].store.everything():
            assert md5_of(record.blob.path.read_bytes()) == record.blob.md5, f"the bytes of `{record.name}` are others"
            found[record.name] = record.blob.md5
    return found


async def test_whatever_was_told_is_there_after_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects with their bytes, and an upload at the byte that was told, at every acknowledgement."""
    disk, told = Disk(monkeypatch), dict[str, str]()
    async with opened(tmp_path / "data") as suite:
        client = Client(suite)
        for number in range(4):
            content = os.urandom(1_000 * number)
            where = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name=n{number}"
            assert (await client.ask("POST", where, content))[0] == 200
            told[f"n{number}"] = md5_of(content)
            assert await objects_after_a_cut(disk, tmp_path / "data", tmp_path / f"cut-{number}") == told
        assert (await client.ask("DELETE", f"/storage/v1/b/{BUCKET}/o/n0"))[0] == 204
        del told["n0"]
        assert await objects_after_a_cut(disk, tmp_path / "data", tmp_path / "cut-deleted") == told
        start = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&name={quote('in pieces')}"
        _, headers, _ = await client.ask("POST", start, b"{}", content_type="application/json")
        session = "/upload" + headers["location"].partition("/upload")[2]
        content = os.urandom(2 * CHUNK)
        piece = {"content_range": f"bytes 0-{CHUNK - 1}/*"}
        assert (await client.ask("PUT", session, content[:CHUNK], **piece))[0] == 308
    async with opened(disk.after_a_cut(tmp_path / "data", tmp_path / "cut-half-way")) as suite:
        client = Client(suite)
        status, headers, _ = await client.ask("PUT", session, b"", content_range="bytes */*")
        assert (status, headers["range"]) == (308, f"bytes=0-{CHUNK - 1}")
        rest = {"content_range": f"bytes {CHUNK}-{2 * CHUNK - 1}/{2 * CHUNK}"}
        assert (await client.ask("PUT", session, content[CHUNK:], **rest))[0] == 200
        told["in pieces"] = md5_of(content)
        assert await objects_after_a_cut(disk, tmp_path / "cut-half-way", tmp_path / "cut-last") == told
