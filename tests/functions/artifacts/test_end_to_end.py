"""The whole way: a user of Auth, the API as a function, the store of files, triggers in processes of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from google.cloud import firestore, pubsub_v1, storage
from PIL import Image

from afterimage.paths import object_id
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.faults import FaultRule
from tests.functions.eventually import PATIENCE_SECONDS, eventually


class Person:
    """Somebody with an account, who knows contract and HTTP; `firestore` is the test's own look past the rules."""

    def __init__(self, suite: BackgroundSuite) -> None:
        self.suite = suite
        self.http = httpx.Client(timeout=60, trust_env=False)
        auth = f"http://{suite.address('auth')}/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any"
        account = self.http.post(auth, json={"returnSecureToken": True}).raise_for_status().json()
        self.uid, self.token = account["localId"], account["idToken"]
        self.api = f"http://{suite.address('functions')}/{suite.project_id}/us-central1/api/api/phase5"
        self.rest = f"http://{suite.address('firestore')}/v1/projects/{suite.project_id}/databases/(default)/documents"
        self.firestore = firestore.Client(project=suite.project_id)
        self.bucket = storage.Client(project=suite.project_id).bucket(suite.default_bucket)

    def call(self, method: str, path: str, expect: int = 200, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.http.request(method, f"{self.api}{path}", headers=headers, **options)
        assert answer.status_code == expect, answer.text
        return answer.json()

    def fields(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.firestore.document(path).get().to_dict() or {}
        return found

    def may_read(self, path: str, token: str | None = None) -> int:
        """As the rules have it."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.http.get(f"{self.rest}/{path}", headers=headers).status_code

    def upload(self, name: str, data: bytes, **said: Any) -> dict[str, Any]:
        """Announced, and sent by the link alone."""
        body = {"files": [{"name": name, "size": len(data), **said}]}
        found: dict[str, Any] = self.call("POST", "/storage/uploads", json=body)["files"][0]["upload"]
        start = found["start"]
        session = self.http.request(start["method"], start["url"], headers=start["headers"]).headers["Location"]
        assert self.http.put(session, content=data).status_code == 200
        return found


@pytest.fixture
def person(functions_suite: BackgroundSuite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    for name, value in functions_suite.environment().items():
        monkeypatch.setenv(name, value)
    functions_suite.clear_faults()
    found = Person(functions_suite)
    yield found
    functions_suite.clear_faults()
    found.http.close()


def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((600, 400), 40).convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_a_picture_goes_up_is_kept_derived_and_charged_once(person: Person) -> None:
    """Every storage event three times and in any order; the user reads all of it under the rules, others nothing."""
    for action in ("duplicate", "reorder"):
        matched = {"subject": f"objects/artifacts/{person.uid}/*"}
        person.suite.add_fault(FaultRule(action=action, copies=2, seconds=0.1, seed=5, match=matched))
    data = picture()
    upload = person.upload("photo.png", data, content_type="image/png", tags=["holiday"])
    eventually(person.suite, lambda: person.fields(upload["document"])["state"] == "done")
    shown = person.call("GET", f"/storage/uploads/{upload['upload_id']}")
    file = person.call("GET", f"/storage/files/{shown['file_id']}")
    assert (file["name"], file["tags"], file["content_type"]) == ("photo.png", ["holiday"], "image/png")
    name = f"artifacts/{person.uid}/blobs/{file['sha256']}"
    record = f"users/{person.uid}/objects/{object_id(person.bucket.name, name)}"
    eventually(person.suite, lambda: person.fields(record).get("status") == "ready")
    assert {variant["name"] for variant in person.fields(record)["variants"]} >= {"thumb_400.webp", "full.webp"}
    eventually(person.suite, lambda: not person.bucket.blob(upload["document"]).exists())
    quota = person.fields(f"quota/{person.uid}")
    assert (quota["used_bytes"], quota["reserved_bytes"]) == (len(data), 0)
    stranger = Person(person.suite)
    variant = person.fields(record)["variants"][0]
    storage_host = f"http://{person.suite.address('storage')}/v0/b/{variant['bucket']}/o"
    for path in (f"artifacts/{person.uid}/files/{shown['file_id']}", upload["document"], f"quota/{person.uid}", record):
        assert (person.may_read(path), person.may_read(path, stranger.token)) == (200, 403), path
    address = f"{storage_host}/{variant['path'].replace('/', '%2F')}?alt=media"
    statuses = [
        person.http.get(address, headers={"Authorization": f"Firebase {each.token}"}).status_code
        for each in (person, stranger)
    ]
    assert statuses == [200, 403]


def test_bytes_deleted_by_hand_are_no_longer_charged_and_an_erased_user_leaves_nothing(person: Person) -> None:
    """By the events of the bucket; then the job that erases a user finds files, versions, uploads and quota."""
    saved = person.call("POST", "/storage/save-artifact", json={"text": "x" * 500, "name": "a.txt"})
    person.call("POST", "/storage/save-artifact", json={"text": "y" * 300, "name": "b.txt"})
    person.bucket.blob(f"artifacts/{person.uid}/blobs/{saved['sha256']}").delete()
    eventually(person.suite, lambda: person.fields(f"quota/{person.uid}")["used_bytes"] == 300)
    person.call("GET", f"/storage/files/{saved['file_id']}/download", 409)
    person.call("POST", "/storage/uploads", json={"files": [{"name": "c.txt", "size": 10}]})
    publisher = pubsub_v1.PublisherClient()
    topic = publisher.topic_path(person.suite.project_id, "user.erase")
    publisher.publish(topic, json.dumps({"uid": person.uid}).encode()).result()

    def is_gone() -> bool:
        documents = [*person.firestore.collection(f"artifacts/{person.uid}/files").list_documents()]
        for group in ("uploads", "blobs"):
            documents += person.firestore.collection(f"artifacts/{person.uid}/{group}").list_documents()
        files = list(person.bucket.list_blobs(prefix=f"artifacts/{person.uid}/"))
        return not documents and not files and not person.fields(f"quota/{person.uid}")

    eventually(person.suite, is_gone)


def test_an_alert_is_raised_once_and_the_nightly_jobs_run(person: Person) -> None:
    """The document, by a save that reaches the level; the jobs by their topics, with their progress in `_jobs`."""
    person.firestore.document(f"quota/{person.uid}").set({"limit_bytes": 1000})
    person.call("POST", "/storage/save-artifact", json={"text": "x" * 950, "name": "a.txt"})
    assert person.fields(f"quota/{person.uid}/alerts/90")["state"] == "raised"
    person.bucket.blob(f"artifacts/{person.uid}/blobs/{'0a' * 32}").upload_from_string(b"left by a crash", "text/plain")
    account = person.firestore.document(f"quota/{person.uid}")
    person.suite.settled(PATIENCE_SECONDS)
    account.update({"used_bytes": 7})
    publisher = pubsub_v1.PublisherClient()

    def is_done(job: str) -> bool:
        return person.fields(f"_jobs/{job}").get("state") == "done"

    for topic, more in (("artifacts.cleanup", {}), ("quota.audit", {"user": person.uid})):
        path = publisher.topic_path(person.suite.project_id, topic)
        job = f"{topic}-{person.uid}"
        publisher.publish(path, json.dumps({"job": job, **more}).encode()).result()
        eventually(person.suite, partial(is_done, job))
    assert person.fields(f"_jobs/quota.audit-{person.uid}")["counts"]["repaired"] == 1
    assert account.get().get("used_bytes") == 950
