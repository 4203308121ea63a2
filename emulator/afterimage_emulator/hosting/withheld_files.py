"""What no site is served, whatever `ignore` says: a working folder holds keys and sources beside its pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_KEYS: Final = frozenset(
    {".env", ".jks", ".key", ".keystore", ".p12", ".pem", ".pfx", ".pkcs12", ".ppk", ".kdbx", ".asc", ".gpg"}
)
_KEY_NAMES: Final = re.compile(
    r"id_(?:rsa|dsa|ecdsa|ed25519)(?:\.pub)?|credentials\.db|application_default_credentials\.json"
)
_SOURCES: Final = re.compile(
    r"firebase\.json|.*\.rules|firestore\.indexes\.json|database\.rules\.json"
    r"|(?:firebase|firestore|database|pubsub|ui|dataconnect)-debug(?:\..*)?\.log"
)
_EXPORT: Final = "firebase-export-metadata.json"
_TOLD_BY_CONTENT: Final = frozenset({"", ".json", ".txt", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".bak"})
_PRIVATE_KEY: Final = re.compile(rb'PRIVATE KEY-----|"private_key"\s*:')
_LOOKED_AT_BYTES: Final = 64 * 1024
_PUBLIC_DOT_FOLDER: Final = ".well-known"


class WithheldFiles:
    """`files` and `folders` are what the project itself names: its rules, indexes, and the sources of its functions."""

    def __init__(self, files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
        self._files = frozenset(file.resolve() for file in files)
        self._folders = tuple(folder.resolve() for folder in folders)

    def reason(self, file: Path, public: Path) -> str | None:
        """Why a file of the public folder (both resolved) is kept back; None for one that may be served."""
        names = file.relative_to(public).parts
        below = names[1:] if names[0] == _PUBLIC_DOT_FOLDER else names
        hidden = [name for name in below if name.startswith(".")]
        if hidden:
            return f"the name `{hidden[0]}` begins with a dot"
        name = names[-1].casefold()
        if Path(name).suffix in _KEYS or _KEY_NAMES.fullmatch(name):
            return "it may hold a key"
        if _SOURCES.fullmatch(name) or file in self._files:
            return "it belongs to the project, not to its site"
        for folder in self._folders:
            if folder != public and folder.is_relative_to(public) and file.is_relative_to(folder):
                return "it is code of functions"
        if any((folder / _EXPORT).exists() for folder in file.parents if folder.is_relative_to(public)):
            return "it is part of an export of the suite's data"
        if Path(name).suffix in _TOLD_BY_CONTENT and _holds_private_key(file):
            return "it holds a private key"
        return None


def _holds_private_key(file: Path) -> bool:
    with file.open("rb") as opened:
        return _PRIVATE_KEY.search(opened.read(_LOOKED_AT_BYTES)) is not None
