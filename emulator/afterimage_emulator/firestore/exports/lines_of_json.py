"""Exports that earlier versions of this suite wrote: one file of JSON lines a database, one document a line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from google.protobuf import json_format

from afterimage_emulator.firestore.documents.document_store import DocumentStore
from afterimage_emulator.firestore.documents.resource_paths import DatabaseName, document_path
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.values import check_fields
from afterimage_emulator.firestore.documents.wire_bytes import document_times, micros_of
from afterimage_emulator.firestore.exports.broken_exports import broken_export, inside
from afterimage_emulator.protos import firestore_v1
from afterimage_emulator.status import StatusError

METADATA_FILE: Final = "firestore_export.json"
FORMAT: Final = 1


async def import_databases(store: DocumentStore, directory: Path) -> None:
    """Puts the exported documents in place of what the same databases hold now, with the times that they had."""
    for name, documents in await asyncio.to_thread(lambda: list(_read(directory))):
        store.database(name).replace_all(documents)


def _read(directory: Path) -> Iterator[tuple[DatabaseName, list[StoredDocument]]]:
    listing = directory / METADATA_FILE
    try:
        metadata = json.loads(listing.read_text("utf-8"))
        if metadata["format"] != FORMAT:
            raise broken_export(f"`{listing}` has the format `{metadata['format']}`; this suite reads {FORMAT}")
        for entry in metadata["databases"]:
            name = DatabaseName(entry["project"], entry["database"])
            file = inside(directory, unquote(entry["file"]), of=str(listing))
            yield name, list(_read_file(file, name))
    except OSError as error:
        raise broken_export(f"`{error.filename}` cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise broken_export(f"`{listing}` is not JSON: {error}") from None
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise broken_export(f"`{listing}` is no listing of databases: {error!r}") from None


def _read_file(file: Path, name: DatabaseName) -> Iterator[StoredDocument]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                message = json_format.ParseDict(json.loads(line), firestore_v1.Document())
                path = document_path(message.name, name)
                check_fields(message.fields)
            except (ValueError, json_format.ParseError, StatusError) as error:
                raise broken_export(f"`{file.name}` line {number} is no document: {error}") from None
            created, updated = micros_of(message.create_time), micros_of(message.update_time)
            message.ClearField("create_time")
            message.ClearField("update_time")
            wire = message.SerializeToString(deterministic=True) + document_times(created, updated)
            yield StoredDocument(path, wire, created, updated)
