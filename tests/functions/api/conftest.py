"""Owns the API over sockets: the real application in a threaded server, its stores over the suite, and its callers.

Modules in ALSO_ON_ONE_MACHINE run once more against one machine's server, over SQLite and a folder.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import firebase_admin
import google.auth
import httpx
import pytest
from flask import Flask, request
from google.cloud import firestore, storage
from werkzeug.serving import make_server

from afterimage.api.admission.tokens import CallerTokens, FirebaseTokens
from afterimage.api.application import Api
from afterimage.api.dispatch import RouteTable
from afterimage.api.services import Services, no_jobs
from afterimage.api.table import TABLE
from afterimage.edges.drive.composition import drive_links_over
from afterimage.edges.drive.keys.key_file import add_key
from afterimage.faults import TransientError
from afterimage.generations.generator import Generator
from afterimage.generations.records import VersionKey
from afterimage.generations.templates import TemplateGenerator
from afterimage.generations.working import Workshop
from afterimage.made_once import made_once
from afterimage.settings import Settings, read_settings
from afterimage.store.cloud_files import CloudFiles
from afterimage.store.cloud_links import CloudLinks
from afterimage.store.documents import DocumentStore
from afterimage.store.files import FileStore
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage.store.links import FileLinks
from afterimage.store.memory_documents import MemoryDocuments
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.functions.host import local_app_check
from afterimage_server.configuration import read_server_settings
from afterimage_server.listening import Listener
from afterimage_server.local_tokens import LocalTokens
from afterimage_server.machine import Machine, open_machine
from tests.client.quick_folder import quick_folder
from tests.functions.generations.workshop_world import PRICES

APP = "1:12345:web:abc"


@dataclass
class ServedApi:
    """One or more instances of the API, each on a port of its own, in one project of the suite."""

    project_id: str
    settings: Settings
    documents: DocumentStore
    files: FileStore
    links: FileLinks
    tokens: CallerTokens
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60, trust_env=False))
    servers: list[Any] = field(default_factory=list)
    generator: Generator = field(default_factory=TemplateGenerator)
    store: DocumentStore | None = None
    """Documents of another store, where a test counts what is asked of it."""
    google: dict[str, str] = field(default_factory=dict)
    """This app at Google, whom nobody here asks."""
    waiting: list[VersionKey] | None = None
    """Versions that wait, where a test works on them itself; None: each is worked on at once, in a thread."""
    published: list[tuple[str, dict[str, Any]]] | None = field(default_factory=list)
    """Messages that start jobs, which here none hears; None: a home of the API without jobs."""
    is_in_cloud: bool = True
    signature: str = "X-Goog-Algorithm=GOOG4-RSA-SHA256"
    """What every signed address has in it."""
    suite_beneath: BackgroundSuite | None = None
    storage_beneath: storage.Client | None = None
    """What the stores stand on in the cloud; a test that asks for it where it is not is about the cloud alone."""

    @property
    def suite(self) -> BackgroundSuite:
        return self.suite_beneath or pytest.skip("no suite stands beneath one machine")

    @property
    def storage(self) -> storage.Client:
        return self.storage_beneath or pytest.skip("no Cloud Storage stands beneath one machine")

    def instance(self, table: RouteTable = TABLE, /, **variables: str) -> str:
        """Starts an instance; its address."""
        settings = read_settings(
            {"GCLOUD_PROJECT": self.project_id, "API_APP_CHECK": "off", **self.google, **variables}
        )
        services = Services(
            documents=lambda: self.store or self.documents,
            files=lambda: self.files,
            links=lambda: self.links,
            settings=lambda: settings,
            tokens=self.tokens,
            generator=lambda: self.generator,
            enqueue=self.enqueue,
            prices=lambda: PRICES,
            publish=no_jobs if self.published is None else self.publish,
            drive=made_once(lambda: drive_links_over(self.documents, settings)),
        )
        return self._listening(table, services)

    def _listening(self, table: RouteTable, services: Services) -> str:
        api = Api(table, services)
        flask = Flask("api")
        # Before Flask looks for a route of its own: its `<path:path>` knows no path with a line break in it.
        flask.before_request(lambda: api(request))
        server = make_server("127.0.0.1", 0, flask, threaded=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    def workshop(self) -> Workshop:
        return Workshop(
            documents=self.documents,
            files=self.files,
            bucket=self.settings.originals_bucket,
            generator=self.generator,
            prices=PRICES,
            now=lambda: datetime.now(UTC),
        )

    def enqueue(self, key: VersionKey) -> None:
        if self.waiting is not None:
            self.waiting.append(key)
        else:
            threading.Thread(target=self._deliver, args=(key,), daemon=True).start()

    def publish(self, topic: str, body: Mapping[str, Any]) -> None:
        assert self.published is not None
        self.published.append((topic, dict(body)))

    def _deliver(self, key: VersionKey) -> None:
        """As a queue does: again, as long as it is asked to."""
        for _ in range(60):
            try:
                self.workshop().work(key)
            except TransientError:
                continue
            return

    def user(self, uid: str, **claims: Any) -> User:
        """Somebody with an ID token of this project, as a local Auth makes them."""
        now = int(time.time())
        issuer = f"https://securetoken.google.com/{self.project_id}"
        token = unsigned_jwt(
            {"sub": uid, "user_id": uid, "aud": self.project_id, "iss": issuer, "iat": now, "exp": now + 3600, **claims}
        )
        return User(uid=uid, token=token)

    def app_check_token(self, *, limited_use: bool = False) -> str:
        address = f"http://{self.suite.address('auth')}/v1/projects/{self.project_id}/apps/{APP}:exchangeDebugToken"
        answer = self.http.post(address, json={"debug_token": "any", "limited_use": limited_use})
        return str(answer.raise_for_status().json()["token"])

    def stop(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.http.close()


@dataclass
class ServedMachine(ServedApi):
    """The same API as one machine serves it: by its own server, its own stores, and tokens that it made itself."""

    machine: Machine | None = None

    def _listening(self, table: RouteTable, services: Services) -> str:
        assert self.machine is not None
        app = self.machine.application(table, replace(services, is_in_cloud=self.is_in_cloud))
        most = services.settings().most_file_bytes
        # As behind a proxy, so that tests say where a request comes from.
        listener = Listener(app, "127.0.0.1", 0, threads=16, most_body_bytes=most, trusted_proxy="127.0.0.1")
        self.machine.address.base = listener.base
        thread = threading.Thread(target=listener.run, daemon=True)
        thread.start()
        self.servers.append((listener, thread))
        return listener.base

    def user(self, uid: str, **claims: Any) -> User:
        assert self.machine is not None
        if "aud" in claims:
            # Somebody of another machine, where others have another project.
            return User(uid=uid, token=LocalTokens(MemoryDocuments()).make(uid, life=timedelta(days=1)))
        is_admin = claims.get("admin") is True
        return User(uid=uid, token=self.machine.tokens.make(uid, life=timedelta(days=1), is_admin=is_admin))

    def stop(self) -> None:
        assert self.machine is not None
        for listener, thread in self.servers:
            listener.stop()
            thread.join()
        self.http.close()
        assert self.machine.folder.check_invariants() == []
        self.machine.close()


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who is signed in."""

    uid: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


ALSO_ON_ONE_MACHINE = {
    *("test_saved_files", "test_generations", "test_requests", "test_rate_limits"),
    *("test_account_and_operations", "test_every_route", "test_fuzz", "test_matrix"),
}
ABOUT_THE_CLOUD_ALONE = {
    # The platform's front says where a request came from; one machine believes nobody who says so.
    "test_callers_that_prove_nothing_are_counted_without_a_write",
    # What a deployed function may hold in its memory, measured in a process of its own.
    "test_a_file_of_the_largest_size_is_uploaded_and_taken_over_in_half_a_function",
    # waitress answers these itself, and never hands them on.
    "test_a_request_that_flask_itself_cannot_read_is_refused_in_the_one_shape",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    is_of_both = metafunc.module.__name__.rpartition(".")[2] in ALSO_ON_ONE_MACHINE
    if "served" in metafunc.fixturenames and is_of_both and metafunc.function.__name__ not in ABOUT_THE_CLOUD_ALONE:
        metafunc.parametrize("served", ["cloud", "one machine"], indirect=True)


def app_at_google(folder: Path) -> dict[str, str]:
    """An app whose users could link a Drive, with a new key; nobody here is Google."""
    add_key(folder / "drive-keys.json")
    return {
        "GOOGLE_CLIENT_ID": "the-app",
        "GOOGLE_CLIENT_SECRET": "secret",
        "GOOGLE_REDIRECT_URI": "https://api.example.com/api/phase5/auth/callback",
        "DRIVE_KEY": str(folder / "drive-keys.json"),
    }


@contextmanager
def serving_on_one_machine(project_id: str) -> Iterator[ServedApi]:
    """The same parts as one machine has them, in a folder of their own."""
    logging.getLogger("waitress").setLevel(logging.ERROR)
    with quick_folder() as folder:
        settings = read_server_settings(
            {"LOCAL_STORAGE_PATH": str(folder), "ORIGINALS_BUCKET": f"{project_id}.firebasestorage.app"}
        )
        machine = open_machine(settings)
        # Whoever tests hands events and tasks on by hand, as over the suite: no worker does it behind the back.
        machine.folder.following.files = lambda _transaction, _change: None
        api = ServedMachine(
            project_id=project_id,
            settings=settings.api,
            documents=machine.folder.documents,
            files=machine.folder.files,
            links=machine.links,
            tokens=machine.tokens,
            machine=machine,
            google=app_at_google(folder),
            is_in_cloud=False,
            signature="signature=",
        )
        api.instance()
        try:
            yield api
        finally:
            api.stop()


@contextmanager
def serving(suite: BackgroundSuite, project_id: str, folder: Path) -> Iterator[ServedApi]:
    """The parts of the API in one project; the suite's variables are set already, and `folder` is for keys."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    local_app_check.install()
    app = firebase_admin.initialize_app(options={"projectId": project_id}, name=f"{project_id} served")
    client = firestore.Client(project=project_id)
    storage_client = storage.Client(project=project_id)
    api = ServedApi(
        suite_beneath=suite,
        project_id=project_id,
        settings=read_settings({"GCLOUD_PROJECT": project_id}),
        documents=FirestoreDocuments(client),
        files=CloudFiles(storage_client),
        links=CloudLinks(storage_client, google.auth.default()[0]),
        storage_beneath=storage_client,
        tokens=FirebaseTokens(lambda: app),
        google=app_at_google(folder),
    )
    try:
        yield api
    finally:
        api.stop()
        client.close()
        firebase_admin.delete_app(app)
        local_app_check.uninstall()


@pytest.fixture
def served(request: pytest.FixtureRequest, project_id: str, tmp_path: Path) -> Iterator[ServedApi]:
    """The parts of the API in a project of this test's own; `instance()` starts a server."""
    if getattr(request, "param", "cloud") == "one machine":
        with serving_on_one_machine(project_id) as api:
            yield api
        return
    request.getfixturevalue("sdk_environment")
    with serving(request.getfixturevalue("suite"), project_id, tmp_path) as api:
        yield api


@pytest.fixture
def served_beside_functions(
    functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[ServedApi]:
    """The same in the project whose functions hear every event; for settings that those functions do not have."""
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    with serving(functions_suite, functions_suite.project_id, tmp_path) as api:
        yield api
