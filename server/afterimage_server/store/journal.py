"""A second telling of everything that was committed, one line a commit, from which a broken database is made anew.

A line is written in the transaction that it tells of, so lines stand in the order of commits. It is flushed to the disk
now and then and not at each commit: the database is what a power loss leaves whole, and the journal is read only where
that failed. What a killed process wrote and never committed is found when the folder is opened next, by the number of
the last line, and the journal is then written anew.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from afterimage_client.database import FileTransaction
from afterimage_server.store.durable_files import NO_ROOM, flush_folder, write_all
from afterimage_server.store.tables import noted, number_noted

JOURNAL: Final = "commits.log"
SEQUENCE: Final = "sequence"
_SMALLEST_WORTH_REWRITING: Final = 16 * 1024 * 1024
_LINES_TOGETHER: Final = 500
Told = Mapping[str, Sequence[Any]]
"""By table, rows as they stand after a commit: a key, and the columns; no columns where the row is gone."""


@dataclass
class Salvage:
    """What a journal says stands in each table, by key."""

    rows: dict[str, dict[str, list[Any] | None]] = field(default_factory=dict)
    last: int = 0
    torn: int = 0
    """Lines that were cut or changed."""

    def take(self, line: bytes) -> None:
        told = _read(line)
        if told is None:
            self.torn += 1
            return
        self.last = max(self.last, int(told["n"]))
        for table, rows in told["rows"].items():
            held = self.rows.setdefault(table, {})
            for key, columns in rows:
                held[json.dumps(key)] = columns


class Journal:
    """The journal of one folder. Every method but `salvage` is called in a transaction of its database."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL
        self._descriptor: int | None = None
        self._inode = -1
        self._is_dirty = False
        self.has_gap = False
        """Whether a line is missing, because the disk was full."""
        self._size_at_rewriting = 0

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def tell(self, transaction: FileTransaction, rows: Told) -> None:
        number = number_noted(transaction, SEQUENCE) + 1
        noted(transaction, SEQUENCE, number)
        try:
            write_all(self._opened(), _line(number, rows))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            # The commit goes on: on a full disk a delete is what makes room. The journal is begun anew when there is.
            self.has_gap = True
        self._is_dirty = True

    def flush(self) -> None:
        """Has the disk take what was written; a thread of its own calls it, and no transaction waits."""
        descriptor = self._descriptor
        if self._is_dirty and descriptor is not None:
            self._is_dirty = False
            os.fdatasync(descriptor)

    def is_behind(self, transaction: FileTransaction) -> bool:
        """Whether its last line is not of the last commit: of a process that was killed, or of another database."""
        return _last_number(self.path) != number_noted(transaction, SEQUENCE)

    @property
    def has_grown(self) -> bool:
        size = self.path.stat().st_size if self.path.exists() else 0
        return size > max(_SMALLEST_WORTH_REWRITING, 3 * self._size_at_rewriting)

    def rewrite(
        self, transaction: FileTransaction, dump: Callable[[FileTransaction], Iterable[tuple[str, Any]]]
    ) -> None:
        """Begins anew with everything that stands in the database now; in its place at once, or not at all."""
        for left in self.path.parent.glob(f".{JOURNAL}.*"):
            # One at a time begins anew, in a transaction: whoever left it was killed.
            left.unlink(missing_ok=True)
        part = self.path.with_name(f".{JOURNAL}.{secrets.token_hex(6)}")
        number = number_noted(transaction, SEQUENCE)
        try:
            with part.open("xb") as file:
                for rows in _bundled(dump(transaction)):
                    file.write(_line(number, rows))
                file.write(_line(number, {}))
                file.flush()
                os.fsync(file.fileno())
                self._size_at_rewriting = file.tell()
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        os.replace(part, self.path)
        self.has_gap = False
        flush_folder(self.path.parent)

    def salvage(self) -> Salvage:
        found = Salvage()
        if self.path.exists():
            with self.path.open("rb") as file:
                for line in file:
                    if line.strip():
                        found.take(line)
        return found

    def _opened(self) -> int:
        """The file that stands under the name now: another process may have written it anew."""
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            inode = -1
        if self._descriptor is None or inode != self._inode:
            self.close()
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._inode = os.fstat(self._descriptor).st_ino
        return self._descriptor


def text_of(value: str | bytes) -> Any:
    """A stored text for a line: what is sealed are bytes."""
    return value if isinstance(value, str) else {"sealed": base64.b64encode(value).decode()}


def stored_of(told: Any) -> str | bytes:
    return told if isinstance(told, str) else base64.b64decode(told["sealed"])


def _line(number: int, rows: Told) -> bytes:
    text = json.dumps({"n": number, "rows": rows}, separators=(",", ":")).encode()
    # A line break on both sides: what was cut before it stays a line of its own.
    return b"\n%08x %s\n" % (zlib.crc32(text), text)


def _read(line: bytes) -> Any:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(text):
            return None
        return json.loads(text)
    except ValueError:
        return None


def _last_number(path: Path) -> int:
    """The number of the last line; nought where that line cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            reach = 4096
            while True:
                file.seek(max(0, size - reach))
                lines = [line for line in file.read().split(b"\n") if line]
                if len(lines) > 1 or reach >= size:
                    break
                reach *= 8
    except FileNotFoundError:
        return 0
    told = _read(lines[-1]) if lines else None
    return int(told["n"]) if told is not None else 0


def _bundled(rows: Iterable[tuple[str, Any]]) -> Iterator[dict[str, list[Any]]]:
    bundle: dict[str, list[Any]] = {}
    count = 0
    for table, row in rows:
        bundle.setdefault(table, []).append(row)
        count += 1
        if count == _LINES_TOGETHER:
            yield bundle
            bundle, count = {}, 0
    if bundle:
        yield bundle
