"""Owns the stores that keep the contract: the doubles, and the real ones over the local suite.

Whoever writes another implementation adds it to the parameters here.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.cloud import firestore, storage

from afterimage.store.cloud_files import CloudFiles
from afterimage.store.documents import DocumentHistory
from afterimage.store.files import FileStore
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage.store.memory_documents import MemoryDocuments
from afterimage.store.memory_files import MemoryFiles


@pytest.fixture(params=["memory", "firestore"])
def documents(request: pytest.FixtureRequest, project_id: str) -> Iterator[DocumentHistory]:
    """An empty store of documents, of each kind."""
    if request.param == "memory":
        yield MemoryDocuments()
        return
    request.getfixturevalue("sdk_environment")
    client = firestore.Client(project=project_id)
    yield FirestoreDocuments(client)
    client.close()


@pytest.fixture(params=["memory", "cloud storage"])
def files(request: pytest.FixtureRequest, project_id: str) -> Iterator[FileStore]:
    """An empty store of files, of each kind."""
    if request.param == "memory":
        yield MemoryFiles()
        return
    request.getfixturevalue("sdk_environment")
    client = storage.Client(project=project_id)
    yield CloudFiles(client)
    client.close()


@pytest.fixture
def bucket(project_id: str) -> str:
    """A bucket that no other test uses."""
    return f"{project_id}.firebasestorage.app"
