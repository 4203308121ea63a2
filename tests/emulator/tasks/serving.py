"""What tests of task queues hold: the official clients of a suite's queues, and a handler on this machine."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import tasks_v2
from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

from afterimage_emulator.background import BackgroundSuite
from tests.listening import listening

PROJECT = "demo-tasks"
PARENT = f"projects/{PROJECT}/locations/us-central1"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that came to the handler."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class TaskHandler:
    """Answers with the planned statuses, then with 200; while `gate` is closed it answers nobody."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.arrived.acquire(timeout=30), f"only {len(self.heard)} requests came"

    def names(self) -> list[str]:
        return [heard.headers["x-cloudtasks-taskname"] for heard in self.heard]


@contextmanager
def handling() -> Iterator[TaskHandler]:
    handler = TaskHandler()
    handler.gate.set()
    lock = threading.Lock()

    class Requests(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                handler.heard.append(Heard(self.command, self.path, headers, body))
                status = handler.statuses.pop(0) if handler.statuses else 200
            handler.arrived.release()
            handler.gate.wait(30)
            self.send_response(status)
            if 300 <= status <= 399:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "7")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"as told")

        def log_message(self, *told: Any) -> None:
            return

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        setattr(Requests, f"do_{method}", Requests.answer)
    with listening(Requests) as address:
        handler.url = f"{address}/work"
        try:
            yield handler
        finally:
            handler.gate.set()


def client_of(suite: BackgroundSuite, wire: str) -> tasks_v2.CloudTasksClient:
    """google-cloud-tasks as it is pointed at a local address; it knows no variable for that."""
    address = suite.address("tasks")
    if wire == "rest":
        return tasks_v2.CloudTasksClient(
            transport="rest", client_options={"api_endpoint": f"http://{address}"}, credentials=AnonymousCredentials()
        )
    return tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=grpc.insecure_channel(address)))


def new_queue(client: tasks_v2.CloudTasksClient, **settings: Any) -> str:
    """The name of a queue that no other test uses."""
    name = f"{PARENT}/queues/queue-{next(_numbers)}"
    created = client.create_queue(parent=PARENT, queue={"name": name, **settings})
    return str(created.name)


def http_task(url: str, **fields: Any) -> dict[str, Any]:
    request = {"url": url, **{name: fields.pop(name) for name in tuple(fields) if name in REQUEST_FIELDS}}
    return {"http_request": request, **fields}


REQUEST_FIELDS = ("http_method", "headers", "body", "oidc_token", "oauth_token")


def records_of(suite: BackgroundSuite, task: str) -> list[dict[str, Any]]:
    return suite.call(lambda: records_of_now(suite, task))


def records_of_now(suite: BackgroundSuite, task: str) -> list[dict[str, Any]]:
    """For who is in the suite's thread already."""
    return [record for record in suite.suite.records(failed_only=False) if record["id"] == task]


def until(condition: Callable[[], Any], suite: BackgroundSuite, rounds: int = 200_000) -> None:
    """Lets the suite's loop go round until something is so."""
    for _ in range(rounds):
        if suite.call(condition):
            return
    raise AssertionError("it never came to be so")


def all_of(pages: Iterable[Any]) -> list[str]:
    return [each.name.rpartition("/")[2] for each in pages]
