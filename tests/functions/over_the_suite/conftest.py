"""Owns a suite of Storage and Firestore, and the media stores as they are in production, talking to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from google.cloud import firestore, storage

from afterimage.media.pipeline import Pipeline
from afterimage.media.stores import MediaStores, media_stores
from afterimage.settings import read_settings
from afterimage.store.cloud_files import CloudFiles
from afterimage.store.firestore_documents import FirestoreDocuments
from afterimage_emulator.background import BackgroundSuite
from afterimage_emulator.configuration import Configuration
from afterimage_emulator.suite import Suite

PLANS = '{"*": {"thumbnails": [2, 4]}}'


@pytest.fixture(scope="session")
def data_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackgroundSuite]:
    """Storage, Firestore and Auth alone, without rules: events are handed to the pipeline by the tests."""
    configuration = Configuration(root=tmp_path_factory.mktemp("project"), project_id=f"demo-media-{os.getpid()}")
    with BackgroundSuite(Suite(configuration, only=("firestore", "storage", "auth"), free_ports=True)) as running:
        yield running


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """The official clients, in a project and buckets of one test's own."""

    storage: storage.Client
    firestore: firestore.Client
    stores: MediaStores
    pipeline: Pipeline
    bucket: str
    suite: BackgroundSuite

    def upload(self, name: str, data: bytes, content_type: str = "image/png") -> int:
        blob = self.storage.bucket(self.bucket).blob(name)
        blob.upload_from_string(data, content_type)
        return int(blob.generation)


@pytest.fixture
def cloud(data_suite: BackgroundSuite, project_id: str, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    for name, value in data_suite.environment().items():
        monkeypatch.setenv(name, value)
    settings = read_settings({"GCLOUD_PROJECT": project_id, "MEDIA_PLANS": PLANS})
    storage_client = storage.Client(project=project_id)
    firestore_client = firestore.Client(project=project_id)
    stores = media_stores(CloudFiles(storage_client), FirestoreDocuments(firestore_client), settings.derived_bucket)
    return Cloud(
        storage=storage_client,
        firestore=firestore_client,
        stores=stores,
        pipeline=Pipeline(stores=stores, settings=settings, workers=1),
        bucket=settings.originals_bucket,
        suite=data_suite,
    )
