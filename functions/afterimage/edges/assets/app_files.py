"""The app's own files: minified where asked, named by their content's digest, and stored where the origin serves them.

    python -m afterimage.edges.assets FOLDER [--minify]

A program for whoever deploys, not for a function: it needs rights to create in the derived bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage.edges.assets.addresses import AppAddress, address_of
from afterimage.edges.assets.origin import APP_TYPES
from afterimage.paths import app_file_path
from afterimage.store.documents import ConflictError, Expect
from afterimage.store.files import FileAbout, FileStore

MINIFIED: Final[Mapping[str, str]] = {
    "css": "text/css",
    "html": "text/html",
    "js": "application/javascript",
    "json": "application/json",
    "mjs": "application/javascript",
    "svg": "image/svg+xml",
}
"""Endings that are minified, and what they are to the library that does it."""


class AppFileError(ValueError):
    """A file that cannot be published as the app's own: which, why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppFile:
    """One file as it will be served."""

    name: str
    data: bytes
    original_size: int

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:16]

    @property
    def address(self) -> str:
        return f"/app/{self.digest}/{self.name}"


def app_files_in(folder: Path, *, minified: bool) -> Iterator[AppFile]:
    """Every file of a folder, in the order of names, and nothing beneath it; AppFileError for the first bad one."""
    if not folder.is_dir():
        raise AppFileError(f"`{folder}` is no folder; name the one that holds the app's files")
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        ending = path.suffix.removeprefix(".")
        if ending not in APP_TYPES:
            known = ", ".join(sorted(APP_TYPES))
            raise AppFileError(f"`{path.name}` has an ending that is not served; known are {known}")
        data = path.read_bytes()
        made = minify_file(path.name, data) if minified and ending in MINIFIED else data
        file = AppFile(name=path.name, data=made, original_size=len(data))
        if not isinstance(address_of(file.address), AppAddress):
            raise AppFileError(f"`{path.name}` cannot stand in an address; use letters, digits, `.`, `_` and `-`")
        yield file


def minify_file(name: str, data: bytes) -> bytes:
    """The same program or drawing in fewer bytes; never more. What cannot be read is refused by name, not published."""
    try:
        import minify
    except ImportError as error:
        raise AppFileError("minifying needs tdewolff-minify: `pip install tdewolff-minify`") from error
    try:
        text = data.decode("utf-8")
        made: str = minify.string(MINIFIED[name.rpartition(".")[2]], text)
    except (UnicodeDecodeError, minify.MinifyError) as error:
        raise AppFileError(f"`{name}` cannot be minified: {error}") from error
    smaller = made.encode()
    return smaller if len(smaller) < len(data) else data


def store_app_file(files: FileStore, bucket: str, file: AppFile) -> bool:
    """Stores a file where there is none under its digest; says whether it was new."""
    about = FileAbout(
        content_type=APP_TYPES[file.name.rpartition(".")[2]], cache_control="public, max-age=31536000, immutable"
    )
    try:
        files.write(bucket, app_file_path(file.digest, file.name), file.data, about, expected=Expect.ABSENT)
    except ConflictError:
        return False
    return True
