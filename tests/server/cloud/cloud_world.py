"""One machine and the cloud behind it, whose network comes and goes: the contract's doubles, which can fail."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.handlers import library_over
from afterimage.artifacts.library import Library, Saving
from afterimage.faults import TransientError
from afterimage.paths import blob_path
from afterimage.store.memory_documents import MemoryDocuments
from afterimage.store.memory_files import MemoryFiles
from afterimage.store.memory_links import MemoryLinks
from afterimage_client.queue import QueueWorker, SyncReport
from afterimage_server.cloud.decisions import digest_of
from afterimage_server.cloud.outbox import goes_to_the_cloud
from afterimage_server.cloud.project import CloudProject
from afterimage_server.configuration import read_server_settings
from afterimage_server.machine import Machine, open_machine
from afterimage_server.store.ordered_keys import path_of

PROJECT = "demo-cloud"


class OneAtATime:
    """A double that several threads may call: it is not made for that by itself, as a store in the cloud is."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._store, name)

        def alone(*arguments: Any, **options: Any) -> Any:
            with self._lock:
                return call(*arguments, **options)

        return alone


@dataclass
class Cloud:
    """The project behind; while the network is gone, or by chance, it answers nothing, or does and says nothing."""

    documents: MemoryDocuments = field(default_factory=MemoryDocuments)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    is_there: bool = True
    loses: float = 0.0
    """The share of answers that are lost on their way."""
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        for store in (self.documents, self.files):
            store.before, store.after = self._before, self._after

    @property
    def project(self) -> CloudProject:
        files: Any = OneAtATime(self.files)
        documents: Any = OneAtATime(self.documents)
        return CloudProject(files=lambda: files, documents=lambda: documents, links=MemoryLinks)

    def _before(self, _call: str) -> None:
        if not self.is_there:
            raise TransientError("no network")

    def _after(self, _call: str) -> None:
        if self.chance.random() < self.loses:
            raise TransientError("the answer was lost")


@contextmanager
def machine_in(folder: Path, cloud: Cloud, **variables: str) -> Iterator[Machine]:
    """A machine with this cloud behind it; nothing goes there but by `sync`."""
    settings = read_server_settings(
        {
            "LOCAL_STORAGE_PATH": str(folder),
            "CACHE_PATH": str(folder / "cache"),
            "USE_CLOUD_STORAGE": "true",
            "GCLOUD_PROJECT": PROJECT,
            **variables,
        }
    )
    machine = open_machine(settings, project=cloud.project)
    machine.address.base = "http://machine"
    yield machine
    assert machine.folder.check_invariants() == []
    assert machine.queue.check_invariants() == []
    machine.close()


def sync(machine: Machine) -> SyncReport:
    """What the machine's worker does, once through."""
    assert machine.cloud is not None
    push = machine.cloud.push
    return asyncio.run(QueueWorker(machine.queue, push.performers(), together=push.together()).sync_all())


def sync_whole(machine: Machine) -> None:
    """Until nothing waits: what fails by chance is tried again."""
    for _ in range(200):
        sync(machine)
        if not machine.queue.stats().size:
            return
    raise AssertionError(machine.queue.entries())


def library_of_machine(machine: Machine) -> Library:
    return library_over(machine.folder.documents, machine.folder.files, machine.settings.api)


def save(machine: Machine, text: bytes, *, file: str | None = None, user: str = "ana") -> str:
    """Saves a version; the id of its file."""
    saving = Saving(file=file)
    name = None if file else "a.txt"
    save_id = f"save-{machine.queue.newest_id()}-{digest_of({'t': text})[:8]}"
    saved = library_of_machine(machine).save(user, text, Description(name=name), saving, save=save_id)
    return saved.head.file


def differences(machine: Machine, cloud: Cloud) -> list[str]:
    """What one side has and the other has not, by name; generations apart, which each side counts for itself."""
    here: dict[str, Any] = {}
    for (key,) in machine.folder.database.rows("SELECT key FROM documents"):
        path = path_of(key)
        if goes_to_the_cloud(path):
            found = machine.folder.documents.read(path)
            assert found is not None
            here[path] = _plain(found.fields)
    there = {path: _plain(fields) for path, (fields, _, _) in cloud.documents.documents.items()}
    wrong = [path for path in sorted(here.keys() | there.keys()) if here.get(path) != there.get(path)]
    bucket = machine.settings.api.originals_bucket
    ours = {file.name: file.md5 for file in machine.folder.files.walk(bucket, "")}
    theirs = {name: file.md5 for (_, name), (file, _) in cloud.files.files.items()}
    return [*wrong, *(name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name))]


def content_name(machine: Machine, file: str, user: str = "ana") -> str:
    head = library_of_machine(machine).head(user, file)
    return blob_path(user, head.newest.digest)


def _plain(fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name != "generation"}
