"""One database as the official suite lays it out: metadata that points to folders, and the logs of entities in them.

NAME.overall_export_metadata
all_namespaces/all_kinds/all_namespaces_all_kinds.export_metadata
all_namespaces/all_kinds/output-0
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from afterimage_emulator.firestore.documents.resource_paths import DatabaseName
from afterimage_emulator.firestore.documents.stored_documents import StoredDocument
from afterimage_emulator.firestore.documents.wire_bytes import field, number_field
from afterimage_emulator.firestore.exports.broken_exports import broken_export, inside
from afterimage_emulator.firestore.exports.progress import Progress
from afterimage_emulator.firestore.exports.read_entities import ReadDocument, read_entity
from afterimage_emulator.firestore.exports.record_logs import read_records, write_records
from afterimage_emulator.firestore.exports.written_entities import entity_bytes
from afterimage_emulator.protos.made.datastore_exports import ExportMetadata, OutputMetadata
from afterimage_emulator.protos.message import DecodeError
from afterimage_emulator.status import StatusError

SUFFIX: Final = ".overall_export_metadata"
OUTPUT: Final = "all_namespaces/all_kinds/output-0"
_KIND_METADATA: Final = "all_namespaces/all_kinds/all_namespaces_all_kinds.export_metadata"
_VERSION: Final = b"\x33"
_CONSTANT: Final = field(1, number_field(1, 2) + number_field(3, 3))
"""Stands in every official export, whatever it is for."""


def write_tree(
    folder: Path, name: str, database: DatabaseName, documents: Sequence[StoredDocument], *, at_micros: int
) -> Path:
    """Writes documents in the order given; answers with the file that an import is told of."""
    folder.mkdir(parents=True, exist_ok=True)
    content = b""
    if documents:
        (folder / OUTPUT).parent.mkdir(parents=True, exist_ok=True)
        progress = Progress(f"exporting {database}", len(documents))
        size = write_records(folder / OUTPUT, _entities(database, documents, progress))
        times = field(1, field(1, name.encode()) + number_field(2, at_micros) + number_field(3, at_micros))
        output = field(2, field(1, b"") + field(2, b"output-0"))
        (folder / _KIND_METADATA).write_bytes(times + output)
        counts = number_field(3, len(documents)) + number_field(4, size)
        content = field(1, _CONSTANT + field(2, _KIND_METADATA.encode()) + counts)
    overall = folder / f"{name}{SUFFIX}"
    write_records(overall, (_VERSION, content))
    return overall


def _entities(database: DatabaseName, documents: Sequence[StoredDocument], progress: Progress) -> Iterator[bytes]:
    for document in documents:
        progress.step()
        yield entity_bytes(database, document)


def read_tree(overall: Path, project: str) -> Iterator[ReadDocument]:
    """Every document that the metadata leads to, in whatever layout; none of its names leads out of its folder."""
    root = overall.parent
    outputs, total = _outputs(overall)
    progress = Progress(f"importing {root}", total)
    for output in outputs:
        read = 0
        try:
            for record in read_records(output):
                read += 1
                progress.step()
                yield read_entity(record, project)
        except StatusError as error:
            raise broken_export(f"`{output}`, record {read:,}: {error.message}") from None
        except OSError as error:
            raise broken_export(f"`{output}` cannot be read: {error.strerror}") from None


def _outputs(overall: Path) -> tuple[list[Path], int]:
    """The files with entities, and how many entities they are said to hold."""
    root, found, total = overall.parent, [], 0
    try:
        version, *records = read_records(overall)
        if version != _VERSION:
            raise broken_export(f"`{overall}` has a format that is not known here")
        for record in records:
            for folder in ExportMetadata.FromString(record).folder:
                total += folder.entities
                file = inside(root, _text(folder.path), of=str(overall))
                found += _outputs_of_folder(file, root)
    except OSError as error:
        raise broken_export(f"`{overall}` cannot be read: {error.filename}: {error.strerror}") from None
    except (ValueError, DecodeError):
        raise broken_export(f"`{overall}` is no metadata of an export") from None
    return found, total


def _outputs_of_folder(metadata: Path, root: Path) -> list[Path]:
    parsed = OutputMetadata.FromString(metadata.read_bytes())
    names = [_text(output.prefix) + _text(name) for output in parsed.output for name in output.name]
    return [inside(root, str(metadata.parent.relative_to(root.resolve()) / name), of=str(metadata)) for name in names]


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
