"""The folder that `--data` names: whose it is, what format it has, and which files in it are in force.

format              what wrote it; a newer format than this suite's is refused
lock                held by the suite that uses it
state-0000000002    everything as it was when journal 2 was begun
journal-0000000002  what came since
storage             the bytes of objects, as Storage names them
importing           there while an import is not finished
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.durable.disk import sync_file, sync_folder

FORMAT: Final = 1
_FORMAT_LINE: Final = re.compile(r"afterimage-emulator data, format (\d{1,9})\n")
_FILE: Final = re.compile(r"(state|journal)-(\d{10})")


_log = logging.getLogger("afterimage_emulator.data")


class DataFolder:
    """Opened for one suite alone, until it is closed."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError for a folder that cannot be used, before anything in it is changed."""
        self.path = path.resolve()
        self._lock: IO[str] | None = None
        self.is_new = False
        """Whether no suite used it before."""
        try:
            self._open()
        except OSError as error:
            raise ConfigurationError(f"`{path}` cannot keep data: {error.strerror or error}") from None

    def _open(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = self.path / "format"
        if not written.exists() and any(found.name != "lock" for found in self.path.iterdir()):
            raise ConfigurationError(f"`{self.path}` is not empty and holds no data of a suite; choose another folder")
        self._check_format(written)
        self.path.chmod(0o700)  # documents and accounts are nobody else's
        self._take_lock()
        if self._importing.exists():
            _log.warning("the import into `%s` was not finished, so that it begins anew", self.path)
            self._empty()
        self.is_new = not written.exists()
        if self.is_new:
            with written.open("w") as file:
                file.write(f"afterimage-emulator data, format {FORMAT}\n")
                file.flush()
                sync_file(file.fileno())
            sync_folder(self.path)

    def _check_format(self, written: Path) -> None:
        if not written.exists():
            return
        found = _FORMAT_LINE.fullmatch(written.read_text("utf-8", "replace"))
        if found is None:
            raise ConfigurationError(f"`{written}` does not say which format the data have; nothing was changed")
        if int(found[1]) > FORMAT:
            raise ConfigurationError(
                f"`{self.path}` has format {found[1]}, which a newer afterimage-emulator wrote; this one reads format "
                f"{FORMAT}: upgrade it, or choose another folder"
            )

    def _take_lock(self) -> None:
        lock = (self.path / "lock").open("a+")
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read(20).strip()
                lock.close()
                raise ConfigurationError(
                    f"`{self.path}` is in use by another suite (process {holder}); stop that, or choose another folder"
                ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _empty(self) -> None:
        """Half an import is nothing that anybody was told to be kept."""
        for found in self.path.iterdir():
            if found.name not in ("lock", self._importing.name):
                shutil.rmtree(found) if found.is_dir() else found.unlink()
        self._importing.unlink()

    @property
    def _importing(self) -> Path:
        return self.path / "importing"

    @contextmanager
    def importing(self) -> Iterator[None]:
        """Whatever ends the suite meanwhile, the next start begins anew."""
        self._importing.touch()
        sync_folder(self.path)
        yield
        self._importing.unlink()
        sync_folder(self.path)

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- files

    def state(self, number: int) -> Path:
        return self.path / f"state-{number:010d}"

    def journal(self, number: int) -> Path:
        return self.path / f"journal-{number:010d}"

    def files_of(self, service: str) -> Path:
        """Where a service keeps files of its own, beside its records."""
        return self.path / service

    def in_force(self) -> tuple[Path | None, list[int]]:
        """The newest state, and the numbers of the journals since, oldest first."""
        found: dict[str, list[int]] = {"state": [], "journal": []}
        for file in self.path.iterdir():
            named = _FILE.fullmatch(file.name)
            if named is not None:
                found[named[1]].append(int(named[2]))
        newest = max(found["state"], default=0)
        journals = sorted(number for number in found["journal"] if number >= newest)
        return (self.state(newest) if newest else None), journals

    def remove_before(self, number: int) -> None:
        """What a newer state has taken the place of, and what was never finished."""
        for file in self.path.iterdir():
            named = _FILE.fullmatch(file.name.removesuffix(".unfinished"))
            if named is not None and (int(named[2]) < number or file.name.endswith(".unfinished")):
                file.unlink()
