"""A database that is broken is found when the folder is opened, put aside, and made anew from what lies beside it.

The journal tells what was committed; each file of contents tells what it is. Where both know a file, the journal is
believed; a file that only its own foot knows was written when the journal had already ended, and is taken in.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from afterimage.store.documents import Document
from afterimage_client.database import Connect, Database, FileTransaction
from afterimage_client.database.errors import StoreError
from afterimage_server.store.folder_files import BYTES_HELD, bytes_path
from afterimage_server.store.held_bytes import BrokenBytesError, foot_of
from afterimage_server.store.journal import SEQUENCE, Journal, Salvage, stored_of
from afterimage_server.store.local_documents import INSTANT, LocalDocuments
from afterimage_server.store.ordered_keys import collection_of
from afterimage_server.store.stored_values import StoredValues
from afterimage_server.store.tables import MACHINE, noted
from afterimage_server.store.vault import Vault

DATABASE: Final = "local_storage.db"
RESCUED: Final = "rescued"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescue:
    """What a rescue found."""

    at: str
    reason: str
    put_aside: str
    """Where the broken database lies now."""
    documents: int
    files: int
    adopted: int
    """Files that only the folder knew."""
    lost: int
    """Files that the journal knows and whose bytes are not there."""
    torn: int
    """Lines of the journal that could not be read."""


def open_database(folder: Path, vault: Vault, journal: Journal, connect: Connect) -> tuple[Database, Rescue | None]:
    """The folder's database; where it is broken, one made anew from the journal and the files."""
    path = folder / DATABASE
    is_gone = not path.exists() and journal.path.exists() and journal.path.stat().st_size > 0
    fault: str | None = f"`{path}` is gone" if is_gone else None
    if fault is None:
        try:
            database = Database(path, [MACHINE], connect=connect)
            fault = database.fault_of_file()
            if fault is None:
                return database, None
            database.close()
        except StoreError as error:
            if not _is_broken(error):
                raise
            fault = str(error)
    aside = folder / f"broken-{time.strftime('%Y%m%d-%H%M%S')}"
    aside.mkdir(exist_ok=True)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        if (folder / name).exists():
            (folder / name).replace(aside / name)
    database = Database(path, [MACHINE], connect=connect)
    return database, _rescued(database, folder, vault, journal, fault, aside)


def _is_broken(error: StoreError) -> bool:
    return "broken one" in str(error) or "malformed" in str(error)


def _rescued(database: Database, folder: Path, vault: Vault, journal: Journal, fault: str, aside: Path) -> Rescue:
    found = journal.salvage()
    with database.transaction() as transaction:
        documents = _documents(transaction, database, vault, journal, found)
        files, lost = _files(transaction, folder, found)
        adopted = _adopted(transaction, folder, vault)
        _counted(transaction, folder)
        noted(transaction, SEQUENCE, found.last)
        rescue = Rescue(
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            reason=fault[:500],
            put_aside=aside.name,
            documents=documents,
            files=files,
            adopted=adopted,
            lost=lost,
            torn=found.torn,
        )
        noted(transaction, RESCUED, json.dumps(asdict(rescue)))
    return rescue


def _documents(transaction: FileTransaction, database: Database, vault: Vault, journal: Journal, found: Salvage) -> int:
    values = StoredValues(vault=vault)
    documents = LocalDocuments(database, values, journal)
    count, last = 0, 0
    for key, columns in found.rows.get("documents", {}).items():
        if columns is None:
            continue
        path: str = json.loads(key)
        stored, created, updated = stored_of(columns[0]), int(columns[1]), int(columns[2])
        collection_of(path)
        fields = values.opened(stored, f"documents|{path}")
        nothing: Document | None = None
        documents.put(transaction, path, stored, created=created, updated=updated, before=nothing, after=fields)
        count, last = count + 1, max(last, updated)
    noted(transaction, INSTANT, last)
    return count


def _files(transaction: FileTransaction, folder: Path, found: Salvage) -> tuple[int, int]:
    count = lost = latest = 0
    for key, columns in found.rows.get("files", {}).items():
        if columns is None:
            continue
        bucket, name = json.loads(key)
        generation, metageneration, size, created, about, held, cloud = columns
        is_here = bytes_path(folder, held).exists()
        if not is_here and not cloud:
            lost += 1
            continue
        transaction.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (bucket, name, generation, metageneration, size, created, stored_of(about), held, cloud),
        )
        count, latest = count + 1, max(latest, int(generation))
    noted(transaction, "generation", latest)
    return count, lost


def _adopted(transaction: FileTransaction, folder: Path, vault: Vault) -> int:
    """Files that the journal does not know, because it was torn or had not reached the disk."""
    known = {row[0] for row in transaction.rows("SELECT held FROM files")}
    adopted = 0
    for path in sorted((folder / "files").glob("*/*")):
        if path.name in known:
            continue
        try:
            foot = foot_of(path, vault)
        except BrokenBytesError:
            continue
        about: dict[str, Any] = dict(foot.about)
        bucket, name = str(about.pop("bucket")), str(about.pop("name"))
        written = int(about.pop("created"), 16) // 1000
        if transaction.row("SELECT 1 FROM files WHERE bucket = ? AND name = ?", (bucket, name)) is not None:
            continue
        # Greater than the one that was lost with its row: whoever remembers that one looks again.
        generation = time.time_ns() // 1000 + adopted
        sealed = vault.sealer.seal(json.dumps(about, ensure_ascii=False), f"files|{bucket}|{name}")
        transaction.execute(
            "INSERT INTO files VALUES (?, ?, ?, 1, ?, ?, ?, ?, 0)",
            (bucket, name, generation, foot.size, written, sealed, path.name),
        )
        adopted += 1
    return adopted


def _counted(transaction: FileTransaction, folder: Path) -> None:
    total = 0
    for (held,) in transaction.rows("SELECT DISTINCT held FROM files"):
        path = bytes_path(folder, held)
        size, state = (path.stat().st_size, "new") if path.exists() else (0, "away")
        total += size
        transaction.execute("INSERT INTO held VALUES (?, ?, ?, ?)", (held, size, state, time.time_ns() // 1000))
    noted(transaction, BYTES_HELD, total)
