"""What no site is served, whatever `ignore` says: a working folder holds keys and sources beside its pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from afterimage_emulator.hosting.content_types import content_type
from afterimage_emulator.wire.link_free_files import open_below

_KEYS: Final = frozenset(
    {".env", ".jks", ".key", ".keystore", ".p12", ".pem", ".pfx", ".pkcs12", ".ppk", ".kdbx", ".asc", ".gpg"}
    | {".p8", ".pk8", ".der", ".jwk"}
)
_KEY_NAMES: Final = re.compile(
    r"id_(?:rsa|dsa|ecdsa|ed25519)(?:\.pub)?|credentials\.db|application_default_credentials\.json|_netrc"
    r"|secrets?\.(?:json|ya?ml|toml|ini|txt)"
    # Settings of an environment, but for those that pages load.
    r"|(?:.*\.)?env(?:\.(?!m?js$|json$).*)?"
)
_SOURCES: Final = re.compile(
    r"firebase\.json|.*\.rules|firestore\.indexes\.json|database\.rules\.json"
    r"|(?:firebase|firestore|database|pubsub|ui|dataconnect)-debug(?:\..*)?\.log"
)
_EXPORT: Final = "firebase-export-metadata.json"
_COPY: Final = re.compile(r"(?:~|\.(?:bak|backup|old|orig|save|saved|copy|tmp|swp|\d{1,8}))$")
"""What editors and people put behind the name of a file when they keep another version of it."""
_FUNCTIONS_BESIDE_PAGES: Final = re.compile(r".*\.py[cid]?|requirements.*\.txt|constraints.*\.txt|pyproject\.toml")
_MAY_SPEAK_OF_KEYS: Final = frozenset({".html", ".htm", ".xhtml", ".js", ".mjs", ".cjs", ".css", ".map", ".md"})
"""Pages and scripts contain the first line of a key where they explain or read one."""
_MEDIA: Final = ("image/", "audio/", "video/", "font/")
_MARKS: Final = (b"PRIVATE KEY-----", b'"private_key"', b'"client_secret"')
_LOOKED_AT_BYTES: Final = 1024 * 1024
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
        name = _without_copy_mark(names[-1].casefold())
        if Path(name).suffix in _KEYS or _KEY_NAMES.fullmatch(name):
            return "it may hold a key"
        if _SOURCES.fullmatch(name) or file in self._files:
            return "it belongs to the project, not to its site"
        for folder in self._folders:
            if folder == public:  # then pages and code lie side by side, and only the names tell them apart
                if _FUNCTIONS_BESIDE_PAGES.fullmatch(name):
                    return "it is code of functions"
            elif folder.is_relative_to(public) and file.is_relative_to(folder):
                return "it is code of functions"
        if any((folder / _EXPORT).exists() for folder in file.parents if folder.is_relative_to(public)):
            return "it is part of an export of the suite's data"
        if _may_hold_key(name) and _holds_private_key(file, public):
            return "it holds a private key"
        return None


def _without_copy_mark(name: str) -> str:
    while (mark := _COPY.search(name)) and mark.start() > 0:
        name = name[: mark.start()]
    return name


def _may_hold_key(name: str) -> bool:
    kind = content_type(name)
    return Path(name).suffix not in _MAY_SPEAK_OF_KEYS and (not kind.startswith(_MEDIA) or name.endswith(".ts"))


def _holds_private_key(file: Path, public: Path) -> bool:
    with open_below(public, file) as opened:
        content = opened.read(_LOOKED_AT_BYTES) or b""
    narrow = content.replace(b"\0", b"")  # UTF-16, as shells of Windows write it
    return any(mark in narrow for mark in _MARKS)
