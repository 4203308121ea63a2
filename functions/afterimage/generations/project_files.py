"""Files of a project: their names made safe or refused, and the one archive that the same files always make. Pure."""

from __future__ import annotations

import gzip
import io
import tarfile
import unicodedata
from collections.abc import Mapping
from typing import Final

from afterimage.generations.faults import UnusableProjectError

MOST_FILES: Final = 500
MOST_FILE_BYTES: Final = 1024 * 1024
MOST_PROJECT_BYTES: Final = 10 * 1024 * 1024
MOST_SEGMENT_BYTES: Final = 120
MOST_NAME_BYTES: Final = 400
_RESERVED: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
)
"""Names that are devices where Windows unpacks the archive."""


def checked_files(files: Mapping[str, str]) -> dict[str, bytes]:
    """The files in the order of their names, each under a name that stays inside the folder it is unpacked in."""
    if not files:
        raise UnusableProjectError("the generator made no file")
    if len(files) > MOST_FILES:
        raise UnusableProjectError(f"{len(files)} files are too many; a project has {MOST_FILES} at most")
    found: dict[str, bytes] = {}
    folded: dict[str, str] = {}
    total = 0
    for given, text in files.items():
        name = safe_name(given)
        data = text.encode("utf-8", "replace")
        total += len(data)
        if len(data) > MOST_FILE_BYTES or total > MOST_PROJECT_BYTES:
            raise UnusableProjectError(f"`{name}` is too large, or the project is")
        other = folded.setdefault(name.casefold(), name)
        if name in found or other != name:
            raise UnusableProjectError(f"`{name}` and `{other}` are one file where capitals do not count")
        found[name] = data
    for name in found:
        parts = name.casefold().split("/")
        for length in range(1, len(parts)):
            if "/".join(parts[:length]) in folded:
                raise UnusableProjectError(f"`{name}` lies in a file")
    return dict(sorted(found.items()))


def safe_name(given: str) -> str:
    """A name with slashes between its parts and without a leading `./`; UnusableProjectError for any that leads out."""
    name = unicodedata.normalize("NFC", given).replace("\\", "/")
    while name.startswith("./"):
        name = name[2:]
    shown = given[:80]
    if not name or name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        raise UnusableProjectError(f"`{shown}` is no name inside a project")
    if any(unicodedata.category(character).startswith("C") for character in name):
        raise UnusableProjectError(f"`{shown!r}` holds a character that cannot be shown")
    for part in name.split("/"):
        if part in {"", ".", ".."} or part.endswith((" ", ".")) or part.startswith(" "):
            raise UnusableProjectError(f"`{shown}` has a part that leads elsewhere")
        if part.partition(".")[0].casefold() in _RESERVED or any(character in '<>:"|?*' for character in part):
            raise UnusableProjectError(f"`{shown}` has a part that not every system can store")
        if len(part.encode()) > MOST_SEGMENT_BYTES:
            raise UnusableProjectError(f"`{shown}` has a part of more than {MOST_SEGMENT_BYTES} bytes")
    if len(name.encode()) > MOST_NAME_BYTES:
        raise UnusableProjectError(f"`{shown}` is longer than {MOST_NAME_BYTES} bytes")
    return name


def archive_of(files: Mapping[str, bytes]) -> bytes:
    """A tar.gz of plain files; the same files give the same bytes, whenever and wherever it is made."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o644, 0
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(packed.getvalue(), compresslevel=6, mtime=0)


def files_in(archive: bytes) -> dict[str, bytes]:
    """The files of an archive that `archive_of` made; never more than a project may have."""
    found: dict[str, bytes] = {}
    with gzip.open(io.BytesIO(archive)) as unpacked:
        # The limit of a project, and what tar adds for each file.
        data = unpacked.read(MOST_PROJECT_BYTES + MOST_FILES * 4096)
        if unpacked.read(1):
            raise UnusableProjectError("the archive is larger than a project may be")
    with tarfile.open(fileobj=io.BytesIO(data)) as packed:
        for entry in packed:
            content = packed.extractfile(entry) if entry.isfile() else None
            if content is not None:
                found[safe_name(entry.name)] = content.read()
    return found
