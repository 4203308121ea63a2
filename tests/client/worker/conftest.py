"""A worker over the suite: real sockets, official server SDKs, users who signed in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore, storage

from afterimage_client.worker.worker import Worker
from afterimage_emulator.background import BackgroundSuite

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
if str(FUNCTIONS) not in sys.path:  # the expiry is tried against what workers leave behind
    sys.path.insert(0, str(FUNCTIONS))
SMALL = {"width": 32, "height": 32, "num_images": 1}


@dataclass(kw_only=True)
class User:
    """Somebody who signed in, and what stands in their name."""

    uid: str
    id_token: str
    firestore: firestore.Client
    bucket: storage.Bucket

    def asks(self, **parameters: Any) -> dict[str, Any]:
        """A request of the seed's form, with the proof of who asks."""
        usual = {"prompt": "a city", "file_uid": "f1", "use_cloud_storage": True, "id_token": self.id_token}
        return {**usual, **SMALL, **parameters}

    def document(self, file_uid: str = "f1") -> dict[str, Any] | None:
        found: dict[str, Any] | None = (
            self.firestore.document(f"generations/{self.uid}/files/{file_uid}").get().to_dict()
        )
        return found

    def has_beat(self, file_uid: str = "f1") -> bool:
        return bool(self.firestore.document(f"generations/{self.uid}/files/{file_uid}/worker/beat").get().exists)

    @staticmethod
    def beats_of(stage: Stage, uid: str, file_uid: str) -> Callable[[], int]:
        """How often a worker has shown that it lives."""
        client = firestore.Client(project=stage.suite.project_id, credentials=AnonymousCredentials())
        beat = client.document(f"generations/{uid}/files/{file_uid}/worker/beat")
        return lambda: int((beat.get().to_dict() or {}).get("beats", 0))

    def documents(self) -> list[str]:
        return sorted(each.id for each in self.firestore.collection(f"generations/{self.uid}/files").get())

    def files(self) -> dict[str, bytes]:
        """Names below `generating/{uid}/`, and what is stored there."""
        start = f"generating/{self.uid}/"
        found = self.bucket.client.list_blobs(self.bucket, prefix=start)
        return {blob.name.removeprefix(start): blob.download_as_bytes() for blob in found}

    def check_whole(self, response: Mapping[str, Any], file_uid: str = "f1") -> None:
        """What is answered, what the document says and what is stored are one; nothing is left over."""
        document = self.document(file_uid)
        assert document is not None
        data = document["generation_data"]
        links = response.get("images") or [response["video_url"]]
        assert document["status"] == "completed"
        assert (data.get("images") or [data["video_url"]]) == links
        named = {file["path"].removeprefix(f"generating/{self.uid}/"): file for file in document["files"]}
        stored = self.files()
        assert set(stored) == set(named), "an orphan, or a file that is missing"
        assert [httpx2.get(link).content for link in links] == [stored[name] for name in named]
        assert not self.has_beat(file_uid)


@dataclass
class Stage:
    """A project with its users, and workers that are closed at the end."""

    suite: BackgroundSuite
    environment: Mapping[str, str]
    workers: list[Worker] = field(default_factory=list)

    def user(self) -> User:
        host = self.environment["FIREBASE_AUTH_EMULATOR_HOST"]
        url = f"http://{host}/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any"
        account = httpx2.post(url, json={"returnSecureToken": True}).raise_for_status().json()
        project, nobody = self.suite.project_id, AnonymousCredentials()
        return User(
            uid=account["localId"],
            id_token=account["idToken"],
            firestore=firestore.Client(project=project, credentials=nobody),
            bucket=storage.Client(project=project, credentials=nobody).bucket(self.suite.default_bucket),
        )

    def worker(self, **options: Any) -> Worker:
        made = Worker.from_environment(self.environment, **options)
        self.workers.append(made)
        return made


@pytest.fixture
def stage(suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield from stage_over(suite, monkeypatch)


@pytest.fixture
def deployed_stage(functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Where the project's functions run."""
    yield from stage_over(functions_suite, monkeypatch)


def environment_of(suite: BackgroundSuite) -> dict[str, str]:
    """What a worker finds in its environment."""
    return {
        **suite.environment(),
        "GOOGLE_CLOUD_PROJECT": suite.project_id,
        "FIREBASE_STORAGE_BUCKET": suite.default_bucket,
    }


def stage_over(suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    suite.clear_faults()
    environment = environment_of(suite)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = Stage(suite, environment)
    yield made
    suite.clear_faults()
    for worker in made.workers:
        worker.close()


@pytest.fixture
def user(stage: Stage) -> User:
    return stage.user()
