"""What browsers cost beside gRPC: when a page hears of a write, and the server's CPU for two hundred listeners.

The listener of a page runs in a headless Chromium, its peer in Node over gRPC, both with the official SDK, both told of
the same writes in the same run. The two hundred are raw clients with a connection each, so that what is measured is the
server. The targets are 15 ms after gRPC, and 1.5 times its CPU.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import grpc

from bench.measuring import Figure, show, takes_no_options
from bench.suite.firestore import (
    DATABASE,
    PREFIX,
    ROOT,
    Server,
    commit_request,
    document,
    listen_request,
    open_listener,
    say,
    serving,
    stop,
)
from tests.browser.chromium import NODE_MODULES, Chromium, why_no_browser
from tests.browser.page import Browser, PageServer

LISTENERS = 200
WRITES = 100
CHANNEL = "/google.firestore.v1.Firestore/Listen/channel"
# Runs in Node and in the page: notes when each number arrives.
LISTENING = """
  const db = sdk.initializeFirestore(app.initializeApp({ projectId: "demo-bench", apiKey: "x" }), {});
  sdk.connectFirestoreEmulator(db, "127.0.0.1", port);
  await new Promise((ready) => sdk.onSnapshot(sdk.doc(db, "single/a"), (snapshot) => {
    ready();
    const n = snapshot.get("n");
    if (n !== undefined) heard(n, performance.timeOrigin + performance.now());
  }));
"""
IN_NODE = (
    'const [app, sdk] = await Promise.all([import("firebase/app"), import("firebase/firestore")]);'
    "const port = Number(process.argv[1]);"
    "const heard = (n, at) => console.log(JSON.stringify([n, at]));"
    f'{LISTENING} console.log("listening");'
)
IN_A_PAGE = f"""async (port) => {{
  const [app, sdk] = await Promise.all([import("firebase/app"), import("firebase/firestore")]);
  const heard = (n, at) => {{ (window.times ??= {{}})[n] = at; window.told?.(); }};
  {LISTENING}
}}"""
UNTIL = """async (n) => {
  while (window.times?.[n] === undefined) await new Promise((resolve) => (window.told = resolve));
  return window.times[n];
}"""


def main() -> None:
    show(f"WebChannel (floors: the same over gRPC; {LISTENERS} listeners, {WRITES} writes)", [*arrivals(), *costs()])


def arrivals() -> Iterator[Figure]:
    missing = why_no_browser()
    if missing is not None:
        sys.stdout.write(f"no arrival in a page is measured: {missing}\n")
        return
    chromium, pages = Chromium(), PageServer()
    try:
        with serving() as server, grpc.insecure_channel(server.address) as channel:
            port = server.address.rpartition(":")[2]
            node = subprocess.Popen(
                ["node", "--input-type=module", "-e", IN_NODE, port],
                cwd=NODE_MODULES.parent, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert node.stdout is not None
            while node.stdout.readline() != "listening\n":
                pass
            page = Browser(chromium, pages).open()
            page.run(IN_A_PAGE, int(port))
            late = []
            for n in range(WRITES):
                channel.unary_unary(PREFIX + "Commit")(commit_request(document("single/a", n=n)))
                at = json.loads(node.stdout.readline())
                assert at[0] == n
                late.append(page.run(UNTIL, n) - at[1])
            stop(node)
        ordered = sorted(late)
        note = f"a page after Node over gRPC; 95 of 100 within {ordered[int(0.95 * WRITES)]:.1f}"
        yield Figure("a snapshot arrives later by", statistics.median(late), "ms", note=note)
    finally:
        chromium.close()
        pages.close()


def costs() -> Iterator[Figure]:
    """The kinds take turns, so that whatever else the machine does concerns both."""
    used: dict[str, list[float]] = {"web": [], "grpc": []}
    for _ in range(3):
        for kind, seconds in used.items():
            seconds.append(cost_of(kind))
    web, floor = (1e6 * statistics.median(used[kind]) / WRITES / LISTENERS for kind in ("web", "grpc"))
    yield Figure("a listener told of a write", web, "µs", floor, "of the server's CPU")


def cost_of(kind: str) -> float:
    with serving() as server:
        listening = subprocess.Popen(
            [sys.executable, __file__, kind, server.address], stdout=subprocess.PIPE, text=True
        )
        assert listening.stdout is not None
        try:
            assert listening.stdout.readline() == "listening\n"
            return seconds_for_writes(server, listening.stdout)
        finally:
            stop(listening)


def seconds_for_writes(server: Server, arrived: IO[str]) -> float:
    with grpc.insecure_channel(server.address) as channel:
        commit = channel.unary_unary(PREFIX + "Commit")
        before = 0.0
        for n in range(-5, WRITES):
            if n == 0:
                before = server.cpu_seconds()
            commit(commit_request(document("load/a", n=n + 10, text="x" * 200)))
            assert arrived.readline() == "all\n"
        return server.cpu_seconds() - before


# -- the listeners' processes


def listen_by_grpc(address: str) -> None:
    channels = [grpc.insecure_channel(address, options=[("bench.channel", n)]) for n in range(LISTENERS)]
    arrived = threading.Semaphore(0)

    def follow(replies: Iterator[bytes]) -> None:
        try:
            for reply in replies:
                if reply[0] == 0x1A:  # field 3 of ListenResponse: a document changed
                    arrived.release()
        except grpc.RpcError:
            return

    for channel in channels:
        replies = open_listener(channel, listen_request(2, None))
        threading.Thread(target=follow, args=(replies,), daemon=True).start()
    say("listening")
    while True:
        for _ in range(LISTENERS):
            arrived.acquire()
        say("all")


async def listen_by_web_channel(address: str) -> None:
    host, _, port = address.rpartition(":")
    arrived = asyncio.Semaphore(0)
    ready = asyncio.Semaphore(0)
    query = {"parent": ROOT, "structuredQuery": {"from": [{"collectionId": "load"}]}}
    target = json.dumps({"database": DATABASE, "addTarget": {"query": query, "targetId": 2}})
    body = f"headers=&count=1&ofs=0&req0___data__={quote(target, safe='')}"

    async def ask(request: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request.encode())
        await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def follow() -> None:
        handshake = f"POST {CHANNEL}?VER=8&RID=1&CVER=22 HTTP/1.1\r\nHost: {address}\r\nContent-Length: {len(body)}"
        reader, writer = await ask(f"{handshake}\r\n\r\n{body}")
        sid = (await reader.readuntil(b"]]]")).split(b'"')[3].decode()
        writer.close()
        # A writer that nobody holds takes its connection along.
        reader, writer = await ask(
            f"GET {CHANNEL}?VER=8&RID=rpc&SID={sid}&AID=0&CI=0 HTTP/1.1\r\nHost: {address}\r\n\r\n"
        )
        ready.release()
        while piece := await reader.read(65536):
            for _ in range(piece.count(b'"documentChange"')):
                arrived.release()

    followers = [asyncio.create_task(follow()) for _ in range(LISTENERS)]
    for _ in followers:
        await ready.acquire()
    say("listening")
    while True:
        for _ in range(LISTENERS):
            await arrived.acquire()
        say("all")


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1].startswith("-"):
        takes_no_options(__doc__)
        main()
    elif sys.argv[1] == "grpc":
        listen_by_grpc(sys.argv[2])
    else:
        asyncio.run(listen_by_web_channel(sys.argv[2]))
