"""Owns the stores that keep the contract: the doubles, the cloud's over the local suite, and one machine's own.

Whoever writes another implementation adds it to the parameters here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.cloud import firestore, storage

from afterimage.store.cloud_files import CloudFiles
from afterimage.store.documents import DocumentHistory
from afterimage.store.files import FileStore
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage.store.memory_documents import MemoryDocuments
from afterimage.store.memory_files import MemoryFiles
from afterimage_client.database import StoreKey
from afterimage_server.store.machine_folder import MachineFolder, open_folder


@contextmanager
def machine(folder: Path, kind: str) -> Iterator[MachineFolder]:
    """An empty folder of one machine, sealed or not; whole when the test ends."""
    key = StoreKey.of_bytes(b"k" * 32) if "sealed" in kind else None
    opened = open_folder(folder / "machine", key)
    yield opened
    assert opened.check_invariants() == []
    opened.close()


@pytest.fixture(params=["memory", "firestore", "machine", "sealed machine"])
def documents(request: pytest.FixtureRequest, project_id: str, tmp_path: Path) -> Iterator[DocumentHistory]:
    """An empty store of documents, of each kind."""
    if request.param == "memory":
        yield MemoryDocuments()
        return
    if "machine" in request.param:
        with machine(tmp_path, request.param) as opened:
            yield opened.documents
        return
    request.getfixturevalue("sdk_environment")
    client = firestore.Client(project=project_id)
    yield FirestoreDocuments(client)
    client.close()


@pytest.fixture(params=["memory", "cloud storage", "machine", "sealed machine"])
def files(request: pytest.FixtureRequest, project_id: str, tmp_path: Path) -> Iterator[FileStore]:
    """An empty store of files, of each kind."""
    if request.param == "memory":
        yield MemoryFiles()
        return
    if "machine" in request.param:
        with machine(tmp_path, request.param) as opened:
            yield opened.files
        return
    request.getfixturevalue("sdk_environment")
    client = storage.Client(project=project_id)
    yield CloudFiles(client)
    client.close()


@pytest.fixture
def bucket(project_id: str) -> str:
    """A bucket that no other test uses."""
    return f"{project_id}.firebasestorage.app"
