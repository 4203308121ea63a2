"""Firestore's speed beside its floor: the same messages echoed by the same server, with no Firestore behind it.

The server runs in a process of its own; clients are grpcio with serialized messages, so that what is measured is the
server. Loads and listeners come from further processes.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from afterimage_emulator.protos import messages
from bench.measuring import Figure, median_seconds, show, takes_no_options

_firestore: Any = messages("google.firestore.v1")
PREFIX = "/google.firestore.v1.Firestore/"
ECHO = "/bench.Echo/"
DATABASE = "projects/demo-bench/databases/(default)"
ROOT = f"{DATABASE}/documents"
CALLS = 1500
IN_FLIGHT = 32
DOCUMENTS = 100_000
A_COMMIT = 500
LISTENERS = 1000


def main() -> None:
    figures = [*single_requests(), *large_commits(), *loads(), *queries_and_memory(), *many_listeners()]
    show("Firestore (floors: the same messages echoed; for listeners the load without; for memory the bytes)", figures)


# -- what is sent


def document(path: str, **fields: Any) -> Any:
    found = _firestore.Document(name=f"{ROOT}/{path}")
    for name, value in fields.items():
        if isinstance(value, int):
            found.fields[name].integer_value = value
        else:
            found.fields[name].string_value = value
    return found


def commit_request(*documents: Any) -> bytes:
    request = _firestore.CommitRequest(database=DATABASE)
    for each in documents:
        request.writes.add().update.CopyFrom(each)
    serialized: bytes = request.SerializeToString()
    return serialized


def sample(number: int) -> Any:
    """A document of about 1 KB."""
    return document(f"load/d{number:06}", n=number, k=number % 100, text="x" * 940)


def query_request(fill: Callable[[Any], None]) -> bytes:
    request = _firestore.RunQueryRequest(parent=ROOT)
    request.structured_query.from_.add(collection_id="load")
    fill(request.structured_query)
    serialized: bytes = request.SerializeToString()
    return serialized


# -- figures


def single_requests() -> Iterator[Figure]:
    commit = commit_request(document("single/a", text="x" * 940))
    commits = [commit_request(document("single/a", n=number, text="x" * 930)) for number in range(CALLS)]
    get = _firestore.BatchGetDocumentsRequest(database=DATABASE, documents=[f"{ROOT}/single/a"]).SerializeToString()
    with serving() as server, grpc.insecure_channel(server.address) as channel:
        unary, stream = channel.unary_unary, channel.unary_stream
        unary(PREFIX + "Commit")(commit)
        work: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "commit": (
                repeated(unary(PREFIX + "Commit"), commits),
                repeated(unary(ECHO + "Commit"), commits),
            ),
            "get": (
                repeated(all_of(stream(PREFIX + "BatchGetDocuments")), [get] * CALLS),
                repeated(all_of(stream(ECHO + "BatchGetDocuments")), [get] * CALLS),
            ),
            f"commit, {IN_FLIGHT} in flight": (
                in_flight(unary(PREFIX + "Commit"), commits),
                in_flight(unary(ECHO + "Commit"), commits),
            ),
        }
        for name, (ours, floor) in work.items():
            taken, used = [], []
            for each in (ours, floor):
                before = server.cpu_seconds()
                taken.append(1e6 * median_seconds(each, repeats=5) / CALLS)
                used.append(1e6 * (server.cpu_seconds() - before) / 6 / CALLS)
            note = f"server's CPU alone {used[0]:.0f}, floor {used[1]:.0f}"
            yield Figure(name, taken[0], "µs", taken[1], note)


def repeated(call: Callable[[bytes], object], requests: list[bytes]) -> Callable[[], None]:
    def work() -> None:
        for request in requests:
            call(request)

    return work


def all_of(call: Any) -> Callable[[bytes], object]:
    return lambda request: list(call(request))


def in_flight(call: Any, requests: list[bytes]) -> Callable[[], None]:
    def work() -> None:
        waiting: list[Any] = []
        for request in requests:
            waiting.append(call.future(request))
            if len(waiting) >= IN_FLIGHT:
                waiting.pop(0).result()
        for future in waiting:
            future.result()

    return work


def large_commits() -> Iterator[Figure]:
    request = commit_request(*(sample(number) for number in range(A_COMMIT)))
    with serving() as server, grpc.insecure_channel(server.address, options=NO_LIMIT) as channel:
        taken = []
        for method in (PREFIX, ECHO):
            call = channel.unary_unary(method + "Commit")
            taken.append(1e3 * median_seconds(repeated(call, [request]), repeats=15))
        yield Figure(f"commit of {A_COMMIT} writes", taken[0], "ms", taken[1])


NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def loads() -> Iterator[Figure]:
    plain = 0.0
    for name, listener in (
        (f"load of {DOCUMENTS:,}, no listener", None),
        ("  with a listener on everything", "all"),
        ("  with a limit(50) listener", "limit"),
    ):
        taken, cpu = sorted(timed_load(listener) for _ in range(3))[1]
        plain = plain or taken
        note = f"server's CPU alone {cpu:.2f} s"
        yield Figure(name, taken, "s", None if listener is None else plain, note)


def timed_load(listener: str | None) -> tuple[float, float]:
    """Seconds until the last commit is answered, and the server's CPU until then."""
    with ExitStack() as stack:
        server = stack.enter_context(serving())
        if listener is not None:
            process = child("listen", server.address, listener)
            stack.callback(stop, process)
            assert process.stdout is not None
            process.stdout.readline()
        loader = child("load", server.address)
        stack.callback(stop, loader)
        assert loader.stdout is not None
        seconds = float(loader.stdout.readline())
        return seconds, server.cpu_seconds()


def queries_and_memory() -> Iterator[Figure]:
    def by_equality(query: Any) -> None:
        where = query.where.field_filter
        where.field.field_path, where.op, where.value.integer_value = "k", 5, 42
        query.limit.value = 20

    def by_range(query: Any) -> None:
        where = query.where.field_filter
        where.field.field_path, where.op, where.value.integer_value = "n", 3, 50_000
        query.order_by.add(direction=2).field.field_path = "n"
        query.limit.value = 20

    with serving() as server:
        empty = server.resident_bytes()
        loader = child("load", server.address)
        assert loader.stdout is not None
        loader.stdout.readline()
        stop(loader)
        loaded = server.resident_bytes()
        yield Figure(f"memory for {DOCUMENTS:,} of 1 KB", (loaded - empty) / 1e6, "MB", DOCUMENTS * 1024 / 1e6)
        with grpc.insecure_channel(server.address) as channel:
            yield others_wait(server.address, all_of(channel.unary_stream(PREFIX + "RunQuery")))
            for name, fill in (("equality", by_equality), ("range + order", by_range)):
                request = query_request(fill)
                ours = channel.unary_stream(PREFIX + "RunQuery")
                echo = channel.unary_stream(ECHO + "RunQuery")
                started = time.perf_counter()
                assert len(list(ours(request))) == 20
                first = time.perf_counter() - started
                taken = [1e6 * median_seconds(repeated(all_of(call), [request]), repeats=200) for call in (ours, echo)]
                yield Figure(
                    f"20 of {DOCUMENTS:,} by {name}", taken[0], "µs", taken[1], f"first time {first * 1e3:.0f} ms"
                )


def others_wait(address: str, run_query: Callable[[bytes], object]) -> Figure:
    """The longest that a read waits while an index over all documents is made; the floor is the longest without."""

    def needs_an_index(query: Any) -> None:
        where = query.where.field_filter
        where.field.field_path, where.op, where.value.integer_value = "k", 5, 7
        query.order_by.add().field.field_path = "text"
        query.order_by.add().field.field_path = "n"
        query.limit.value = 20

    request = query_request(needs_an_index)
    get = _firestore.BatchGetDocumentsRequest(database=DATABASE, documents=[f"{ROOT}/load/d000001"]).SerializeToString()
    longest = []
    seconds = 0.0
    with grpc.insecure_channel(address) as channel:
        read = all_of(channel.unary_stream(PREFIX + "BatchGetDocuments"))
        read(get)
        for does_nothing in (False, True):
            done = threading.Thread(target=time.sleep if does_nothing else run_query, args=(seconds or request,))
            waits = [0.0]
            started = time.perf_counter()
            done.start()
            while done.is_alive():
                before = time.perf_counter()
                read(get)
                waits.append(time.perf_counter() - before)
            seconds = time.perf_counter() - started
            longest.append(max(waits))
    return Figure("longest read meanwhile", longest[0] * 1e3, "ms", longest[1] * 1e3, "an index over all is made")


def many_listeners() -> Iterator[Figure]:
    """From one write to the last of a thousand listeners, on ten connections."""
    with serving() as server:
        process = child("listeners", server.address)
        assert process.stdout is not None
        try:
            before = server.cpu_seconds()
            process.stdout.readline()
            ready = server.cpu_seconds() - before
            taken = float(process.stdout.readline())
            cpu = (server.cpu_seconds() - before - ready) / 6
            note = f"server's CPU alone {1e3 * cpu:.0f} ms"
            yield Figure(f"1 write to {LISTENERS} listeners", taken * 1e3, "ms", note=note)
        finally:
            stop(process)


# -- processes


class Server:
    """The server's process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.pid = process.pid
        self.address = f"127.0.0.1:{process.stdout.readline().strip()}"

    def cpu_seconds(self) -> float:
        """What the server itself used: steadier than the wall clock where others work on the same machine."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(status.partition("VmRSS:")[2].split()[0])


def child(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True)


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()


@contextmanager
def serving() -> Iterator[Server]:
    process = child("serve")
    try:
        yield Server(process)
    finally:
        stop(process)


async def serve() -> None:
    from afterimage_emulator.activity import Activity
    from afterimage_emulator.clock import Clock
    from afterimage_emulator.events import EventBus
    from afterimage_emulator.faults import Faults
    from afterimage_emulator.firestore.service import FirestoreService
    from afterimage_emulator.wire.server import WireServer

    clock, faults = Clock(), Faults()
    events = EventBus(clock=clock, faults=faults, activity=Activity())
    service = FirestoreService(clock=clock, events=events)
    server = WireServer(name="bench", http=service.http, grpc=[*service.grpc, *echoes()])
    await server.start()
    say(server.port)
    await asyncio.Event().wait()


def echoes() -> list[Any]:
    """Parse the request, send back a reply of the same form that was made before."""
    from afterimage_emulator.wire.grpc_methods import GrpcMethod

    stamp = {"seconds": 1_700_000_000, "nanos": 123_456_000}
    one = _firestore.WriteResult(update_time=stamp)
    large = _firestore.CommitResponse(write_results=[one] * A_COMMIT, commit_time=stamp).SerializeToString()
    small = _firestore.CommitResponse(write_results=[one], commit_time=stamp).SerializeToString()
    found = document("single/a", n=1, text="x" * 930)
    found.create_time.seconds = found.update_time.seconds = 1_700_000_000
    got = _firestore.BatchGetDocumentsResponse(found=found, read_time=stamp).SerializeToString()
    answer = _firestore.RunQueryResponse(document=found, read_time=stamp).SerializeToString()
    return [
        GrpcMethod(
            path=ECHO + "Commit",
            request_class=_firestore.CommitRequest,
            unary=lambda request, call: small if len(request.writes) == 1 else large,
        ),
        GrpcMethod(
            path=ECHO + "BatchGetDocuments",
            request_class=_firestore.BatchGetDocumentsRequest,
            server_stream=lambda request, call: (got,),
        ),
        GrpcMethod(
            path=ECHO + "RunQuery",
            request_class=_firestore.RunQueryRequest,
            server_stream=lambda request, call: iter([answer] * 20),
        ),
    ]


def say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def load(address: str) -> None:
    """All documents in commits of 500, one after the other; says the seconds it took."""
    requests = [
        commit_request(*(sample(number) for number in range(start, start + A_COMMIT)))
        for start in range(0, DOCUMENTS, A_COMMIT)
    ]
    with grpc.insecure_channel(address, options=NO_LIMIT) as channel:
        commit = channel.unary_unary(PREFIX + "Commit")
        started = time.perf_counter()
        for request in requests:
            commit(request)
        say(time.perf_counter() - started)


def listen_request(target_id: int, limit: int | None) -> bytes:
    request = _firestore.ListenRequest(database=DATABASE)
    target = request.add_target
    target.target_id, target.query.parent = target_id, ROOT
    target.query.structured_query.from_.add(collection_id="load")
    if limit is not None:
        target.query.structured_query.limit.value = limit
    serialized: bytes = request.SerializeToString()
    return serialized


def open_listener(channel: grpc.Channel, request: bytes) -> Iterator[bytes]:
    stays_open = threading.Event()

    def requests() -> Iterator[bytes]:
        yield request
        stays_open.wait()

    replies: Iterator[bytes] = channel.stream_stream(PREFIX + "Listen")(requests())
    for reply in replies:
        change = _firestore.ListenResponse.FromString(reply).target_change
        if change.target_change_type == 0 and change.HasField("read_time") and not change.target_ids:
            break
    return replies


def listen(address: str, kind: str) -> None:
    """Listens and reads as fast as it can; says when it is ready."""
    with grpc.insecure_channel(address, options=NO_LIMIT) as channel:
        replies = open_listener(channel, listen_request(2, 50 if kind == "limit" else None))
        say("listening")
        for _ in replies:
            pass


def listeners(address: str) -> None:
    """A thousand listeners; says the median seconds from a write until the last of them has it."""
    channels = [grpc.insecure_channel(address, options=[("bench.channel", n)]) for n in range(10)]
    arrived = threading.Semaphore(0)

    def follow(replies: Iterator[bytes]) -> None:
        try:
            for reply in replies:
                if _firestore.ListenResponse.FromString(reply).HasField("document_change"):
                    arrived.release()
        except grpc.RpcError:
            return

    for number in range(LISTENERS):
        replies = open_listener(channels[number % 10], listen_request(2, None))
        threading.Thread(target=follow, args=(replies,), daemon=True).start()
    say("listening")
    commit = channels[0].unary_unary(PREFIX + "Commit")
    numbers = iter(range(1000))

    def write_once() -> None:
        commit(commit_request(sample(next(numbers))))
        for _ in range(LISTENERS):
            arrived.acquire()

    say(median_seconds(write_once, repeats=5))


if __name__ == "__main__":
    if len(sys.argv) == 1 or sys.argv[1].startswith("-"):
        takes_no_options(__doc__)
        main()
    elif sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        roles: dict[str, Callable[..., None]] = {"load": load, "listen": listen, "listeners": listeners}
        roles[sys.argv[1]](*sys.argv[2:])
