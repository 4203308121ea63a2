"""The server as an operator runs it with a cloud behind: the real clients, and a project of the local suite."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from google.cloud import firestore, storage

from afterimage_emulator.background import BackgroundSuite
from tests.server.server_process import ServerProcess

ROOT = "/api/phase5"


def in_cloud(server: ServerProcess, path: str) -> Any:
    """What the API answers, once its address is the cloud's."""
    found = server.call("GET", path)
    url = found.get("download_url") or found.get("url")
    return found if url and not url.startswith(server.address) else None


def test_what_was_answered_reaches_the_project_over_a_kill(
    tmp_path: Path, suite: BackgroundSuite, sdk_environment: dict[str, str], project_id: str
) -> None:
    """A killed server sends what it had answered; bytes, archive and documents are in the project, as they are here."""
    bucket = f"{project_id}.firebasestorage.app"
    settings = {"USE_CLOUD_STORAGE": "true", "FIREBASE_STORAGE_BUCKET": bucket, "HOME": str(tmp_path)}
    variables = {**suite.environment(), **sdk_environment, **settings}
    server = ServerProcess(tmp_path / "machine", variables).start()
    made = server.call("POST", "/generations/generate", json={"prompt": "a shop"})
    assert made["cloud_storage_enabled"] is True
    assert server.http.get(made["download_url"]).content[:2] == b"\x1f\x8b"
    saved = server.call("POST", f"{ROOT}/storage/save-artifact", json={"text": "hello", "name": "a.txt"})
    server.kill()
    server.start()
    shown = server.until(partial(in_cloud, server, f"/generations/{made['id']}"))
    assert server.http.get(shown["download_url"]).content[:2] == b"\x1f\x8b"
    address = server.until(partial(in_cloud, server, f"{ROOT}/storage/files/{saved['file_id']}/download"))
    assert server.http.get(address["url"]).text == "hello"
    status = partial(server.call, "GET", "/local/status", user="root")
    server.token("root", is_admin=True)
    server.until(lambda: status()["machine"]["not_in_cloud"] == 0)
    documents, files = firestore.Client(project=project_id), storage.Client(project=project_id)
    head = documents.document(f"artifacts/ana/files/{saved['file_id']}").get().to_dict()
    assert head is not None
    assert head["name"] == "a.txt"
    blob = files.bucket(bucket).get_blob(f"artifacts/ana/blobs/{saved['sha256']}")
    content = documents.document(f"artifacts/ana/blobs/{saved['sha256']}").get().to_dict()
    assert blob is not None
    assert content is not None
    assert (content["generation"], blob.download_as_bytes()) == (blob.generation, b"hello")
    assert not [each.id for each in documents.collections() if each.id.startswith("_tokens")]
    assert server.stop() == 0
    documents.close()
