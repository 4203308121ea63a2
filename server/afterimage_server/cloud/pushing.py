"""Brings files and documents to the cloud: again as often as it takes, with one effect."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from afterimage.faults import is_transient
from afterimage.paths import blob_path, parse_artifact_file
from afterimage.store.documents import ConflictError, Document, DocumentStore, Expect
from afterimage.store.files import FileAbout, FileStore, GoneError, StoredFile
from afterimage_client.database import FileTransaction
from afterimage_client.queue import DurableQueue, Entry, OfflineError
from afterimage_server.cloud.decisions import NOTHING_THERE, Verdict, digest_of, verdict_on, write_of
from afterimage_server.cloud.outbox import DOCUMENT, UNSTORE, UPLOAD, unstored
from afterimage_server.store.erasures import user_of_document
from afterimage_server.store.machine_folder import MachineFolder

logger = logging.getLogger("afterimage_server.cloud")
_ROUNDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class CloudPush:
    """From one folder to one project."""

    folder: MachineFolder
    queue: DurableQueue
    bucket: str
    files: Callable[[], FileStore]
    documents: Callable[[], DocumentStore]
    clock: Callable[[], float] = time.time

    def performers(self) -> Mapping[str, Callable[[Entry], Awaitable[None]]]:
        def threaded(do: Callable[[Entry], None]) -> Callable[[Entry], Awaitable[None]]:
            async def perform(entry: Entry) -> None:
                await asyncio.to_thread(do, entry)

            return perform

        return {UPLOAD: threaded(self.upload), UNSTORE: threaded(self.unstore), DOCUMENT: threaded(self.document)}

    def together(self) -> Mapping[str, Callable[[Sequence[Entry]], Awaitable[Sequence[Entry]]]]:
        async def perform(entries: Sequence[Entry]) -> Sequence[Entry]:
            return await asyncio.to_thread(self.many_documents, entries)

        return {DOCUMENT: perform}

    # -- files

    def upload(self, entry: Entry) -> None:
        said = entry.payload
        file = self.folder.files.find(said["bucket"], said["name"])
        if file is not None and file.generation == said["generation"]:
            with _offline_told():
                self.confirmed(file)

    def unstore(self, entry: Entry) -> None:
        """Deletes what went there: the same bytes, and nothing that somebody else has stored since."""
        said = entry.payload
        with _offline_told():
            there = self.files().find(said["bucket"], said["name"])
            if there is not None and (there.md5, there.size) == (said["md5"], said["size"]):
                self.files().delete(said["bucket"], said["name"], generation=there.generation)

    def confirmed(self, file: StoredFile) -> int:
        """The generation that a file has in the cloud; it is stored there first, unless it is there already."""
        known = self.folder.files.cloud_generation(file)
        if known:
            return known
        there = self._stored_there(file)
        with self.folder.database.transaction():
            if not self.folder.files.note_in_cloud(file, there.generation):
                # Deleted while it went there; what was to delete it there may have looked before it came.
                self.queue.enqueue(UNSTORE, file.name, unstored(file))
        return there.generation

    def _stored_there(self, file: StoredFile) -> StoredFile:
        data = self.folder.files.read(file)
        about = FileAbout(
            content_type=file.content_type,
            content_encoding=file.content_encoding,
            cache_control=self.folder.files.cache_control(file),
            metadata=file.metadata,
        )
        for _ in range(_ROUNDS):
            found = self.files().find(file.bucket, file.name)
            if found is not None and (found.md5, found.size) == (file.md5, file.size):
                return found
            expected: Expect | int = Expect.ABSENT if found is None else found.generation
            try:
                return self.files().write(file.bucket, file.name, data, about, expected=expected)
            except ConflictError:
                continue
        raise OfflineError(f"`{file.name}` is being written by others too")

    # -- documents

    def document(self, entry: Entry) -> None:
        self._settle([entry])

    def many_documents(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """All in one commit; where somebody came between, each runs alone, and tells whose it was."""
        try:
            self._settle(entries)
        except ConflictError:
            return entries
        return ()

    def _settle(self, entries: Sequence[Entry]) -> None:
        paths = [entry.key for entry in entries]
        with _offline_told():
            ours = {path: self._as_it_goes(path, found) for path, found in self._here(paths).items()}
            theirs = dict(zip(paths, self.documents().read_many(paths), strict=True))
            known = self._known(paths)
            verdicts = {path: verdict_on(ours[path], theirs[path], known.get(path, ())) for path in paths}
            writes = [write_of(path, ours[path], theirs[path]) for path in paths if verdicts[path] is Verdict.WRITE]
            if writes:
                # Noted before it is sent: whoever finds it there later knows it for ours, though no answer came.
                sent = {write.path: ours[write.path] for write in writes}
                with self.folder.database.transaction() as transaction:
                    for path, fields in sent.items():
                        self._note(transaction, path, seen=_digest_there(theirs[path]), sent=digest_of(fields))
                self.documents().commit(writes)
        with self.folder.database.transaction() as transaction:
            for path in paths:
                if verdicts[path] is Verdict.CONFLICT:
                    self._note_conflict(transaction, path, theirs[path])
                else:
                    digest = digest_of(ours[path])
                    self._note(transaction, path, seen=digest, sent=digest)
                    transaction.execute("DELETE FROM cloud_conflicts WHERE path = ?", (path,))
            for entry in entries:
                self.queue.complete(entry)

    def _note(self, transaction: FileTransaction, path: str, *, seen: str, sent: str) -> None:
        if seen == sent == NOTHING_THERE:
            # As if it had never been anywhere.
            transaction.execute("DELETE FROM cloud_documents WHERE path = ?", (path,))
        else:
            transaction.execute("INSERT OR REPLACE INTO cloud_documents VALUES (?, ?, ?)", (path, seen, sent))

    def _here(self, paths: Sequence[str]) -> dict[str, Document | None]:
        return dict(zip(paths, self.folder.documents.read_many(paths), strict=True))

    def _known(self, paths: Sequence[str]) -> dict[str, set[str]]:
        marks = ", ".join("?" * len(paths))
        rows = self.folder.database.rows(f"SELECT path, seen, sent FROM cloud_documents WHERE path IN ({marks})", paths)
        return {path: {seen, sent} for path, seen, sent in rows}

    def _as_it_goes(self, path: str, found: Document | None) -> Mapping[str, Any] | None:
        """The fields with the generations that files have in the cloud, which are others than here."""
        if found is None:
            return None
        fields = dict(found.fields)
        place = parse_artifact_file(path)
        if place is not None and not place.is_upload and fields.get("generation"):
            name = blob_path(place.user, place.id)
            fields["generation"] = self._generation_there(self.bucket, name, fields["generation"])
        archive = fields.get("archive")
        if isinstance(archive, Mapping) and {"bucket", "name", "generation"} <= set(archive):
            there = self._generation_there(archive["bucket"], archive["name"], archive["generation"])
            fields["archive"] = {**archive, "generation": there}
        return fields

    def _generation_there(self, bucket: str, name: str, generation: int) -> int:
        file = self.folder.files.find(bucket, name)
        if file is None or file.generation != generation:
            return generation
        try:
            return self.confirmed(file)
        except GoneError:
            return generation

    def _note_conflict(self, transaction: FileTransaction, path: str, theirs: Document | None) -> None:
        user = user_of_document(path)
        is_gone = user is not None and self.folder.erasures.is_erased(transaction, user)
        if is_gone and self.folder.documents.read(path) is None:
            # Nobody is left here to settle it; what somebody else wrote there is for the cloud's own erasure.
            logger.warning("`%s` was changed in the cloud by somebody else, and its user is erased here", path)
            return
        stored = None
        if theirs is not None:
            stored = self.folder.documents.values.sealed(theirs.fields, f"conflict|{path}")
        transaction.execute("INSERT OR REPLACE INTO cloud_conflicts VALUES (?, ?, ?)", (path, self.clock(), stored))
        logger.warning("`%s` was changed in the cloud by somebody else: settle it by hand", path)


def _digest_there(theirs: Document | None) -> str:
    return digest_of(theirs.fields if theirs is not None else None)


@contextmanager
def _offline_told() -> Iterator[None]:
    """What passes by itself counts as no attempt: the cloud was not there."""
    try:
        yield
    except Exception as error:
        # Every kind: the clients' libraries raise their own, and one function tells those that pass from the others.
        if is_transient(error):
            raise OfflineError(f"{type(error).__name__}: {error}"[:500]) from error
        raise
