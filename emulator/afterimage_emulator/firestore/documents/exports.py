"""Export and import: one file of JSON lines a database, one document a line, in the order of their paths."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from google.protobuf import json_format

from afterimage_emulator.firestore.documents.document_store import Database, DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, document_path, path_key
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import check_fields
from afterimage_emulator.firestore.documents.wire_bytes import micros_of, timestamp_field
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import Code, StatusError

METADATA_FILE: Final = "firestore_export.json"
FORMAT: Final = 1
_LINES_BEFORE_A_PAUSE: Final = 500
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
_DATABASE: Final = re.compile(r"\(default\)|[a-z0-9][a-z0-9-]{0,99}")


async def export_databases(databases: Sequence[Database], directory: Path) -> None:
    """Writes all documents as they are now, whatever is committed meanwhile."""
    snapshots = [
        (database.name, [d for c in database.collections.values() for d in c.documents.values()])
        for database in databases
    ]
    directory.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, (name, documents) in enumerate(snapshots, 1):
        if documents:
            file = directory / _file_of(name, number)
            await asyncio.to_thread(_write_file, file, documents)
            entries.append(
                {
                    "project": name.project,
                    "database": name.database,
                    "file": quote(file.relative_to(directory).as_posix(), safe="/()%"),
                    "documents": len(documents),
                }
            )
    metadata = {"format": FORMAT, "databases": entries}
    (directory / METADATA_FILE).write_text(json.dumps(metadata, indent=2) + "\n")


def _file_of(name: DatabaseName, number: int) -> str:
    """Readable where the names are such as projects and databases have; clients may say others, such as `..`."""
    if _PROJECT.fullmatch(name.project) and _DATABASE.fullmatch(name.database):
        return f"{name.project}/{name.database}.jsonl"
    return f"{number:08d}.jsonl"


def _write_file(file: Path, documents: Sequence[StoredDocument]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for document in sorted(documents, key=lambda document: path_key(document.path)):
            body = json_format.MessageToDict(document.message())
            lines.write(json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n")


async def import_databases(store: DocumentStore, directory: Path) -> None:
    """Puts the exported documents in place of what the same databases hold now, with the times that they had."""
    try:
        metadata = json.loads((directory / METADATA_FILE).read_text())
    except FileNotFoundError:
        raise _broken(f"`{directory}` is no export of Firestore: it has no {METADATA_FILE}") from None
    except ValueError as error:
        raise _broken(f"`{directory / METADATA_FILE}` is not JSON: {error}") from None
    if metadata.get("format") != FORMAT:
        raise _broken(f"the export has the format `{metadata.get('format')}`; this suite reads {FORMAT}")
    loaded: list[tuple[Database, list[StoredDocument]]] = []
    for entry in metadata["databases"]:
        name = DatabaseName(entry["project"], entry["database"])
        file = (directory / unquote(entry["file"])).resolve()
        if not file.is_relative_to(directory.resolve()):
            raise _broken(f"the export names `{entry['file']}`, which lies outside of it")
        documents = []
        for number, document in enumerate(_read_file(file, name), 1):
            documents.append(document)
            if number % _LINES_BEFORE_A_PAUSE == 0:
                await asyncio.sleep(0)
        loaded.append((store.database(name), documents))
    for database, documents in loaded:
        database.replace_all(documents)


def _read_file(file: Path, name: DatabaseName) -> Iterator[StoredDocument]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                message = json_format.ParseDict(json.loads(line), firestore_v1.Document())
                path = document_path(message.name, name)
                check_fields(message.fields)
            except (ValueError, json_format.ParseError, StatusError) as error:
                raise _broken(f"`{file.name}` line {number} is no document: {error}") from None
            created, updated = micros_of(message.create_time), micros_of(message.update_time)
            message.ClearField("create_time")
            message.ClearField("update_time")
            times = timestamp_field(3, created) + timestamp_field(4, updated)
            yield StoredDocument(path, message.SerializeToString(deterministic=True) + times, created, updated)


def _broken(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
