"""The double of the store of files: generations, preconditions and order, in memory; it can be interrupted."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from afterimage.paths import OBJECT_NAME_LIMIT_BYTES
from afterimage.store.documents import ConflictError, Expect
from afterimage.store.files import FileAbout, FilePage, GoneError, StoredFile
from afterimage.store.memory_documents import EPOCH


@dataclass
class MemoryFiles:
    """Files in buckets; `before` is called ahead of every call, `after` behind every change, and both may raise."""

    files: dict[tuple[str, str], tuple[StoredFile, bytes]] = field(default_factory=dict)
    """By bucket and name."""
    before: Callable[[str], None] = lambda _call: None
    after: Callable[[str], None] = lambda _call: None
    clock: Callable[[], datetime] = lambda: EPOCH
    generations: int = 1000

    # -- the port

    def find(self, bucket: str, name: str) -> StoredFile | None:
        self.before("find")
        found = self.files.get((bucket, name))
        return found[0] if found else None

    def read(self, file: StoredFile, start: int = 0, end: int | None = None) -> bytes:
        self.before("read")
        return self._live(file)[1][start:end]

    def write(self, bucket: str, name: str, data: bytes, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        self.before("write")
        live = self.files.get((bucket, name))
        generation = live[0].generation if live else Expect.ABSENT
        if expected is not Expect.ANYTHING and expected != generation:
            raise ConflictError(f"{bucket}/{name}")
        stored = self._put(bucket, name, data, about)
        self.after("write")
        return stored

    def copy(self, file: StoredFile, name: str, about: FileAbout, *, expected: Expect | int) -> StoredFile:
        self.before("copy")
        data = self._live(file)[1]
        live = self.files.get((file.bucket, name))
        if expected is not Expect.ANYTHING and expected != (live[0].generation if live else Expect.ABSENT):
            raise ConflictError(f"{file.bucket}/{name}")
        stored = self._put(file.bucket, name, data, about)
        self.after("copy")
        return stored

    def stamp(self, file: StoredFile, metadata: Mapping[str, str]) -> None:
        self.before("stamp")
        live, data = self._live(file)
        if live.metageneration != file.metageneration:
            raise ConflictError(f"{file.bucket}/{file.name}")
        stamped = replace(live, metadata={**live.metadata, **metadata}, metageneration=live.metageneration + 1)
        self.files[live.bucket, live.name] = (stamped, data)
        self.after("stamp")

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> FilePage:
        self.before("page")
        names = self._names(bucket, prefix, token)
        page, rest = names[:limit], names[limit:]
        return FilePage(files=tuple(self.files[bucket, name][0] for name in page), next_token=page[-1] if rest else "")

    def walk(self, bucket: str, prefix: str, after: str = "") -> Iterator[StoredFile]:
        self.before("walk")
        # As they are now: what is deleted while a caller goes through the list is listed all the same.
        yield from [self.files[bucket, name][0] for name in self._names(bucket, prefix, after)]

    def delete(self, bucket: str, name: str, *, generation: int | None = None) -> None:
        self.before("delete")
        live = self.files.get((bucket, name))
        if live and generation in {None, live[0].generation}:
            del self.files[bucket, name]
        self.after("delete")

    # -- what a test does beside it

    def put(
        self, bucket: str, name: str, data: bytes, *, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> StoredFile:
        """A client's own upload."""
        return self._put(bucket, name, data, FileAbout(content_type=content_type, metadata=dict(metadata or {})))

    def _put(self, bucket: str, name: str, data: bytes, about: FileAbout) -> StoredFile:
        self.generations += 1
        stored = StoredFile(
            bucket=bucket,
            name=name,
            generation=self.generations,
            size=len(data),
            content_type=about.content_type,
            content_encoding=about.content_encoding,
            md5=b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            created=self.clock(),
            metadata=dict(about.metadata),
        )
        self.files[bucket, name] = (stored, data)
        return stored

    def check_invariants(self) -> list[str]:
        """Every fault of what is held, each naming its file; none, unless the double itself is broken."""
        faults = []
        for (bucket, name), (file, data) in self.files.items():
            if (file.bucket, file.name) != (bucket, name):
                faults.append(f"`{bucket}/{name}` is called `{file.bucket}/{file.name}`")
            if file.size != len(data):
                faults.append(f"`{bucket}/{name}` has {len(data)} bytes and says {file.size}")
            if file.generation < 1 or file.metageneration < 1:
                faults.append(f"`{bucket}/{name}` has no generation")
            if not 0 < len(name.encode()) <= OBJECT_NAME_LIMIT_BYTES:
                faults.append(f"`{bucket}/{name}` has a name that no store takes")
            if not all(isinstance(text, str) for pair in file.metadata.items() for text in pair):
                faults.append(f"`{bucket}/{name}` has metadata that is not text")
        generations = Counter((file.bucket, file.generation) for file, _ in self.files.values())
        faults += [
            f"generation {number} of `{bucket}` is there twice" for (bucket, number), n in generations.items() if n > 1
        ]
        return faults

    # -- within

    def _names(self, bucket: str, prefix: str, after: str) -> list[str]:
        return sorted(name for at, name in self.files if at == bucket and name.startswith(prefix) and name > after)

    def _live(self, file: StoredFile) -> tuple[StoredFile, bytes]:
        live = self.files.get((file.bucket, file.name))
        if live is None or live[0].generation != file.generation:
            raise GoneError(f"{file.bucket}/{file.name}")
        return live
