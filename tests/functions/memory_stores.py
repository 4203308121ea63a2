"""Owns doubles of the media stores that keep the promises of the real ones: generations, preconditions, versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from afterimage.media.stores import ConflictError, DerivedFile, GoneError, MediaStores, Original, OriginalPage, Record

STORED_AT = datetime(2026, 11, 1, tzinfo=UTC)


class Crash(BaseException):
    """The process dies here: no handler catches it."""


@dataclass
class World:
    """Buckets and documents in memory; `before` is called ahead of every single store operation, and may raise."""

    originals: dict[tuple[str, str], tuple[Original, bytes]] = field(default_factory=dict)
    derived: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    documents: dict[str, tuple[dict[str, Any], int]] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _operation: None
    after: Callable[[str], None] = lambda _operation: None
    _tick: int = 1000

    def tick(self) -> int:
        self._tick += 1
        return self._tick

    def upload(
        self, name: str, data: bytes, content_type: str = "image/png", bucket: str = "uploads", **metadata: str
    ) -> Original:
        original = Original(
            bucket=bucket,
            name=name,
            generation=self.tick(),
            metageneration=1,
            size=len(data),
            content_type=content_type,
            created=STORED_AT,
            metadata=metadata,
        )
        self.originals[bucket, name] = (original, data)
        return original

    def remove(self, name: str, bucket: str = "uploads") -> Original:
        return self.originals.pop((bucket, name))[0]

    def stores(self) -> MediaStores:
        return MediaStores(
            originals=MemoryOriginals(self), derived=MemoryDerivedFiles(self), records=MemoryRecords(self)
        )

    def record(self, path: str) -> dict[str, Any] | None:
        return self.documents[path][0] if path in self.documents else None


@dataclass
class MemoryOriginals:
    world: World

    def find(self, bucket: str, name: str) -> Original | None:
        self.world.before("find")
        found = self.world.originals.get((bucket, name))
        return found[0] if found else None

    def read(self, original: Original, start: int = 0, end: int | None = None) -> bytes:
        self.world.before("read")
        return self._live(original)[1][start:end]

    def stamp(self, original: Original, metadata: Mapping[str, str]) -> None:
        self.world.before("stamp")
        live, data = self._live(original)
        if live.metageneration != original.metageneration:
            raise ConflictError
        stamped = replace(live, metadata={**live.metadata, **metadata}, metageneration=live.metageneration + 1)
        self.world.originals[live.bucket, live.name] = (stamped, data)
        self.world.after("stamp")

    def page(self, bucket: str, prefix: str, token: str, limit: int) -> OriginalPage:
        self.world.before("page")
        names = sorted(name for at, name in self.world.originals if at == bucket and name.startswith(prefix))
        names = [name for name in names if name > token]
        page, rest = names[:limit], names[limit:]
        return OriginalPage(
            originals=tuple(self.world.originals[bucket, name][0] for name in page), next_token=page[-1] if rest else ""
        )

    def delete(self, original: Original) -> None:
        self.world.before("delete original")
        found = self.world.originals.get((original.bucket, original.name))
        if found and found[0].generation == original.generation:
            del self.world.originals[original.bucket, original.name]

    def _live(self, original: Original) -> tuple[Original, bytes]:
        found = self.world.originals.get((original.bucket, original.name))
        if found is None or found[0].generation != original.generation:
            raise GoneError
        return found


@dataclass
class MemoryDerivedFiles:
    world: World

    def put(self, path: str, data: bytes, content_type: str) -> None:
        self.world.before("put")
        present = self.world.derived.setdefault(path, (data, content_type))
        assert present == (data, content_type), f"`{path}` was derived twice, differently"
        self.world.after("put")

    def list(self, prefix: str, after: str = "") -> Iterator[DerivedFile]:
        self.world.before("list")
        # As they are now: what is deleted while a caller goes through the list is listed all the same.
        found = [(path, len(data)) for path, (data, _) in sorted(self.world.derived.items())]
        for path, size in found:
            if path.startswith(prefix) and path > after:
                yield DerivedFile(path=path, size=size, created=STORED_AT)

    def delete(self, path: str) -> None:
        self.world.before("delete")
        self.world.derived.pop(path, None)
        self.world.after("delete")


@dataclass
class MemoryRecords:
    world: World

    def read(self, path: str) -> Record | None:
        self.world.before("read record")
        found = self.world.documents.get(path)
        return Record(path=path, fields=dict(found[0]), version=found[1]) if found else None

    def write(self, path: str, fields: Mapping[str, Any], expected: Record | None) -> Record:
        self.world.before("write record")
        self._expect(path, expected)
        version = self.world.tick()
        self.world.documents[path] = (dict(fields), version)
        self.world.after("write record")
        return Record(path=path, fields=dict(fields), version=version)

    def delete(self, record: Record) -> None:
        self.world.before("delete record")
        self._expect(record.path, record)
        del self.world.documents[record.path]
        self.world.after("delete record")

    def page(self, after: str, limit: int) -> list[Record]:
        self.world.before("page records")
        # The users' objects, as deep as anybody may have put them, and the shared ones; never those of another root.
        groups = {"users": "objects", "mediaObjects": "mediaObjects"}
        split = [path.split("/") for path in self.world.documents]
        paths = ["/".join(part) for part in split if groups.get(part[0]) == part[-2]]
        paths.sort(key=_page_order)
        if after:
            paths = [path for path in paths if _page_order(path) > _page_order(after)]
        found = [(path, self.world.documents[path]) for path in paths[:limit]]
        return [Record(path=path, fields=dict(fields), version=version) for path, (fields, version) in found]

    def _expect(self, path: str, expected: Record | None) -> None:
        found = self.world.documents.get(path)
        if (found[1] if found else None) != (expected.version if expected else None):
            raise ConflictError(path)


def _page_order(path: str) -> tuple[bool, str]:
    return path.startswith("mediaObjects/"), path
