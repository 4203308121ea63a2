"""Application default credentials for local use, so that unmodified Admin SDK code finds some and never asks the cloud.

The Admin SDKs look for credentials before they look whether there is anybody to show them to. These belong to nobody:
a service account with a key made for this user of this machine, whose token endpoint is the suite's own hub. Signing
works with them. The key is made once, at the first start, and kept where only its user can read it.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

KEY_FILE = "local-service-account.pem"
_FOLDER = "afterimage-emulator"


def service_account(project_id: str, hub_origin: str) -> str:
    """The JSON of a service-account key file that only this suite honours."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": "local",
            "private_key": private_key(),
            "client_email": account_email(project_id),
            "client_id": "0",
            "token_uri": f"{hub_origin}/token",
        }
    )


def account_email(project_id: str) -> str:
    """The local service account's address in this project."""
    return f"local-suite@{project_id}.iam.gserviceaccount.com"


def private_key() -> str:
    """This user's key as PEM; made where there is none yet, or none that only this user can read."""
    refused: list[str] = []
    for folder in _folders():
        kept = folder / KEY_FILE
        with suppress(FileNotFoundError, NotADirectoryError):
            if _is_private(kept):
                return kept.read_text()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_private(folder):
                raise PermissionError("others than this user can write to it")
            return _made(kept)
        except OSError as error:
            refused.append(f"`{folder}` ({error.strerror or error})")
    raise PermissionError(
        f"no place to keep the local key: {', '.join(refused)}; "
        "set XDG_CACHE_HOME to a folder that this user can write to"
    )


def _folders() -> Iterator[Path]:
    """The user's cache folder, then a folder of the user's in the temporary one: an image may have no home."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        yield Path(named) / _FOLDER
    else:
        with suppress(RuntimeError):  # neither HOME nor an entry in the list of users
            home = Path.home()
            yield home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / _FOLDER
    yield Path(tempfile.gettempdir()) / f"{_FOLDER}-{os.getuid()}"


def _is_private(path: Path) -> bool:
    """Whether it is this user's own and nobody else's: an image that root built may be run by another user."""
    found = path.lstat()
    others_may = stat.S_IWGRP | stat.S_IWOTH if stat.S_ISDIR(found.st_mode) else stat.S_IRWXG | stat.S_IRWXO
    return found.st_uid == os.getuid() and not stat.S_ISLNK(found.st_mode) and not found.st_mode & others_may


def _made(kept: Path) -> str:
    """Makes the key in another process, because importing `cryptography` would slow down every later start."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, env={**os.environ}
    )
    if ended.returncode:
        raise RuntimeError(f"cannot make a local key: {ended.stderr.strip()}")
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, suffix=".unfinished") as file:  # 0600 from the beginning
        file.write(ended.stdout)
        file.flush()
        if kept.is_symlink() or (kept.exists() and not _is_private(kept)):
            kept.unlink()
        with suppress(
            FileExistsError
        ):  # another suite that started at the same time was faster: its key is everybody's
            os.link(file.name, kept)
    return kept.read_text()


_PROGRAM = """
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
print(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), end="")
"""
