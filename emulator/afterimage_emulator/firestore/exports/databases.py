"""What a service writes when it exports, and what it reads: one official tree for each database, and times beside.

The default database of the project lies where the official suite looks for it. Others, which its layout has no room
for, have trees of their own below `others/`. Times are no part of the format: `databases.json` points to them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage_emulator.firestore.documents.document_store import Database, DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, path_key
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import document_times
from afterimage_emulator.firestore.exports import lines_of_json
from afterimage_emulator.firestore.exports.broken_exports import broken_export, inside
from afterimage_emulator.firestore.exports.export_trees import SUFFIX, read_tree, write_tree
from afterimage_emulator.firestore.exports.read_entities import ReadDocument

LISTING: Final = "databases.json"
FORMAT: Final = 2
_PLAIN_NAME: Final = re.compile(r"\(default\)|[a-z0-9][a-z0-9-]{0,99}")


async def export_databases(databases: Sequence[Database], directory: Path, *, name: str, project: str) -> Path:
    """Writes all documents as they are now, whatever is committed meanwhile; answers with the overall metadata file."""
    snapshots = [
        (database.name, database.read_time(), [d for c in database.collections.values() for d in c.documents.values()])
        for database in databases
    ]
    return await asyncio.to_thread(_write, snapshots, directory, name, DatabaseName(project))


def _write(
    snapshots: Sequence[tuple[DatabaseName, int, list[StoredDocument]]],
    directory: Path,
    name: str,
    at_root: DatabaseName,
) -> Path:
    overall = write_tree(directory, name, at_root, (), at_micros=0)
    entries = []
    for number, (database, at_micros, documents) in enumerate(snapshots, 1):
        if not documents:
            continue
        documents.sort(key=lambda document: path_key(document.path))
        folder = directory if database == at_root else directory / "others" / _folder_name(database, number)
        file = write_tree(folder, name, database, documents, at_micros=at_micros)
        (folder / f"{name}.times").write_text("".join(f"{d.create_time} {d.update_time}\n" for d in documents))
        entries.append(
            {
                "project": database.project,
                "database": database.database,
                "metadata_file": file.relative_to(directory).as_posix(),
                "times": (folder / f"{name}.times").relative_to(directory).as_posix(),
                "documents": len(documents),
            }
        )
    (directory / LISTING).write_text(
        json.dumps({"format": FORMAT, "project": at_root.project, "databases": entries}, indent=2) + "\n"
    )
    return overall


def _folder_name(database: DatabaseName, number: int) -> str:
    """Readable where the names are such as projects and databases have; clients may say others, such as `..`."""
    if _PLAIN_NAME.fullmatch(database.project) and _PLAIN_NAME.fullmatch(database.database):
        return f"{database.project}/{database.database}"
    return f"{number:08d}"


async def import_folder(store: DocumentStore, source: Path, *, project: str) -> None:
    """Reads an export of whatever kind: this suite's takes the place of what its databases hold, others are merged.

    `source` may be the overall metadata file in the folder.
    """
    folder = source.parent if source.is_file() else source
    if (folder / LISTING).is_file():
        loaded = await asyncio.to_thread(_read_listing, folder, project)
        for name, documents in loaded:
            store.database(name).replace_all(documents)
    elif (folder / lines_of_json.METADATA_FILE).is_file():
        await lines_of_json.import_databases(store, folder)
    else:
        await import_tree(store, source if source.is_file() else _overall_in(folder), project=project)


def _overall_in(folder: Path) -> Path:
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if not found:
        raise broken_export(f"`{folder}` is no export of Firestore: it has neither {LISTING} nor a file *{SUFFIX}")
    return found[0]


async def import_tree(store: DocumentStore, overall: Path, *, project: str) -> None:
    """Merges an official export into the project: all of it or nothing; what is there and the same stays untouched."""
    read = await asyncio.to_thread(lambda: list(read_tree(overall, project)))
    by_database: dict[DatabaseName, dict[str, bytes]] = {}
    for document in read:
        by_database.setdefault(document.database, {})[document.path] = document.body.SerializeToString(
            deterministic=True
        )
    for name, bodies in by_database.items():
        store.database(name).merge(bodies)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """One database of a listing."""

    name: DatabaseName
    metadata_file: Path
    times: Path


def _read_listing(folder: Path, project: str) -> list[tuple[DatabaseName, list[StoredDocument]]]:
    """Reads everything before anything is taken over."""
    return [(listed.name, list(_stored(listed))) for listed in _listed(folder, project)]


def _listed(folder: Path, project: str) -> Iterator[_Listed]:
    """What was of the project that the export is of becomes the importing project's, as in the official suite."""
    file = folder / LISTING
    try:
        listing = json.loads(file.read_text("utf-8"))
        if listing["format"] != FORMAT:
            raise broken_export(f"`{file}` has the format `{listing['format']}`; this suite reads 1 and {FORMAT}")
        for entry in listing["databases"]:
            of_project = project if entry["project"] == listing["project"] else entry["project"]
            yield _Listed(
                name=DatabaseName(of_project, entry["database"]),
                metadata_file=inside(folder, entry["metadata_file"], of=str(file)),
                times=inside(folder, entry["times"], of=str(file)),
            )
    except OSError as error:
        raise broken_export(f"`{file}` cannot be read: {error.strerror}") from None
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise broken_export(f"`{file}` is no listing of databases: {error!r}") from None


def _stored(listed: _Listed) -> Iterator[StoredDocument]:
    try:
        lines = listed.times.read_text("ascii").splitlines()
        times = [(int(created), int(updated)) for created, updated in (line.split() for line in lines)]
    except OSError as error:
        raise broken_export(f"`{listed.times}` cannot be read: {error.strerror}") from None
    except ValueError:
        raise broken_export(f"`{listed.times}` is broken: each line must hold two times") from None
    number = 0
    for number, read in enumerate(read_tree(listed.metadata_file, listed.name.project), 1):
        if read.database != listed.name:
            raise broken_export(f"`{listed.metadata_file}` holds `{read.path}` of `{read.database}`")
        if number > len(times):
            break
        yield _document(read, *times[number - 1])
    if number != len(times):
        raise broken_export(f"`{listed.times}` has {len(times):,} lines, and the documents are others")


def _document(read: ReadDocument, created: int, updated: int) -> StoredDocument:
    wire = read.body.SerializeToString(deterministic=True) + document_times(created, updated)
    return StoredDocument(read.path, wire, created, updated)
