"""Measures Cloud Storage against its floor, and against fake-gcs-server where bench/requirements.txt is installed.

    python -m bench.suite.storage [--megabytes 1024] [--small 1000] [--listed 100000] [--peer-listed 5000]

The floor is a bare asyncio HTTP server that puts the same bytes on the same disk, and flushes a file before it answers.
Client and servers share the machine; each figure is printed with its ratio to the others of the same run, by the clock
and by the processor time of the servers. A ratio above 1 says that the suite takes less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.suite.storage_parts.servers import (
    BARE,
    OURS,
    PEER_DISK,
    PEER_MEMORY,
    SUMMING,
    THREADED,
    Server,
    peer_binary,
    serve_floor,
    serve_ours,
)

SMALL_BYTES = 50 * 1024
SMALL_CLIENTS = 16
ROUNDS = 5
PAGES = 40
PAUSE_SECONDS = 0.5
"""For the system to take the file of a deleted object apart."""
PIECE = os.urandom(256 * 1024)


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
        if b"transfer-encoding: chunked" in head.lower():
            return await self._chunks()
        self.length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if status == b"200" else 0
        kept, left = [], self.length
        while left:
            piece = await self._reader.read(min(left, 1024 * 1024))
            left -= len(piece)
            if keep:
                kept.append(piece)
        return b"".join(kept)

    async def _chunks(self) -> bytes:
        kept = []
        while size := int(await self._reader.readline(), 16):
            kept.append(await self._reader.readexactly(size))
            await self._reader.readline()
        await self._reader.readline()
        self.length = sum(map(len, kept))
        return b"".join(kept)

    def close(self) -> None:
        self._writer.close()


async def timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Cost:
    """What an amount of work took, by the clock and of the server's processor time."""

    amount: float
    seconds: float
    cpu_seconds: float


async def costed(server: Server, work: Awaitable[object], amount: float = 1) -> Cost:
    before = server.cpu_seconds()
    seconds = await timed(work)
    return Cost(amount, seconds, server.cpu_seconds() - before)


async def large(server: Server, size: int) -> tuple[Cost, Cost]:
    """MB up and down of one object, which is deleted again: every upload finds the same disk."""
    client = await Client.connect(server.port)
    up = await costed(server, client.upload(server.upload_head("large", size), size), size / 1e6)
    down = await costed(server, client.request(server.download_head("large")), size / 1e6)
    await client.request(server.delete_head("large"))
    await asyncio.sleep(PAUSE_SECONDS)
    client.close()
    return up, down


async def small(server: Server, count: int) -> tuple[Cost, Cost]:
    """Objects up and down at 16 clients; they are deleted again, as the large one is."""

    async def each(work: Callable[[Client, str], Awaitable[object]]) -> Cost:
        names = iter([f"small-{number}" for number in range(count)])

        async def one_client() -> None:
            client = await Client.connect(server.port)
            for name in names:
                await work(client, name)
            client.close()

        return await costed(server, asyncio.gather(*(one_client() for _ in range(SMALL_CLIENTS))), count)

    up = await each(lambda client, name: client.upload(server.upload_head(name, SMALL_BYTES), SMALL_BYTES))
    down = await each(lambda client, name: client.request(server.download_head(name)))
    await each(lambda client, name: client.request(server.delete_head(name)))
    await asyncio.sleep(PAUSE_SECONDS)
    return up, down


async def fill(server: Server, count: int) -> None:
    """Many objects of one byte, in a thousand folders."""
    names = iter([f"f{number % 1000:03d}%2F{number:06d}" for number in range(count)])

    async def one_client() -> None:
        client = await Client.connect(server.port)
        for name in names:
            await client.upload(server.upload_head(name, 1), 1)
        client.close()

    await asyncio.gather(*(one_client() for _ in range(SMALL_CLIENTS)))


async def listed(server: Server, count: int) -> None:
    """Uploads many objects of one byte, then lists them all by pages, and one page of folders."""
    await fill(server, count)
    client = await Client.connect(server.port)
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
    client.close()


async def measure(size: int, small_count: int, listed_count: int, peer_listed_count: int) -> None:
    directory = Path(tempfile.mkdtemp(prefix="bench-storage-"))
    kinds = [BARE, SUMMING, THREADED, OURS, *([PEER_DISK] if peer_binary() else [])]
    servers = {kind: Server(kind, directory / str(place)) for place, kind in enumerate(kinds)}
    ours = servers[OURS]
    try:
        rates = await _rounds([servers[kind] for kind in (BARE, SUMMING, THREADED, OURS)], lambda one: large(one, size))
        peak = ours.memory_mb("VmHWM") - ours.idle_mb
        for index, what in enumerate(("upload", "download")):
            _print(f"{what} of {size / 1e6:.0f} MB", rates, index, "MB/s")
        print(f"memory at its peak: {peak:.1f} MB above the idle {ours.idle_mb:.1f} MB")
        if small_count:
            rates = await _rounds(list(servers.values()), lambda server: small(server, small_count))
            for index, what in enumerate(("upload", "download")):
                label = f"{what} of {small_count} x 50 KB, {SMALL_CLIENTS} clients"
                _print(label, rates, index, "objects/s")
        if listed_count:
            await listed(ours, listed_count)
            print(f"memory with {listed_count} objects: {ours.memory_mb('VmRSS') - ours.idle_mb:.1f} MB above idle")
            if peer_binary():
                servers[PEER_MEMORY] = Server(PEER_MEMORY, directory / "memory")
                await pages(ours, listed_count, servers[PEER_MEMORY], peer_listed_count)
    finally:
        for server in servers.values():
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def pages(ours: Server, count: int, peer: Server, peer_count: int) -> None:
    """One page of 500 again and again. The peer is filled with fewer: each of its uploads looks through all before."""
    await fill(peer, peer_count)
    request = b"GET /storage/v1/b/bench/o?maxResults=500 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    costs: dict[str, Cost] = {}
    for server in (ours, peer):
        client = await Client.connect(server.port)
        costs[server.kind] = await costed(server, _again_and_again(client, request))
        client.close()
    mine, other = costs[OURS], costs[PEER_MEMORY]
    print(
        f"a page of 500 of {count}: {mine.seconds / PAGES * 1000:.1f} ms, {mine.cpu_seconds / PAGES * 1000:.1f} ms of "
        f"processor; {PEER_MEMORY}, of {peer_count}: {other.seconds / PAGES * 1000:.1f} ms, "
        f"{other.cpu_seconds / PAGES * 1000:.1f} ms; {_ratios(other, mine)}"
    )


async def _again_and_again(client: Client, request: bytes) -> None:
    for _ in range(PAGES):
        await client.request(request)


async def _rounds(
    servers: list[Server], work: Callable[[Server], Awaitable[tuple[Cost, Cost]]]
) -> dict[str, tuple[Cost, Cost]]:
    """The median of five rounds of each, taken in turns: all feel the same weather."""
    rounds: dict[str, list[tuple[Cost, Cost]]] = {server.kind: [] for server in servers}
    for _ in range(ROUNDS):
        for server in servers:
            rounds[server.kind].append(await work(server))
    return {
        kind: (_median([up for up, _ in pairs]), _median([down for _, down in pairs])) for kind, pairs in rounds.items()
    }


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        costs[0].amount,
        statistics.median(cost.seconds for cost in costs),
        statistics.median(cost.cpu_seconds for cost in costs),
    )


def _ratios(other: Cost, mine: Cost) -> str:
    """How many times as much the other takes for the same, by the clock and by the processor."""
    cpu = other.cpu_seconds / mine.cpu_seconds if mine.cpu_seconds else 0.0
    return f"ratio {other.seconds / mine.seconds:.2f}, of processor {cpu:.2f}"


def _print(what: str, rates: dict[str, tuple[Cost, Cost]], index: int, unit: str) -> None:
    mine = rates[OURS][index]
    print(f"{what}: {mine.amount / mine.seconds:,.0f} {unit}, {mine.cpu_seconds:.2f} s of processor")
    for kind, costs in rates.items():
        if kind != OURS:
            print(f"  {kind}: {costs[index].amount / costs[index].seconds:,.0f}, {_ratios(costs[index], mine)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--peer-listed", type=int, default=5_000)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, directory = arguments.serve[0], Path(arguments.serve[1])
        asyncio.run(
            serve_ours(directory)
            if kind == OURS
            else serve_floor(directory, sums=kind != BARE, threads=kind == THREADED)
        )
    else:
        asyncio.run(measure(arguments.megabytes * 1_000_000, arguments.small, arguments.listed, arguments.peer_listed))


if __name__ == "__main__":
    main()
