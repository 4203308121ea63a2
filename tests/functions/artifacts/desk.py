"""Owns a small world of saved files over the doubles, and an oracle that shares no arithmetic with them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from afterimage.artifacts.arrivals import Arrival, Arrivals
from afterimage.artifacts.collector import Collector
from afterimage.artifacts.content_bytes import ContentBytes
from afterimage.artifacts.descriptions import Description
from afterimage.artifacts.library import Library, Saving
from afterimage.artifacts.uploads import Announced, Announcement, Uploads
from afterimage.artifacts.versions import Rounds, SavedVersion, Versions
from afterimage.store.files import StoredFile
from afterimage.store.memory_documents import EPOCH, MemoryDocuments
from afterimage.store.memory_files import MemoryFiles
from afterimage.store.memory_links import MemoryLinks

BUCKET = "originals"
ROOM = 1_000_000


@dataclass
class Desk:
    """Stores, a clock, and the library over them."""

    store: MemoryDocuments = field(default_factory=MemoryDocuments)
    uploads: MemoryFiles = field(default_factory=MemoryFiles)
    room: int = ROOM
    pack_from: int = 10 * 1024 * 1024
    most_bytes: int = 100 * 1024 * 1024
    clock: datetime = EPOCH
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    wait: Callable[[float], None] = lambda _seconds: None
    notes_drive: bool = False

    def __post_init__(self) -> None:
        self.uploads.clock = lambda: self.clock
        contents = ContentBytes(files=self.uploads, bucket=BUCKET, pack_from_bytes=self.pack_from)
        self.versions = Versions(
            documents=self.store,
            contents=contents,
            quota_bytes=self.room,
            rounds=Rounds(wait=self.wait, dice=self.dice),
            now=lambda: self.clock,
            notes_drive=self.notes_drive,
        )
        self.library = Library(versions=self.versions, most_bytes=self.most_bytes)
        self.uploading = Uploads(library=self.library, links=MemoryLinks(clock=lambda: self.clock))
        self.arrivals = Arrivals(uploads=self.uploading)
        self.collector = Collector(arrivals=self.arrivals)
        self.saves = 0

    def pass_time(self, **span: float) -> None:
        self.clock += timedelta(**span)

    def save(
        self, data: bytes, *, user: str = "ana", file: str | None = None, name: str = "notes.txt", **said: Any
    ) -> SavedVersion:
        self.saves += 1
        saving = Saving(
            file=file,
            auto_save=said.pop("auto_save", False),
            create_version=said.pop("create_version", True),
            declared_type=said.pop("declared_type", ""),
        )
        key = said.pop("save", f"save-{self.saves}")
        about = Description(name=name if file is None else None, **said)
        return self.library.save(user, data, about, saving, save=key)

    def announce(self, size: int, *, user: str = "ana", name: str = "large.txt", **said: Any) -> Announced:
        """One file, which no operation before has announced."""
        self.saves += 1
        more = {key: said.pop(key) for key in ("declared_type", "file", "digest") if key in said}
        about = Announcement(said=Description(name=None if more.get("file") else name, **said), size=size, **more)
        [found] = self.uploading.announce(user, [about], operation=f"upload-{self.saves}")
        return found

    def send(self, announced: Announced, data: bytes, user: str = "ana") -> StoredFile:
        """A client's bytes, all of them, by the link it was given."""
        assert announced.upload is not None
        name = f"artifacts/{user}/uploads/{announced.upload.id}"
        return self.uploads.put(BUCKET, name, data, content_type="text/plain")

    def tell(self, file: StoredFile) -> Arrival:
        """The event of a file that was stored."""
        return self.arrivals.finalized(file.bucket, file.name, file.generation)

    def upload(self, announced: Announced, user: str = "ana") -> dict[str, Any]:
        assert announced.upload is not None
        return self.store.fields(f"artifacts/{user}/uploads/{announced.upload.id}")

    def clean_up(self) -> None:
        """Everything the clean-up job walks through, in its order."""
        for path in sorted(path for path in self.store.documents if "/uploads/" in path):
            stored = self.store.read(path)
            if stored is not None:
                self.collector.upload(path.split("/")[1], stored)
        for path in sorted(path for path in self.store.documents if "/blobs/" in path):
            stored = self.store.read(path)
            if stored is not None:
                self.collector.content(path.split("/")[1], stored)
                self.collector.lost_content(path.split("/")[1], stored)
        for file, _ in list(self.uploads.files.values()):
            self.collector.file(file)

    def read(self, file: str, number: int, user: str = "ana") -> bytes:
        entry = self.library.head(user, file).version(number)
        return self.versions.contents.read(user, self.library.content(user, entry), 1 << 30)

    def quota(self, user: str = "ana") -> dict[str, Any]:
        path = f"quota/{user}"
        return self.store.fields(path) if path in self.store.documents else {}

    def faults(self) -> list[str]:
        """Everything that is not as it must be after a commit, whatever came before it."""
        return [fault for user in self.users() for fault in faults_of(self, user)]

    def users(self) -> list[str]:
        return sorted(
            {path.split("/")[1] for path in self.store.documents if path.startswith(("artifacts/", "quota/"))}
        )


def faults_of(desk: Desk, user: str) -> list[str]:
    """Heads against versions, versions against contents, contents against files, and the account against all."""
    documents = {path: fields for path, (fields, *_) in desk.store.documents.items()}
    faults: list[str] = []
    references: Counter[str] = Counter()
    for path, head in documents.items():
        if not (path.startswith(f"artifacts/{user}/files/") and path.count("/") == 3):
            continue
        kept = {entry["number"]: entry for entry in head["kept"]}
        versions = {f["version_number"]: f for p, f in documents.items() if p.startswith(f"{path}/versions/")}
        if kept.keys() != versions.keys():
            faults.append(f"{path}: keeps {sorted(kept)} and has {sorted(versions)}")
        for number, fields in versions.items():
            references[fields["sha256"]] += 1
            shown = kept.get(number)
            if shown and (shown["sha256"], shown["pinned"]) != (fields["sha256"], fields["pinned"]):
                faults.append(f"{path}: version {number} is told in two ways")
        if sum(not entry["pinned"] for entry in head["kept"]) > 30:
            faults.append(f"{path}: keeps more than thirty")
    used = 0
    for path, fields in documents.items():
        if not path.startswith(f"artifacts/{user}/blobs/"):
            continue
        digest = path.rpartition("/")[2]
        if fields["references"] != references.pop(digest, 0):
            faults.append(f"{path}: counts {fields['references']} references")
        file = desk.uploads.files.get((BUCKET, path))
        if fields["state"] == "stored":
            if file is None or file[0].generation != fields["generation"]:
                faults.append(f"{path}: its bytes are not there")
            else:
                used += file[0].size
    faults += [f"{digest} is referred to and not there" for digest in references]
    reserved = sum(
        fields["size"]
        for path, fields in documents.items()
        if path.startswith(f"artifacts/{user}/uploads/") and fields["state"] in {"open", "checking"}
    )
    account = documents.get(f"quota/{user}", {})
    if (account.get("used_bytes", 0), account.get("reserved_bytes", 0)) != (used, reserved):
        faults.append(
            f"{user}: the account says {account.get('used_bytes', 0)} and {account.get('reserved_bytes', 0)}; "
            f"it should be {used} and {reserved}"
        )
    return faults


def at(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)
