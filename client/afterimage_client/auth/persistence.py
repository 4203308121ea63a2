"""Owns where a session is kept between runs: the system's keyring, a file that only its owner can read, or nowhere."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import secrets
import sys
from pathlib import Path
from typing import Any, Protocol

from afterimage_client.errors import AuthError
from afterimage_client.options import FirebaseOptions

_SERVICE = "afterimage-client"


class SessionStore(Protocol):
    """Keeps one text. Called in a thread: keyrings may wait for a person."""

    def load(self) -> str | None: ...

    def save(self, text: str) -> None: ...

    def clear(self) -> None: ...


class MemoryStore:
    """Forgets everything when the program ends."""

    def __init__(self) -> None:
        self._text: str | None = None

    def load(self) -> str | None:
        return self._text

    def save(self, text: str) -> None:
        self._text = text

    def clear(self) -> None:
        self._text = None


class FileStore:
    """One file with mode 0600, replaced as a whole: a crash leaves the old one or the new one."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def load(self) -> str | None:
        try:
            with self.path.open(encoding="utf-8") as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                    raise AuthError(
                        "unsafe-session-file",
                        f"others may read `{self.path}`, which signs in as its user",
                        way_out=f"delete it and sign in again, or `chmod 600 {self.path}`",
                    )
                return file.read()
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            return None

    def save(self, text: str) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)


class KeyringStore:
    """The system's keyring, by the package `keyring` (`pip install afterimage-client[keyring]`)."""

    def __init__(self, account: str, *, keyring: Any = None) -> None:
        self._account = account
        self._keyring = keyring if keyring is not None else importlib.import_module("keyring")

    def load(self) -> str | None:
        found = self._keyring.get_password(_SERVICE, self._account)
        return found if isinstance(found, str) else None

    def save(self, text: str) -> None:
        self._keyring.set_password(_SERVICE, self._account, text)

    def clear(self) -> None:
        if self.load() is not None:
            self._keyring.delete_password(_SERVICE, self._account)


def default_store(options: FirebaseOptions) -> SessionStore:
    """The keyring where one works, else the file. Users of emulators are kept apart from those of production."""
    account = _account(options)
    if importlib.util.find_spec("keyring") is not None:
        keyring = importlib.import_module("keyring")
        with contextlib.suppress(Exception):  # a keyring that cannot say whether it works does not
            if keyring.get_keyring().priority >= 1:
                return KeyringStore(account, keyring=keyring)
    return FileStore(data_folder() / "sessions" / f"{account}.json")


def data_folder() -> Path:
    """Where this user's programs keep their data, by the system's custom."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Application Support")
    else:
        base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / _SERVICE


def _account(options: FirebaseOptions) -> str:
    emulator = os.environ.get("FIREBASE_AUTH_EMULATOR_HOST", "")
    told_apart = "\0".join((options.project_id, options.api_key, options.name, emulator))
    return f"{options.project_id}-{hashlib.sha256(told_apart.encode()).hexdigest()[:16]}"
