"""Measures Cloud Storage against its floor: the same bytes through a bare asyncio HTTP server to the same disk.

    python bench/storage.py [--megabytes 1024] [--small 1000] [--listed 100000]

Both servers flush a file to disk before they answer. Client and server share the machine; each figure is printed with
its ratio to the floor of the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import google_crc32c

ROOT = Path(__file__).resolve().parent.parent
SMALL_BYTES = 50 * 1024
SMALL_CLIENTS = 16
ROUNDS = 5
PAUSE_SECONDS = 0.5
"""For the system to take the file of a deleted object apart."""
PIECE = os.urandom(256 * 1024)


# -- the servers, each in a process of its own


async def serve_floor(directory: Path, *, sums: bool) -> None:
    """PUT writes a file, GET sends it, DELETE removes it: nothing is parsed beyond the request line and the length.

    With `sums` it counts MD5 and CRC32C of what it writes, as every object of Cloud Storage has them.
    """

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                method, path, _ = head.split(b" ", 2)
                file_path = directory / path.decode().strip("/").replace("/", "_")
                if method == b"PUT":
                    left = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
                    md5, crc32c = hashlib.md5(usedforsecurity=False), 0
                    with file_path.open("wb") as file:
                        while left:
                            piece = await reader.read(min(left, 1024 * 1024))
                            left -= len(piece)
                            file.write(piece)
                            if sums:
                                md5.update(piece)
                                crc32c = google_crc32c.extend(crc32c, piece)
                        file.flush()
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


class Server:
    """One of the two as a child process."""

    def __init__(self, kind: str, directory: Path) -> None:
        directory.mkdir()
        self.kind = kind
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", kind, str(directory)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.idle_mb = self.memory_mb("VmRSS")

    def upload_head(self, name: str, size: int) -> bytes:
        target = f"PUT /{name}"
        if self.kind == "ours":
            target = f"POST /upload/storage/v1/b/bench/o?uploadType=media&name={name}"
        return f"{target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {size}\r\n\r\n".encode()

    def download_head(self, name: str) -> bytes:
        path = f"/download/storage/v1/b/bench/o/{name}?alt=media" if self.kind == "ours" else f"/{name}"
        return f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()

    def delete_head(self, name: str) -> bytes:
        path = f"/storage/v1/b/bench/o/{name}" if self.kind == "ours" else f"/{name}"
        return f"DELETE {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()

    def memory_mb(self, field: str) -> float:
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


# -- the client: raw sockets, so that it costs little


class Client:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @staticmethod
    async def connect(port: int) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", port, limit=1024 * 1024))

    async def upload(self, head: bytes, size: int) -> None:
        self._writer.write(head)
        left = size
        while left:
            piece = PIECE[:left]
            self._writer.write(piece)
            await self._writer.drain()
            left -= len(piece)
        await self.answer()

    async def request(self, head: bytes) -> int:
        self._writer.write(head)
        return await self.answer()

    async def answer(self) -> int:
        return len(await self.body(keep=False)) or self.length

    async def body(self, *, keep: bool = True) -> bytes:
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        assert status in (b"200", b"204"), head
        self.length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if status == b"200" else 0
        kept, left = [], self.length
        while left:
            piece = await self._reader.read(min(left, 1024 * 1024))
            left -= len(piece)
            if keep:
                kept.append(piece)
        return b"".join(kept)

    def close(self) -> None:
        self._writer.close()


async def timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def large(server: Server, size: int) -> tuple[float, float]:
    """MB/s up and down of one object, which is deleted again: every upload finds the same disk."""
    client = await Client.connect(server.port)
    up = await timed(client.upload(server.upload_head("large", size), size))
    down = await timed(client.request(server.download_head("large")))
    await client.request(server.delete_head("large"))
    await asyncio.sleep(PAUSE_SECONDS)
    client.close()
    return size / up / 1e6, size / down / 1e6


async def small(server: Server, count: int) -> tuple[float, float]:
    """Objects a second up and down at 16 clients; they are deleted again, as the large one is."""

    async def each(work: Callable[[Client, str], Awaitable[object]]) -> float:
        names = iter([f"small-{number}" for number in range(count)])

        async def one_client() -> None:
            client = await Client.connect(server.port)
            for name in names:
                await work(client, name)
            client.close()

        return await timed(asyncio.gather(*(one_client() for _ in range(SMALL_CLIENTS))))

    up = await each(lambda client, name: client.upload(server.upload_head(name, SMALL_BYTES), SMALL_BYTES))
    down = await each(lambda client, name: client.request(server.download_head(name)))
    await each(lambda client, name: client.request(server.delete_head(name)))
    await asyncio.sleep(PAUSE_SECONDS)
    return count / up, count / down


async def listed(server: Server, count: int) -> None:
    """Uploads many empty-ish objects, then lists them all by pages, and one page of folders."""
    clients = [await Client.connect(server.port) for _ in range(SMALL_CLIENTS)]
    names = iter([f"f{number % 1000:03d}%2F{number:06d}" for number in range(count)])

    async def fill(client: Client) -> None:
        for name in names:
            await client.upload(server.upload_head(name, 1), 1)

    await asyncio.gather(*(fill(client) for client in clients))
    client = clients[0]
    token, pages, items, worst = "", 0, 0, 0.0
    started = time.perf_counter()
    while True:
        path = f"/storage/v1/b/bench/o?fields=nextPageToken,items(name)&pageToken={token}"
        began = time.perf_counter()
        client._writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        page = json.loads(await client.body())
        worst = max(worst, time.perf_counter() - began)
        pages, items, token = pages + 1, items + len(page["items"]), page.get("nextPageToken", "")
        if not token:
            break
    total = time.perf_counter() - started
    one = await timed(client.request(b"GET /storage/v1/b/bench/o?maxResults=10 HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    folders = await timed(client.request(b"GET /storage/v1/b/bench/o?delimiter=/ HTTP/1.1\r\nhost: localhost\r\n\r\n"))
    print(f"list {items} objects in {pages} pages: {total:.2f} s, worst page {worst * 1000:.1f} ms")
    print(f"  a page of 10: {one * 1000:.2f} ms; 1,000 folders by delimiter: {folders * 1000:.1f} ms")
    for each in clients:
        each.close()


async def measure(size: int, small_count: int, listed_count: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="bench-storage-"))
    servers = [Server(kind, directory / kind) for kind in ("floor", "floor with sums", "ours")]
    ours = servers[-1]
    try:
        rates = await _rounds(servers, lambda server: large(server, size))
        peak = ours.memory_mb("VmHWM") - ours.idle_mb
        for index, what in enumerate(("upload", "download")):
            _print(f"{what} of {size / 1e6:.0f} MB", rates, index, "MB/s")
        print(f"memory at its peak: {peak:.1f} MB above the idle {ours.idle_mb:.1f} MB")
        if small_count:
            rates = await _rounds(servers, lambda server: small(server, small_count))
            for index, what in enumerate(("upload", "download")):
                label = f"{what} of {small_count} x 50 KB, {SMALL_CLIENTS} clients"
                _print(label, rates, index, "objects/s")
        if listed_count:
            await listed(ours, listed_count)
            print(f"memory with {listed_count} objects: {ours.memory_mb('VmRSS') - ours.idle_mb:.1f} MB above idle")
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _rounds(
    servers: list[Server], work: Callable[[Server], Awaitable[tuple[float, float]]]
) -> dict[str, tuple[float, float]]:
    """The median of five rounds of each, taken in turns: both feel the same weather."""
    rounds: dict[str, list[tuple[float, float]]] = {server.kind: [] for server in servers}
    for _ in range(ROUNDS):
        for server in servers:
            rounds[server.kind].append(await work(server))
    return {
        kind: (statistics.median(up for up, _ in pairs), statistics.median(down for _, down in pairs))
        for kind, pairs in rounds.items()
    }


def _print(what: str, rates: dict[str, tuple[float, float]], index: int, unit: str) -> None:
    ours = rates["ours"][index]
    floors = (
        f"{kind} {rate[index]:,.0f}, ratio {ours / rate[index]:.2f}" for kind, rate in rates.items() if kind != "ours"
    )
    print(f"{what}: {ours:,.0f} {unit}; {'; '.join(floors)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, directory = arguments.serve[0], Path(arguments.serve[1])
        asyncio.run(serve_ours(directory) if kind == "ours" else serve_floor(directory, sums="sums" in kind))
    else:
        asyncio.run(measure(arguments.megabytes * 1_000_000, arguments.small, arguments.listed))


if __name__ == "__main__":
    main()
