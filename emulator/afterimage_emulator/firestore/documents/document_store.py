"""Documents of one database and what is remembered of their past: the only place where they change.

A document is its serialized bytes. What a commit replaces is kept for a while, so that reads at an earlier time and
resumed listeners see exactly what was there.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from afterimage_emulator.clock import Clock
from afterimage_emulator.firestore.documents.indexes import IndexedDocuments
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import Change, StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import MICROS_PER_SECOND, document_times
from afterimage_emulator.status import Code, StatusError

IMPORTED: Final = object()
"""The cause of changes that nobody made: they come from an export."""
RETENTION_SECONDS: Final = 3600
RETENTION_BYTES: Final = 64 * 1024 * 1024
_log = logging.getLogger("afterimage_emulator.firestore")


class CommitObserver(Protocol):
    """Told of every commit, after it is done and before its answer leaves. Must not wait for anything."""

    def committed(self, database: Database, commit_time: int, changes: Sequence[Change], cause: object) -> None: ...

    def cleared(self, database: Database) -> None:
        """Told when all documents are gone at once, as no commit would do it."""
        ...


class Collection:
    """The documents that lie directly in one collection, by their path: the very text that a document keeps anyway."""

    __slots__ = ("collection_id", "documents", "indexed", "parent", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.parent, _, self.collection_id = path.rpartition("/")
        self.documents: dict[str, StoredDocument] = {}
        self.indexed: IndexedDocuments | None = None


class CollectionGroup:
    """All collections of one id, wherever they lie."""

    __slots__ = ("collections", "indexed")

    def __init__(self) -> None:
        self.collections: dict[str, Collection] = {}
        self.indexed: IndexedDocuments | None = None

    def all_documents(self) -> Iterator[StoredDocument]:
        for collection in self.collections.values():
            yield from collection.documents.values()


class Database:
    """All collections of one database, its commits in order, and the versions they replaced."""

    def __init__(
        self,
        name: DatabaseName,
        clock: Clock,
        *,
        retention_bytes: int = RETENTION_BYTES,
        observers: Sequence[CommitObserver] = (),
    ) -> None:
        self.name = name
        self.collections: dict[str, Collection] = {}
        self.groups: dict[str, CollectionGroup] = {}
        self._observers: Sequence[CommitObserver] = observers
        self._clock = clock
        self._last_time = 0
        self._retention_bytes = retention_bytes
        self.created_at = self.read_time()
        self._oldest_readable = 0
        self._commits: deque[tuple[int, tuple[str, ...]]] = deque()
        self._replaced: deque[tuple[int, str, int]] = deque()
        self._replaced_bytes = 0
        self._history: dict[str, deque[tuple[int, StoredDocument | None]]] = {}

    # -- time

    def read_time(self) -> int:
        """Now, in microseconds; whatever is committed later gets a later time."""
        self._last_time = max(self._clock.now_ns() // 1000, self._last_time)
        return self._last_time

    def next_commit_time(self) -> int:
        self._last_time = max(self._clock.now_ns() // 1000, self._last_time + 1)
        return self._last_time

    def check_read_time(self, at: int) -> None:
        now = self.read_time()
        if at > now:
            raise StatusError(Code.INVALID_ARGUMENT, "The requested read_time cannot be in the future.")
        if at < now - RETENTION_SECONDS * MICROS_PER_SECOND or at < self._oldest_readable:
            raise StatusError(Code.FAILED_PRECONDITION, "The requested snapshot version is too old.")

    def can_read_at(self, at: int) -> bool:
        try:
            self.check_read_time(at)
        except StatusError:
            return False
        return True

    # -- reading

    def get(self, path: str, at: int | None = None) -> StoredDocument | None:
        if at is not None:
            return self._get_at(path, at)
        collection = path[: path.rfind("/")]
        found = self.collections.get(collection)
        return None if found is None else found.documents.get(path)

    def _get_at(self, path: str, at: int) -> StoredDocument | None:
        history = self._history.get(path)
        if history is not None:
            for replaced_at, document in history:
                if replaced_at > at:
                    return document if document is None or document.update_time <= at else None
        current = self.get(path)
        return current if current is not None and current.update_time <= at else None

    def changed_since(self, at: int) -> set[str]:
        """The documents that any later commit touched."""
        changed: set[str] = set()
        for commit_time, paths in reversed(self._commits):
            if commit_time <= at:
                break
            changed.update(paths)
        return changed

    def commits_since(self, at: int) -> bool:
        return bool(self._commits) and self._commits[-1][0] > at

    def collections_under(self, parent: str) -> Iterator[Collection]:
        """Every collection with documents below a document, at any depth; of the root: all."""
        prefix = f"{parent}/" if parent else ""
        return (found for found in self.collections.values() if found.documents and found.path.startswith(prefix))

    # -- committing

    def commit(self, changes: Sequence[Change], commit_time: int, cause: object = None) -> None:
        """Applies changes whose `before` is what is stored now. Nothing here can fail half way for want of input."""
        for change in changes:
            self._apply(change, commit_time)
        if changes:
            self._commits.append((commit_time, tuple([change.path for change in changes])))
            self._forget_the_old(commit_time)
            for observer in self._observers:
                try:
                    observer.committed(self, commit_time, changes, cause)
                except Exception:  # it is committed, whatever those who hear of it make of it
                    _log.exception("`%s` failed after a commit", type(observer).__name__)

    def _apply(self, change: Change, commit_time: int) -> None:
        collection = self.collections.get(change.collection)
        if collection is None:
            collection = self._add_collection(change.collection)
        after = change.after
        if after is not None:
            collection.documents[after.path] = after
        elif change.before is not None:
            del collection.documents[change.path]
        if change.before is not None:
            self._remember(change.path, commit_time, change.before)
        if collection.indexed is not None:
            collection.indexed.update(change)
        group = self.groups[collection.collection_id]
        if group.indexed is not None:
            group.indexed.update(change)
        if not collection.documents:
            del self.collections[collection.path]
            del group.collections[collection.path]

    def clear(self) -> None:
        """Forgets every document and the past; time still only goes forward."""
        self.collections.clear()
        self.groups.clear()
        self._commits.clear()
        self._replaced.clear()
        self._replaced_bytes = 0
        self._history.clear()
        self._oldest_readable = self.next_commit_time()
        for observer in self._observers:
            observer.cleared(self)

    def replace_all(self, documents: Sequence[StoredDocument]) -> None:
        """Takes over imported documents with their times; whoever listens sees them, functions do not."""
        self.clear()
        if documents:
            self._last_time = max(self._last_time, *(document.update_time for document in documents))
        commit_time = self.next_commit_time()
        changes = [Change(document.path, None, document) for document in documents]
        self.commit(changes, commit_time, IMPORTED)
        self._oldest_readable = commit_time

    def restore(self, documents: Iterable[StoredDocument], last_time: int) -> None:
        """Takes back what was kept, before anybody listens; nobody is told, and nothing before it can be read."""
        for document in documents:
            path = document.path[: document.path.rfind("/")]
            collection = self.collections.get(path)
            if collection is None:
                collection = self._add_collection(path)
            collection.documents[document.path] = document
            last_time = max(last_time, document.update_time)
        self._last_time = max(self._last_time, last_time)
        self._oldest_readable = self.next_commit_time()

    def merge(self, bodies: Mapping[str, bytes]) -> None:
        """Takes over imported documents without times, over what is there: the same ones keep their times."""
        commit_time = self.next_commit_time()
        changes = []
        for path, body in bodies.items():
            before = self.get(path)
            created = commit_time if before is None else before.create_time
            if before is None or before.wire != body + document_times(created, before.update_time):
                wire = body + document_times(created, commit_time)
                changes.append(Change(path, before, StoredDocument(path, wire, created, commit_time)))
        self.commit(changes, commit_time, IMPORTED)

    def _add_collection(self, path: str) -> Collection:
        collection = self.collections[path] = Collection(path)
        group = self.groups.get(collection.collection_id)
        if group is None:
            group = self.groups[collection.collection_id] = CollectionGroup()
        group.collections[path] = collection
        return collection

    def _remember(self, path: str, replaced_at: int, document: StoredDocument) -> None:
        self._history.setdefault(path, deque()).append((replaced_at, document))
        size = len(document.wire) + 300  # what the entry itself takes, about
        self._replaced.append((replaced_at, path, size))
        self._replaced_bytes += size

    def _forget_the_old(self, now: int) -> None:
        horizon = now - RETENTION_SECONDS * MICROS_PER_SECOND
        while self._replaced and (self._replaced[0][0] < horizon or self._replaced_bytes > self._retention_bytes):
            replaced_at, path, size = self._replaced.popleft()
            self._replaced_bytes -= size
            self._oldest_readable = max(self._oldest_readable, replaced_at)
            history = self._history[path]
            history.popleft()
            if not history:
                del self._history[path]
        while self._commits and (self._commits[0][0] < horizon or self._commits[0][0] < self._oldest_readable):
            self._commits.popleft()

    # -- indexes

    def indexed_collection(self, path: str) -> IndexedDocuments | None:
        """The indexes of one collection; None where it has no documents."""
        collection = self.collections.get(path)
        if collection is None:
            return None
        if collection.indexed is None:
            collection.indexed = IndexedDocuments(collection.documents.values, is_group=False)
        return collection.indexed

    def indexed_group(self, collection_id: str) -> IndexedDocuments | None:
        group = self.groups.get(collection_id)
        if group is None:
            return None
        if group.indexed is None:
            group.indexed = IndexedDocuments(group.all_documents, is_group=True)
        return group.indexed

    # -- what must hold

    def check_invariants(self) -> None:
        """What must hold after every commit; every test of a store ends in it."""
        found = list(self.faults())
        assert not found, f"`{self.name}` is not whole:\n" + "\n".join(found)

    def faults(self) -> Iterator[str]:
        """Everything that is not as it must be, each with its place."""
        for path, collection in self.collections.items():
            yield from self._faults_of_collection(path, collection)
        for collection_id, group in self.groups.items():
            for path, collection in group.collections.items():
                if self.collections.get(path) is not collection:
                    yield f"the group `{collection_id}` holds a collection `{path}` that is not there"
            if group.indexed is not None:
                yield from (f"group `{collection_id}`: {fault}" for fault in group.indexed.faults())
        yield from self._faults_of_the_past()

    def _faults_of_collection(self, path: str, collection: Collection) -> Iterator[str]:
        if collection.path != path:
            yield f"`{path}` holds the collection `{collection.path}`"
        if not collection.documents:
            yield f"`{path}` is empty and still there"
        group = self.groups.get(collection.collection_id)
        if group is None or group.collections.get(path) is not collection:
            yield f"`{path}` is missing in its group"
        for document_path, document in collection.documents.items():
            if document.path != document_path or document_path.rpartition("/")[0] != path:
                yield f"`{document_path}` in `{path}` holds the document `{document.path}`"
            if not 0 < document.create_time <= document.update_time <= self._last_time:
                yield (
                    f"`{document.path}` was created at {document.create_time} and updated at {document.update_time}, "
                    f"and the last commit was at {self._last_time}"
                )
            yield from document.faults(f"{self.name.documents}/{document.path}")
        if collection.indexed is not None:
            yield from (f"collection `{path}`: {fault}" for fault in collection.indexed.faults())

    def _faults_of_the_past(self) -> Iterator[str]:
        times = [commit_time for commit_time, _ in self._commits]
        if times != sorted(set(times)) or times[-1:] > [self._last_time]:
            yield f"commit times must rise up to {self._last_time}: {times}"
        if self._replaced_bytes != sum(size for *_, size in self._replaced):
            yield f"{self._replaced_bytes} bytes of replaced documents are counted, {self._replaced} are kept"
        if self._replaced_bytes > max(self._retention_bytes, 0):
            yield f"{self._replaced_bytes} bytes of replaced documents are kept, {self._retention_bytes} are allowed"
        remembered: dict[str, list[int]] = {}
        for replaced_at, path, _ in self._replaced:
            remembered.setdefault(path, []).append(replaced_at)
        for path in remembered.keys() | self._history.keys():
            history = self._history.get(path, ())
            ends = [replaced_at for replaced_at, _ in history]
            if ends != remembered.get(path, []) or ends != sorted(set(ends)):
                yield f"`{path}` was replaced at {remembered.get(path, [])}, and its history says {ends}"
            begin = 0
            for replaced_at, version in history:
                if version is not None and not begin <= version.update_time < replaced_at:
                    yield f"`{path}` of {version.update_time} cannot have stood from {begin} to {replaced_at}"
                begin = replaced_at
            current = self.get(path)
            if current is not None and current.update_time < begin:
                yield f"`{path}` of {current.update_time} is older than what it replaced at {begin}"


class DocumentStore:
    """The databases of all projects, made when first named."""

    def __init__(self, *, clock: Clock, retention_bytes: int = RETENTION_BYTES) -> None:
        self._clock = clock
        self._retention_bytes = retention_bytes
        self._databases: dict[DatabaseName, Database] = {}
        self._observers: list[CommitObserver] = []

    def observe(self, observer: CommitObserver) -> None:
        self._observers.append(observer)

    def database(self, name: DatabaseName) -> Database:
        found = self._databases.get(name)
        if found is None:
            found = self._databases[name] = Database(
                name, self._clock, retention_bytes=self._retention_bytes, observers=self._observers
            )
        return found

    def databases(self) -> Sequence[Database]:
        return tuple(self._databases.values())
