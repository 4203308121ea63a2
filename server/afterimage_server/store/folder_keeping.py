"""What is done to files in a folder after they were acknowledged: packed, let go of, swept, counted again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage.artifacts.file_types import PACKABLE
from afterimage.store.files import StoredFile
from afterimage_client.database import FileTransaction
from afterimage_server.store.durable_files import flush_folder
from afterimage_server.store.folder_files import FILE_COLUMNS, FolderFiles, name_of_bytes, row_told
from afterimage_server.store.held_bytes import PIECE_BYTES, foot_of, read_held, would_pay, write_held
from afterimage_server.store.local_documents import told_apart

PACKS_FROM_BYTES: Final = 1024
_SAMPLE_BYTES: Final = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class FolderKeeping:
    """Looks after the files of one machine."""

    files: FolderFiles

    def unsettled(self, limit: int) -> list[str]:
        """Contents that nobody has tried to pack yet."""
        rows = self.files.database.rows("SELECT id FROM held WHERE state = 'new' LIMIT ?", (limit,))
        return [row[0] for row in rows]

    def settle(self, held: str) -> bool:
        """Packs one content where that pays; readers find it before and after. False where it stays as it is."""
        found = self.files.database.row(f"SELECT {FILE_COLUMNS} FROM files WHERE held = ? LIMIT 1", (held,))
        path = self.files.path_of(held)
        if found is None or not path.exists():
            return False
        about, vault = self.files.about_of(found), self.files.vault
        foot = foot_of(path, vault)
        may_pack = foot.size > PACKS_FROM_BYTES and about["content_type"] in PACKABLE and not about["content_encoding"]
        if foot.packed is not None or not may_pack or not would_pay(read_held(path, vault, 0, _SAMPLE_BYTES)):
            with told_apart(), self.files.database.transaction() as transaction:
                transaction.execute("UPDATE held SET state = 'settled' WHERE id = ? AND state = 'new'", (held,))
            return False
        another = name_of_bytes()
        packed = self.files.path_of(another)
        with self.files.room():
            write_held(packed, self._pieces(path, foot.size), foot.about, vault, packs=True)
            flush_folder(packed.parent)
        with told_apart(), self.files.database.transaction() as transaction:
            is_moved = self._moved(transaction, held, another, packed.stat().st_size)
        if not is_moved:
            packed.unlink(missing_ok=True)
        return is_moved

    def send_away(self, file: StoredFile) -> bool:
        """Lets go of the bytes of a file that are kept elsewhere too; its row stays. False where others need them."""
        with told_apart(), self.files.database.transaction() as transaction:
            row = self.files.row_of(transaction, file.bucket, file.name)
            if row is None or row[2] != file.generation:
                return False
            names = transaction.row("SELECT count(*) FROM files WHERE held = ?", (row[7],))
            held = transaction.row("SELECT bytes, state FROM held WHERE id = ?", (row[7],))
            if names != (1,) or held is None or held[1] == "away":
                return False
            transaction.execute("UPDATE held SET state = 'away', bytes = 0 WHERE id = ?", (row[7],))
            self.files.count(transaction, -held[0])
            transaction.after_commit(lambda: self.files.path_of(row[7]).unlink(missing_ok=True))
        return True

    def sweep(self, *, older_than_seconds: float = 0.0) -> int:
        """Deletes what killed processes left, which belongs to no row; younger ones may be another process's work."""
        known = {row[0] for row in self.files.database.rows("SELECT id FROM held WHERE state != 'away'")}
        left = [path for path in self.laid_down() if path.name not in known]
        left += [path for path in self.files.parts.iterdir() if path.is_file()]
        before = time.time() - older_than_seconds
        swept = 0
        for path in left:
            try:
                if path.stat().st_mtime <= before:
                    path.unlink()
                    swept += 1
            except FileNotFoundError:
                continue
        return swept

    def laid_down(self) -> Iterator[Path]:
        """Every file of contents that lies in the folder."""
        for inner in sorted((self.files.folder / "files").iterdir()):
            yield from sorted(inner.iterdir())

    def check_invariants(self) -> list[str]:
        """Every fault of what is stored, each naming its file."""
        database = self.files.database
        faults = []
        counted = 0
        for held, size, state, names in database.rows(
            "SELECT h.id, h.bytes, h.state, (SELECT count(*) FROM files WHERE held = h.id) FROM held h"
        ):
            counted += size
            path = self.files.path_of(held)
            if not names:
                faults.append(f"`{held}` is kept and nothing names it")
            if state != "away" and (not path.exists() or path.stat().st_size != size):
                faults.append(f"`{held}` is not on the disk with {size} bytes")
        if counted != self.files.bytes_held():
            faults.append(f"{counted} bytes are held and {self.files.bytes_held()} counted")
        for bucket, name, held in database.rows(
            "SELECT bucket, name, held FROM files WHERE held NOT IN (SELECT id FROM held)"
        ):
            faults.append(f"`{bucket}/{name}` means `{held}`, which is not kept")
        known = {row[0] for row in database.rows("SELECT id FROM held WHERE state != 'away'")}
        faults += [f"`{path.name}` lies there and is not kept" for path in self.laid_down() if path.name not in known]
        return faults

    def _pieces(self, path: Path, size: int) -> Iterator[bytes]:
        for start in range(0, size, PIECE_BYTES):
            yield read_held(path, self.files.vault, start, start + PIECE_BYTES)

    def _moved(self, transaction: FileTransaction, held: str, another: str, size: int) -> bool:
        """Has every name that meant one content mean the other; False where no name does any more."""
        old = transaction.row("SELECT used FROM held WHERE id = ? AND state = 'new'", (held,))
        if old is None:
            return False
        transaction.execute("INSERT INTO held VALUES (?, ?, 'settled', ?)", (another, size, old[0]))
        self.files.count(transaction, size)
        rows = transaction.rows(f"UPDATE files SET held = ? WHERE held = ? RETURNING {FILE_COLUMNS}", (another, held))
        self.files.journal.tell(transaction, {"files": [[[row[0], row[1]], row_told(row)] for row in rows]})
        self.files.let_go(transaction, held)
        return True
