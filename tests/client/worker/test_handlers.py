"""The two forms in which a worker is asked: a job of RunPod's queue, and a plain HTTP request."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from afterimage_client.errors import WorkerError
from afterimage_client.worker.callers.proof import SIGNATURE_HEADERS
from afterimage_client.worker.callers.signing import SigningKeys
from afterimage_client.worker.generation import Generation, WorkerStep
from afterimage_client.worker.handlers.http import http_application
from afterimage_client.worker.handlers.runpod import runpod_handler
from afterimage_client.worker.offline.drawing import draw
from afterimage_client.worker.worker import Worker
from tests.client.worker.conftest import Stage, User

KEYS = "k1:" + "AB" * 32


def test_a_job_of_runpod_is_answered_in_its_form(stage: Stage, user: User) -> None:
    """`input` in, the response out; a refusal stands under `error`, which RunPod takes for a failed job."""
    handler = runpod_handler(stage.worker(), draw)
    response = handler({"id": "job-1", "input": user.asks(num_images=2)})
    user.check_whole(response)
    refused = handler({"id": "job-2", "input": {"prompt": "a", "use_cloud_storage": True, "user_id": user.uid}})
    assert refused["code"] == "unauthenticated"
    assert "a `user_id` alone proves nothing" in refused["error"]
    assert handler({"id": "job-3"})["code"] == "invalid-request"


def test_what_the_model_raises_goes_through_to_runpod(stage: Stage, user: User) -> None:
    """RunPod notes it with its traceback; the user's document has ended by then."""

    def breaks(job: Generation) -> None:
        raise MemoryError(job.user_id)

    with pytest.raises(MemoryError):
        runpod_handler(stage.worker(), breaks)({"input": user.asks()})
    document = user.document()
    assert document is not None
    assert document["status"] == "failed"


def test_a_job_that_comes_again_while_its_worker_lives_is_answered_alike(stage: Stage, user: User) -> None:
    """The queue thinks the first worker dead; it is not, and the second waits for what it makes."""
    entered, go_on = threading.Event(), threading.Event()
    answers: dict[str, Any] = {}

    def slowly(job: Generation) -> None:
        entered.set()
        go_on.wait()
        draw(job)

    def work() -> None:
        answers["first"] = runpod_handler(stage.worker(), slowly)({"input": user.asks(seed=1)})

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    again = threading.Thread(
        target=lambda: answers.update(again=runpod_handler(stage.worker(), draw)({"input": user.asks(seed=1)}))
    )
    again.start()
    go_on.set()
    thread.join()
    again.join()
    assert answers["first"] == answers["again"]
    user.check_whole(answers["first"])


@dataclass
class Served:
    """`python -m afterimage_client.worker` as a process."""

    process: subprocess.Popen[str]
    base: str

    def post(self, body: Any, **headers: str) -> httpx2.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(f"{self.base}/generate", content=content, headers=named, timeout=60)


@pytest.fixture
def served(stage: Stage) -> Iterator[Served]:
    environment = {
        **os.environ,
        **stage.environment,
        "AFTERIMAGE_WORKER_KEYS": KEYS,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-m", "afterimage_client.worker", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    yield Served(process, line.split("/generate")[0])
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    process.stdout.close()


def headers_of(signature: dict[str, object]) -> dict[str, str]:
    return {
        name: quote(str(signature[own])) if own == "uid" else str(signature[own])
        for name, own in SIGNATURE_HEADERS.items()
    }


def test_the_plain_http_form(stage: Stage, user: User, served: Served) -> None:
    """A user by their token, a server by its signature, once; each refusal has its status and says what to do."""
    health = httpx2.get(f"{served.base}/health").json()
    assert health == {"status": "ok", "cloud_storage_enabled": True}
    asked = {key: value for key, value in user.asks(num_images=2).items() if key != "id_token"}
    by_token = served.post({"input": asked}, Authorization=f"Bearer {user.id_token}")
    assert by_token.status_code == 200
    user.check_whole(by_token.json())
    body = json.dumps({"input": asked | {"file_uid": "f2"}}).encode()
    signed = SigningKeys.from_text(KEYS).sign(method="POST", path="/generate", body=body, uid=user.uid)
    proof = headers_of(signed.to_fields())
    by_server = served.post(body, **proof)
    assert by_server.status_code == 200
    assert by_server.json()["user_id"] == user.uid
    assert user.documents() == ["f1", "f2"]
    for status, code, answer in (
        (401, "unauthenticated", served.post(body, **proof)),
        (401, "unauthenticated", served.post(body.replace(b"city", b"town"), **proof)),
        (401, "unauthenticated", served.post({"input": asked | {"user_id": user.uid}})),
        (401, "unauthenticated", served.post({"input": asked}, Authorization="Bearer x.y.z")),
        (403, "permission-denied", served.post({"input": user.asks(user_id="bob")})),
        (409, "already-exists", served.post({"input": user.asks(prompt="a town")})),
        (400, "invalid-request", served.post(b"{")),
        (400, "invalid-request", served.post(b"[" * 100_000)),
        (400, "invalid-request", served.post({"input": []})),
        (413, "too-large", served.post(b" " * (2 << 20))),
        (404, "not-found", httpx2.post(f"{served.base}/elsewhere", content=b"{}")),
        (405, "method-not-allowed", httpx2.get(f"{served.base}/generate")),
    ):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.json()["error"]


def test_a_request_that_is_cut_off_makes_nothing(stage: Stage, user: User, served: Served) -> None:
    """Half a body is not taken for a whole one, and the server goes on."""
    host, _, port = served.base.removeprefix("http://").partition(":")
    body = json.dumps({"input": user.asks()}).encode()
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"POST /generate HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % (len(body) + 10) + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 400 " in answer.splitlines()[0]
    assert user.documents() == []
    assert served.post({"input": user.asks()}).status_code == 200


def test_a_server_that_stops_ends_what_is_open(stage: Stage, user: User) -> None:
    """From another thread: the user reads why, and the block finds out at its next step."""
    worker = stage.worker()
    entered, go_on = threading.Event(), threading.Event()
    told: list[WorkerError] = []

    def slowly(job: Generation) -> None:
        entered.set()
        go_on.wait()
        draw(job)

    def work() -> None:
        try:
            worker.handle(user.asks(), slowly)
        except WorkerError as error:
            told.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    stage.workers.remove(worker)
    for generation in worker._open.all():
        generation.stop("the worker was stopped")
    document = user.document()
    go_on.set()
    thread.join()
    worker.close()
    assert document is not None
    assert (document["status"], document["reason"]) == ("failed", "the worker was stopped")
    assert [error.message for error in told] == ["the worker was stopped"]
    assert user.document() == document
    assert user.files() == {}


def test_a_stop_that_comes_too_late_takes_nothing_away(stage: Stage, user: User) -> None:
    """The generation is completed, and its files are its own."""
    with stage.worker().generation(user.asks()) as job:
        draw(job)
    job.stop("the worker was stopped")
    user.check_whole(job.response)


def test_a_stop_in_the_middle_of_an_upload_leaves_no_file(stage: Stage, user: User) -> None:
    """The upload ends after the stop; what it stored goes when the block is left."""
    jobs: list[Generation] = []

    def stop(step: WorkerStep) -> None:
        if step is WorkerStep.UPLOADING:
            thread = threading.Thread(target=jobs[0].stop, args=["the worker was stopped"])
            thread.start()
            thread.join()

    def make(job: Generation) -> None:
        jobs.append(job)
        draw(job)

    with pytest.raises(WorkerError, match="the worker was stopped"):
        stage.worker(on_step=stop).handle(user.asks(), make)
    document = user.document()
    assert document is not None
    assert (document["status"], user.files(), user.has_beat()) == ("failed", {}, False)


def test_without_a_cloud_the_http_form_answers_inline() -> None:
    """The application is plain WSGI: any server runs it, and a test calls it."""
    application = http_application(Worker(), draw)
    body = json.dumps({"input": {"prompt": "a city", "width": 16, "height": 16}}).encode()
    reader, writer = os.pipe()
    os.write(writer, body)
    os.close(writer)
    told: list[str] = []
    with os.fdopen(reader, "rb") as stream:
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/generate", "CONTENT_LENGTH": str(len(body)), "wsgi.input": stream,
        }  # fmt: skip
        answer = json.loads(b"".join(application(environ, lambda status, headers: told.append(status))))
    assert told == ["200 OK"]
    assert answer["image_url"].startswith("data:image/png;base64,")
