"""Faults told apart: by what each library says of its own, then by whose class it is and whose code raised it."""

from __future__ import annotations

import errno
import json
import queue
import socket
from collections.abc import Callable, Iterator
from typing import Any

import firebase_admin
import firebase_admin.exceptions
import google.auth.exceptions
import google.cloud.storage.exceptions
import grpc
import httpx2
import msgspec
import pytest
import requests
import urllib3
from google.api_core import exceptions

from afterimage.faults import FaultKind, PermanentError, TransientError, is_transient, kind_of
from afterimage.store.documents import ConflictError

TRANSIENT, UNKNOWN, PERMANENT = FaultKind.TRANSIENT, FaultKind.UNKNOWN, FaultKind.PERMANENT
REQUEST = httpx2.Request("GET", "http://a.test/")
NOTHING: dict[str, str] = {}
PASSING = {408, 429, 499, 500, 502, 503, 504}


def answered(status: int) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError("x", response=response)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.ServiceUnavailable("x"), TRANSIENT),
        (exceptions.TooManyRequests("x"), TRANSIENT),
        (exceptions.DeadlineExceeded("x"), TRANSIENT),
        (exceptions.Aborted("x"), TRANSIENT),
        (exceptions.RetryError("x", None), TRANSIENT),
        (exceptions.Forbidden("x"), PERMANENT),
        (exceptions.BadRequest("x"), PERMANENT),
        (exceptions.FailedPrecondition("x"), PERMANENT),
        (firebase_admin.exceptions.UnavailableError("x"), TRANSIENT),
        (firebase_admin.exceptions.InternalError("x"), TRANSIENT),
        (firebase_admin.exceptions.UnknownError("x"), TRANSIENT),
        (firebase_admin.exceptions.NotFoundError("x"), PERMANENT),
        (firebase_admin.exceptions.InvalidArgumentError("x"), PERMANENT),
        (google.auth.exceptions.TransportError("x"), TRANSIENT),
        (google.auth.exceptions.RefreshError("x"), UNKNOWN),
        (google.auth.exceptions.DefaultCredentialsError("x"), UNKNOWN),
        (google.cloud.storage.exceptions.DataCorruption(requests.Response(), "checksum"), UNKNOWN),
        (requests.ConnectionError("x"), TRANSIENT),
        (requests.exceptions.ChunkedEncodingError("x"), UNKNOWN),
        (answered(503), TRANSIENT),
        (answered(429), TRANSIENT),
        (answered(404), PERMANENT),
        (urllib3.exceptions.ProtocolError("x"), UNKNOWN),
        (httpx2.ReadError("x", request=REQUEST), TRANSIENT),
        (httpx2.HTTPStatusError("x", request=REQUEST, response=httpx2.Response(502)), TRANSIENT),
        (httpx2.HTTPStatusError("x", request=REQUEST, response=httpx2.Response(409)), PERMANENT),
        (msgspec.ValidationError("x"), UNKNOWN),
        (ConnectionResetError(), TRANSIENT),
        (TimeoutError(), TRANSIENT),
        (OSError(errno.EMFILE, "too many open files"), UNKNOWN),
        (MemoryError(), UNKNOWN),
        (TransientError("x"), TRANSIENT),
        (PermanentError("x"), PERMANENT),
        (ConflictError("x"), PERMANENT),
        (KeyError("x"), PERMANENT),
        (RecursionError(), PERMANENT),
        (queue.Empty(), PERMANENT),
    ],
    ids=lambda value: (
        f"{type(value).__module__}.{type(value).__name__}" if isinstance(value, Exception) else str(value)
    ),
)
def test_each_fault_is_of_its_kind(error: Exception, kind: FaultKind) -> None:
    """What is known to pass is tried again, what will not is recorded, and the rest is told from both."""
    assert kind_of(error) is kind
    assert is_transient(error) is (kind is TRANSIENT)


def test_no_error_of_a_call_is_left_to_chance() -> None:
    """Each class that Google's and Firebase's libraries raise for a call that failed is of a known kind."""
    calls, firebase = _classes(exceptions.GoogleAPICallError), _classes(firebase_admin.exceptions.FirebaseError)
    for found in calls:
        if found.code is not None and found.code >= 400:
            expected = TRANSIENT if found.code in PASSING or found is exceptions.Aborted else PERMANENT
            assert kind_of(found("x")) is expected, found
    for found in firebase:
        if found.__module__ == "firebase_admin.exceptions" and found is not firebase_admin.exceptions.FirebaseError:
            assert kind_of(found("x")) is not UNKNOWN, found


@pytest.mark.parametrize(
    ("work", "kind"),
    [
        (lambda: _twice("faults-are-told-apart"), UNKNOWN),
        (lambda: _called_nobody(), TRANSIENT),
        (lambda: NOTHING["missing"], PERMANENT),
        (lambda: json.loads("{"), PERMANENT),
        (lambda: int("x"), PERMANENT),
    ],
    ids=["inside a library", "by a call over gRPC", "in our own line", "in python's library", "in python itself"],
)
def test_an_unknown_error_is_judged_by_the_code_that_raised_it(work: Callable[[], Any], kind: FaultKind) -> None:
    """A ValueError out of a library may be the process's own state; one out of our line meets every delivery."""
    with pytest.raises((ValueError, KeyError, grpc.RpcError)) as raised:
        work()
    assert kind_of(raised.value) is kind


def _twice(name: str) -> None:
    """The second app of a name: what events of a cold start once met."""
    app = firebase_admin.initialize_app(name=name)
    try:
        firebase_admin.initialize_app(name=name)
    finally:
        firebase_admin.delete_app(app)


def _called_nobody() -> None:
    """A port that nobody listens on: gRPC's error carries its code as a method."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with grpc.insecure_channel(f"127.0.0.1:{bound.getsockname()[1]}") as channel:
            channel.unary_unary("/a.B/C")(b"", timeout=20)


def _classes(base: Any) -> Iterator[Any]:
    for found in base.__subclasses__():
        yield found
        yield from _classes(found)
