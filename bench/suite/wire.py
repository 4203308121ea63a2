"""The RPC stack: unary calls and streams a second through our wire, beside grpc.aio serving the same in the same run.

Both servers run in processes of their own and answer from memory; the client is grpcio in this one.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from bench.measuring import Figure, median_seconds, show, takes_no_options

PREFIX = "/google.firestore.v1.Firestore/"
CALLS = 1500
IN_FLIGHT = 32


def main() -> None:
    figures: dict[str, dict[str, float]] = {}
    for server in ("ours", "grpc.aio"):
        with serving(server) as target:
            figures[server] = measure(target)
    show(
        "gRPC on the wire (floor: grpc.aio with the same messages)",
        [Figure(name, figures["ours"][name], "/s", figures["grpc.aio"][name]) for name in figures["ours"]],
    )


def measure(target: str) -> dict[str, float]:
    with grpc.insecure_channel(target) as channel:
        commit = channel.unary_unary(PREFIX + "Commit")
        query = channel.unary_stream(PREFIX + "RunQuery")
        request = b"\n\x1eprojects/p/databases/(default)"

        def one_by_one() -> None:
            for _ in range(CALLS):
                commit(request)

        def many_at_once() -> None:
            waiting: list[Any] = []
            for _ in range(CALLS * 2):
                waiting.append(commit.future(request))
                if len(waiting) >= IN_FLIGHT:
                    waiting.pop(0).result()
            for future in waiting:
                future.result()

        def queries() -> None:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda _: sum(1 for _ in query(b"")), range(CALLS // 2)))

        return {
            "unary, 1 in flight": CALLS / median_seconds(one_by_one, repeats=3),
            f"unary, {IN_FLIGHT} in flight": CALLS * 2 / median_seconds(many_at_once, repeats=3),
            "stream of 10, 4 in flight": CALLS // 2 / median_seconds(queries, repeats=3),
        }


@contextmanager
def serving(server: str) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-m", "bench.suite.wire", server], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.wait()


async def serve_ours() -> None:
    from afterimage_emulator.protos import messages
    from afterimage_emulator.wire.grpc_methods import Call, GrpcMethod
    from afterimage_emulator.wire.server import WireServer

    firestore: Any = messages("google.firestore.v1")

    def commit(request: Any, call: Call) -> Any:
        return firestore.CommitResponse(write_results=[{"update_time": {"seconds": 1}}])

    def query(request: Any, call: Call) -> Iterator[Any]:
        return (firestore.RunQueryResponse(skipped_results=index) for index in range(10))

    server = WireServer(
        name="bench",
        grpc=[
            GrpcMethod(path=PREFIX + "Commit", request_class=firestore.CommitRequest, unary=commit),
            GrpcMethod(path=PREFIX + "RunQuery", request_class=firestore.RunQueryRequest, server_stream=query),
        ],
    )
    await server.start()
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def serve_grpc_aio() -> None:
    import grpc.aio

    from afterimage_emulator.protos import messages

    firestore: Any = messages("google.firestore.v1")

    async def commit(request: Any, context: Any) -> Any:
        return firestore.CommitResponse(write_results=[{"update_time": {"seconds": 1}}])

    async def query(request: Any, context: Any) -> Any:
        for index in range(10):
            yield firestore.RunQueryResponse(skipped_results=index)

    handlers = {
        "Commit": grpc.unary_unary_rpc_method_handler(
            commit, firestore.CommitRequest.FromString, lambda reply: reply.SerializeToString()
        ),
        "RunQuery": grpc.unary_stream_rpc_method_handler(
            query, firestore.RunQueryRequest.FromString, lambda reply: reply.SerializeToString()
        ),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("google.firestore.v1.Firestore", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1].startswith("-"):
        takes_no_options(__doc__)
        main()
    else:
        asyncio.run(serve_ours() if sys.argv[1] == "ours" else serve_grpc_aio())
