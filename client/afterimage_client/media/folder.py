"""Owns where a store's files lie: in a folder of its own, which its user alone may read and no other store sweeps.

A store keeps the name of its folder, so that every program that opens it finds the same one. A folder that was new or
empty when a store took it bears the store's mark; only there may a repair remove what the store does not know.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from afterimage_client.database.errors import StoreError
from afterimage_client.store.store import Store

FOLDER: Final = "media_cache"
MARK: Final = ".store"
_SETTING: Final = "media_folder"


class MediaFolder:
    """`media_cache/{replica}` beside the store, or the folder that a program names."""

    def __init__(self, store: Store, asked: Path | str | None = None) -> None:
        self._store = store
        self._beside = Path(store.database.path).absolute().parent
        kept = store.database.row("SELECT value FROM settings WHERE name = ?", (_SETTING,))
        if asked is not None:
            self.path = Path(asked).absolute()
        elif kept is not None:
            self.path = self._beside / kept[0]
        else:
            # Files of before lie in the folder itself, side by side with those of other stores.
            is_old = store.database.row("SELECT 1 FROM media_files LIMIT 1") is not None
            self.path = self._beside / FOLDER if is_old else self._beside / FOLDER / store.replica
        self._refuse_anothers()
        name = str(self.path.relative_to(self._beside) if self.path.is_relative_to(self._beside) else self.path)
        if kept is None or kept[0] != name:
            with store.database.transaction() as transaction:
                transaction.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (_SETTING, name))

    def claim(self) -> None:
        """Makes the folder; one that is new or empty is this store's from now on."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise StoreError(f"`{os.fspath(self.path)}` is no folder: name another one for the files") from error
        self._refuse_anothers()
        # A mark that was half-way when its process ended is no content.
        if self._owner() is None and all(each.name.startswith(MARK) for each in self.path.iterdir()):
            mark = self.path / f"{MARK}-{secrets.token_hex(8)}"
            mark.write_text(self._store.replica, encoding="utf-8")
            mark.replace(self.path / MARK)

    def is_ours(self) -> bool:
        """Whether nobody but this store keeps files here."""
        return self._owner() == self._store.replica

    def _owner(self) -> str | None:
        try:
            return (self.path / MARK).read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _refuse_anothers(self) -> None:
        if self._owner() not in (None, self._store.replica):
            raise StoreError(
                f"`{os.fspath(self.path)}` keeps the files of another store: give each store a folder of its own"
            )
