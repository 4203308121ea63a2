"""Documents that were changed here and in the cloud: kept as both have them, until a person says which stays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from afterimage.paths import parse_artifact_file
from afterimage.store.documents import DocumentStore, Expect, Remove, Replace, Write
from afterimage_client.queue import DurableQueue
from afterimage_server.cloud.decisions import digest_of
from afterimage_server.cloud.outbox import DOCUMENT
from afterimage_server.store.erasures import user_of_document
from afterimage_server.store.machine_folder import MachineFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudConflict:
    """One document as both have it; None where one has none."""

    path: str
    found_at: datetime
    here: Mapping[str, Any] | None
    there: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Conflicts:
    """The conflicts of one folder."""

    folder: MachineFolder
    queue: DurableQueue
    documents: Callable[[], DocumentStore]

    def listed(self, limit: int = 100) -> list[CloudConflict]:
        rows = self.folder.database.rows(
            "SELECT path, found, theirs FROM cloud_conflicts ORDER BY path LIMIT ?", (limit,)
        )
        found = []
        for path, moment, theirs in rows:
            here = self.folder.documents.read(path)
            there = None if theirs is None else self.folder.documents.values.opened(theirs, f"conflict|{path}")
            at = datetime.fromtimestamp(moment, UTC)
            found.append(CloudConflict(path=path, found_at=at, here=here.fields if here else None, there=there))
        return found

    def settle(self, path: str, *, keeps_ours: bool) -> bool:
        """Ends a conflict for this side or the other; False where there is none. The other's newest state counts."""
        if self.folder.database.row("SELECT 1 FROM cloud_conflicts WHERE path = ?", (path,)) is None:
            return False
        theirs = self.documents().read(path)
        fields = theirs.fields if theirs is not None else None
        with self.folder.database.transaction() as transaction:
            transaction.execute("DELETE FROM cloud_conflicts WHERE path = ?", (path,))
            transaction.execute(
                "INSERT OR REPLACE INTO cloud_documents VALUES (?, ?, ?)", (path, digest_of(fields), digest_of(fields))
            )
            if not keeps_ours:
                write: Write = Remove(path=path, expected=Expect.ANYTHING)
                if fields is not None:
                    write = Replace(path=path, fields=self._as_it_comes(path, fields), expected=Expect.ANYTHING)
                self.folder.documents.commit([write])
            self.queue.enqueue_once(DOCUMENT, path)
        return True

    def forget_user(self, user: str) -> None:
        """What both sides had of a user who is erased here is kept no longer."""
        with self.folder.database.transaction() as transaction:
            for (path,) in transaction.rows("SELECT path FROM cloud_conflicts"):
                if user_of_document(path) == user:
                    transaction.execute("DELETE FROM cloud_conflicts WHERE path = ?", (path,))

    def _as_it_comes(self, path: str, theirs: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields with the generations that files have here, where those are the same files."""
        here = self.folder.documents.read(path)
        fields, ours = dict(theirs), here.fields if here is not None else {}
        if parse_artifact_file(path) is not None and "generation" in ours:
            fields["generation"] = ours["generation"]
        archive, known = fields.get("archive"), ours.get("archive")
        if isinstance(archive, Mapping) and isinstance(known, Mapping) and archive.get("name") == known.get("name"):
            fields["archive"] = dict(known)
        return fields
