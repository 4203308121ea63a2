"""The names of databases, collections and documents: reading, checking and ordering them.

Inside a database, documents and collections go by the path behind `/documents/`: `rooms/blue/messages/1`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.status import Code, StatusError

MAXIMUM_ID_BYTES: Final = 1500
MAXIMUM_PATH_BYTES: Final = 6 * 1024
MAXIMUM_DEPTH: Final = 100
_DATABASE: Final = re.compile(r"projects/([^/]+)/databases/([^/]+)")
_PERHAPS_BAD: Final = frozenset({"", ".", "_"})
"""How an id begins that is empty, a dot or perhaps reserved."""
_NUMERIC_ID: Final = re.compile(r"__id(-?\d{1,19})__")

IdKey = tuple[int, int | str]
"""Orders ids as Firestore does: `__id7__` by its number and first, then the others by their UTF-8 bytes."""


@dataclass(frozen=True, slots=True)
class DatabaseName:
    """One database of one project."""

    project: str
    database: str = "(default)"
    documents: str = field(init=False, compare=False, repr=False)
    """What the names of all its documents begin with, without the slash; kept, since every name is held against it."""
    documents_prefix: str = field(init=False, compare=False, repr=False)
    """That with the slash behind it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "documents", f"{self}/documents")
        object.__setattr__(self, "documents_prefix", f"{self}/documents/")

    def __str__(self) -> str:
        return f"projects/{self.project}/databases/{self.database}"


@functools.lru_cache(maxsize=1024)
def parse_database(name: str) -> DatabaseName:
    matched = _DATABASE.fullmatch(name)
    if matched is None:
        raise invalid_argument(
            f"`{name}` is no database name; it has the form projects/{{project_id}}/databases/{{database_id}}"
        )
    return DatabaseName(matched[1], matched[2])


def split_name(name: str) -> tuple[DatabaseName, str]:
    """The database, and the path behind `/documents` (empty for the root)."""
    parts = name.split("/", 5)
    if len(parts) < 5 or parts[0] != "projects" or parts[2] != "databases" or parts[4] != "documents":
        raise invalid_argument(
            f"`{name}` is no resource name; it has the form "
            "projects/{project_id}/databases/{database_id}/documents/{document_path}"
        )
    if not parts[1] or not parts[3]:
        raise invalid_argument(f"`{name}` names no project or no database")
    return DatabaseName(parts[1], parts[3]), parts[5] if len(parts) == 6 else ""


def document_path(name: str, database: DatabaseName) -> str:
    """The checked path of a document that must lie in this database."""
    prefix = database.documents_prefix
    if name.startswith(prefix):
        path = name[len(prefix) :]
    else:
        other, path = split_name(name)
        if other != database:
            raise invalid_argument(f"`{name}` lies in another database than the request's, `{database}`")
    check_document_path(path, name)
    return path


def check_document_path(path: str, name: str) -> None:
    collection, _, document_id = path.rpartition("/")
    if not _is_collection_path(collection):
        _explain_bad_path(path, name)
    if document_id[:1] in _PERHAPS_BAD or len(document_id) > MAXIMUM_ID_BYTES // 4:
        check_id(document_id)
    if len(name) > MAXIMUM_PATH_BYTES // 4 and len(name.encode()) > MAXIMUM_PATH_BYTES:
        raise invalid_argument(f"The name of the document is longer than {MAXIMUM_PATH_BYTES} bytes.")


@functools.lru_cache(maxsize=4096)
def _is_collection_path(path: str) -> bool:
    """Whether this is a valid collection path; raises for an id that is itself wrong."""
    segments = path.split("/")
    if len(segments) % 2 == 0 or "" in segments:
        return False
    if len(segments) > 2 * MAXIMUM_DEPTH:
        raise invalid_argument(f"`{path[:60]}…` is nested deeper than {MAXIMUM_DEPTH} collections")
    for segment in segments:
        check_id(segment)
    return True


def _explain_bad_path(path: str, name: str) -> None:
    segments = path.split("/")
    if "" in segments:
        raise invalid_argument(
            f'Document name "{name}" has an empty segment: collection and document ids must not be empty.'
        )
    raise invalid_argument(
        f'Document name "{name}" has an odd number of segments behind /documents: it names a collection, '
        "and a document id must follow."
    )


def check_id(segment: str) -> None:
    """An id of a document or collection: not empty, not a dot, not reserved, at most 1,500 bytes."""
    if segment.startswith("__") and segment.endswith("__") and not _NUMERIC_ID.fullmatch(segment):
        raise invalid_argument(f'Resource id "{segment}" is invalid because it is reserved.')
    if segment in ("", ".", ".."):
        raise invalid_argument(f'Resource id "{segment}" is invalid: an id must not be empty, "." or "..".')
    if len(segment) > MAXIMUM_ID_BYTES // 4 and len(segment.encode()) > MAXIMUM_ID_BYTES:
        raise invalid_argument(f'Resource id "{segment[:40]}…" is longer than {MAXIMUM_ID_BYTES} bytes.')


def check_collection_id(collection_id: str) -> None:
    if "/" in collection_id:
        raise invalid_argument(f'Collection id "{collection_id}" is invalid because it contains "/".')
    check_id(collection_id)


def parse_parent(name: str) -> tuple[DatabaseName, str]:
    """A parent for listing or querying: the documents root (an empty path) or a document."""
    if _DATABASE.fullmatch(name):
        return parse_database(name), ""
    database, path = split_name(name)
    if path:
        check_document_path(path, name)
    return database, path


def collection_under(parent: str, collection_id: str) -> str:
    return f"{parent}/{collection_id}" if parent else collection_id


def id_key(document_id: str) -> IdKey:
    if document_id.startswith("__id"):
        matched = _NUMERIC_ID.fullmatch(document_id)
        if matched is not None:
            return (0, int(matched[1]))
    return (1, document_id)


def path_key(path: str) -> tuple[IdKey, ...]:
    """Orders whole paths segment by segment."""
    return tuple(id_key(segment) for segment in path.split("/"))


def invalid_argument(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)
