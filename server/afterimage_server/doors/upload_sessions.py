"""Uploads in pieces: a session takes bytes in their order, survives a restart, and becomes a file when it has all.

A session is a file of bytes beside a file that says what it is to become. How far it has come is the length of the
first, so nothing can say otherwise. Whoever has a session's name may send to it; the name is random.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from afterimage.paths import parse_artifact_file
from afterimage.store.documents import Expect
from afterimage.store.files import FileAbout, StoredFile
from afterimage_server.store.durable_files import write_all, write_durably
from afterimage_server.store.folder_files import FolderFiles
from afterimage_server.store.held_bytes import PIECE_BYTES

KEPT_SECONDS: Final = 7 * 86_400
_NAME: Final = re.compile(r"[0-9a-f]{48}")


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadSession:
    """What a session is to become."""

    id: str
    bucket: str
    name: str
    size: int
    content_type: str
    began: float
    generation: int = 0
    """Of the file that it became; nought while it has not."""


class OutOfOrderError(Exception):
    """The bytes do not follow those that have come; `received` says how many have."""

    def __init__(self, received: int) -> None:
        super().__init__(f"{received} bytes have come")
        self.received = received


class EndedError(Exception):
    """The session has ended meanwhile: nothing of what was sent is kept."""


class TooManyBytesError(Exception):
    """More bytes came than were announced: none of them are kept."""


class UploadSessions:
    """The sessions of one folder."""

    def __init__(self, files: FolderFiles, *, clock: Callable[[], float] = time.time) -> None:
        self._files = files
        self._folder = files.folder / "uploads"
        self._folder.mkdir(exist_ok=True)
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[str] = set()

    def begin(self, bucket: str, name: str, *, size: int, content_type: str) -> UploadSession:
        session = UploadSession(
            id=secrets.token_hex(24),
            bucket=bucket,
            name=name,
            size=size,
            content_type=content_type,
            began=self._clock(),
        )
        write_durably(self._folder / f"{session.id}.json", json.dumps(asdict(session)).encode())
        return session

    def find(self, identifier: str) -> UploadSession | None:
        if _NAME.fullmatch(identifier) is None:
            return None
        try:
            return UploadSession(**json.loads((self._folder / f"{identifier}.json").read_bytes()))
        except FileNotFoundError:
            return None

    def received(self, session: UploadSession) -> int:
        part = self._part(session)
        return part.stat().st_size if part.exists() else 0

    @contextmanager
    def alone(self, session: UploadSession) -> Iterator[bool]:
        """One request at a time sends to a session; False for any other."""
        with self._lock:
            is_free = session.id not in self._busy
            self._busy.add(session.id)
        try:
            yield is_free
        finally:
            if is_free:
                with self._lock:
                    self._busy.discard(session.id)

    def take(self, session: UploadSession, start: int, body: BinaryIO) -> int:
        """Adds bytes that begin at `start`; returns how many have come in all. What a cut leaves is kept."""
        received = self.received(session)
        if start != received:
            raise OutOfOrderError(received)
        descriptor = os.open(self._part(session), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if self.find(session.id) is None:
                # Forgotten since it was looked for: nobody would look for these bytes.
                self._part(session).unlink(missing_ok=True)
                raise EndedError
            while data := body.read(PIECE_BYTES):
                if received + len(data) > session.size:
                    os.ftruncate(descriptor, start)
                    raise TooManyBytesError
                write_all(descriptor, data)
                received += len(data)
        finally:
            os.close(descriptor)
        return received

    def finish(self, session: UploadSession) -> StoredFile:
        """Makes the file; ConflictError where there is one of its name already."""
        about = FileAbout(content_type=session.content_type)
        stored = self._files.write_pieces(
            session.bucket, session.name, lambda: self._pieces(session), about, expected=Expect.ABSENT
        )
        # Kept for a week without its bytes: whoever did not hear the last answer may ask for it.
        done = replace(session, generation=stored.generation)
        write_durably(self._folder / f"{session.id}.json", json.dumps(asdict(done)).encode())
        self._part(session).unlink(missing_ok=True)
        return stored

    def forget(self, session: UploadSession) -> None:
        (self._folder / f"{session.id}.json").unlink(missing_ok=True)
        self._part(session).unlink(missing_ok=True)

    def forget_user(self, user: str) -> None:
        """Ends every session of one user's files, with the bytes that have come."""
        for path in list(self._folder.glob("*.json")):
            session = self.find(path.stem)
            place = parse_artifact_file(session.name) if session is not None else None
            if session is not None and place is not None and place.user == user:
                self.forget(session)

    def forget_old(self) -> int:
        """Ends sessions that began a week ago, and bytes whose session is gone."""
        gone = 0
        for path in list(self._folder.glob("*.json")):
            session = self.find(path.stem)
            if session is not None and session.began < self._clock() - KEPT_SECONDS:
                self.forget(session)
                gone += 1
        for path in list(self._folder.glob("*.part")):
            if not path.with_suffix(".json").exists():
                path.unlink(missing_ok=True)
        return gone

    def _part(self, session: UploadSession) -> Path:
        return self._folder / f"{session.id}.part"

    def _pieces(self, session: UploadSession) -> Iterator[bytes]:
        part = self._part(session)
        if not part.exists():
            return
        with part.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                yield data
