"""What the guard is tried with: pages, names and routes as data, and a raw request that sends just what it is told."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PROJECT = "demo-guard"
FOREIGN = (
    "https://evil.example",
    "http://evil.example:3000",
    "http://localhost.evil.example",
    "http://evil-localhost:3000",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1.nip.io",
    "https://localhost@evil.example",
    "http://192.0.2.7:3000",
    "http://224.0.0.1:3000",
    "http://[2001:db8::7]:3000",
    "capacitor://evil.example",
    "file://localhost",
    "chrome-extension://abcdefghijklmnop",
    "null",
    "file://",
    "NULL",
    "",
    "localhost:3000",
    "http://",
    "http://localhost:3000 https://evil.example",
    "http://[::1",
)
LOCAL = (
    "http://localhost",
    "http://localhost:3000",
    "https://localhost:5173",
    "HTTP://LocalHost:3000",
    "http://localhost.:3000",
    "http://app.localhost:3000",
    "http://127.0.0.1:3000",
    "http://127.8.9.10:3000",
    "http://[::1]:3000",
    "http://[::ffff:127.0.0.1]:3000",
    "http://0.0.0.0:8000",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
)
REBOUND = (
    "evil.example",
    "evil.example:8080",
    "EVIL.example.",
    "127.0.0.1.nip.io:8080",
    "localhost.evil.example",
    "a.b",
    "evil.example:80:80",
    "user@evil.example",
    "local.host",
)
CALLED = (
    "localhost",
    "LOCALHOST.:8080",
    "app.localhost:8080",
    "127.0.0.1:8080",
    "127.1",
    "[::1]:8080",
    "10.0.2.2:8080",
    "192.168.1.20:8080",
    "firestore",
    "firebase-suite:8080",
    "host.docker.internal:8080",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A request that a service answers; `admin` for what only administrators may ask."""

    service: str
    method: str
    path: str
    body: str = ""
    headers: Mapping[str, str] | None = None
    admin: bool = True


_DOCUMENTS = f"/v1/projects/{PROJECT}/databases/(default)/documents"
_OWNER = {"authorization": "Bearer owner"}
ROUTES = (
    Route(service="hub", method="GET", path="/", admin=False),
    Route(service="hub", method="GET", path="/emulators", admin=False),
    Route(service="hub", method="POST", path="/control/reset"),
    Route(service="hub", method="GET", path="/control/events"),
    Route(service="hub", method="POST", path="/token"),
    Route(service="hub", method="POST", path="/control/clock", body='{"advance_seconds": 1}'),
    Route(service="hub", method="PUT", path="/functions/disableBackgroundTriggers"),
    Route(service="firestore", method="GET", path="/", admin=False),
    Route(service="firestore", method="GET", path=f"{_DOCUMENTS}/a/b", admin=False),
    Route(service="firestore", method="GET", path=f"{_DOCUMENTS}/a/b", headers=_OWNER),
    Route(service="firestore", method="GET", path=f"{_DOCUMENTS}/a/b", headers={"authorization": "bearer  OWNER"}),
    Route(service="firestore", method="GET", path=f"{_DOCUMENTS}/a/b", headers={"authorization": "Bearer ya29.x"}),
    Route(
        service="firestore", method="POST", path="/google.firestore.v1.Firestore/Listen/channel?VER=8&RID=1",
        body="headers=&count=0", admin=False,
    ),
    Route(
        service="firestore", method="POST", path="/google.firestore.v1.Firestore/Listen/channel?VER=8&RID=1",
        body="headers=Authorization:Bearer+owner%0D%0A&count=0",
    ),
    Route(service="firestore", method="POST", path="/reset"),
    Route(service="firestore", method="GET", path=f"/emulator/v1/projects/{PROJECT}:securityRules"),
    Route(
        service="firestore", method="DELETE", path=f"/emulator/v1/projects/{PROJECT}/databases/(default)/documents"
    ),
    Route(service="storage", method="GET", path="/", admin=False),
    Route(service="storage", method="GET", path="/v0/b/any/o", admin=False),
    Route(service="storage", method="GET", path="/storage/v1/b"),
    Route(service="storage", method="GET", path="/any/plain.txt", admin=False),
    Route(service="storage", method="GET", path="/b"),
    Route(service="storage", method="GET", path="/b/any/o"),
    Route(service="storage", method="GET", path="/download/storage/v1/b/any/o/plain.txt"),
    Route(service="storage", method="PUT", path="/any/plain.html", body="<script>"),
    Route(service="storage", method="POST", path="/internal/reset"),
    Route(service="auth", method="GET", path="/", admin=False),
    Route(
        service="auth", method="POST", path="/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any", body="{}",
        admin=False,
    ),
    Route(service="auth", method="GET", path=f"/emulator/v1/projects/{PROJECT}/accounts"),
    Route(service="auth", method="DELETE", path=f"/emulator/v1/projects/{PROJECT}/accounts"),
    Route(service="auth", method="POST", path=f"/v1/projects/{PROJECT}:verifyAppCheckToken", body="{}"),
    Route(
        service="auth", method="POST", path=f"/identitytoolkit.googleapis.com/v1/projects/{PROJECT}/accounts:query",
        body="{}", headers=_OWNER,
    ),
    Route(service="pubsub", method="GET", path="/", admin=False),
    Route(service="pubsub", method="GET", path=f"/v1/projects/{PROJECT}/topics"),
    Route(service="pubsub", method="PUT", path=f"/v1/projects/{PROJECT}/topics/news", body="{}"),
    Route(service="tasks", method="GET", path="/", admin=False),
    Route(service="tasks", method="GET", path=f"/v2/projects/{PROJECT}/locations/us-central1/queues"),
    Route(service="tasks", method="POST", path=f"/projects/{PROJECT}/locations/l/queues/mail/tasks", body="{}"),
    Route(service="eventarc", method="GET", path="/", admin=False),
    Route(
        service="eventarc", method="POST", path=f"/projects/{PROJECT}/locations/l/channels/c:publishEvents",
        body='{"events":[]}',
    ),
    Route(service="hosting", method="GET", path="/", admin=False),
    Route(service="hosting", method="GET", path="/__/firebase/init.json", admin=False),
    Route(service="hosting", method="GET", path="/", headers=_OWNER),
    Route(service="functions", method="GET", path="/", admin=False),
    Route(service="functions", method="GET", path=f"/{PROJECT}/us-central1/hello", admin=False),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


def send(
    address: str, method: str, path: str, headers: Mapping[str, str] | Sequence[tuple[str, str]] = (), body: str = ""
) -> Answer:
    """With a Host header of the client's own only where none is given."""
    sent = list(headers.items() if isinstance(headers, Mapping) else headers)
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        names = {name.lower() for name, _ in sent}
        connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in sent:
            connection.putheader(name, value)
        connection.putheader("content-length", str(len(body.encode())))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def ask(address: str, route: Route, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return send(address, route.method, route.path, {**(route.headers or {}), **named}, route.body)
