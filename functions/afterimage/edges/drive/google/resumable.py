"""The bytes of one upload: sent in pieces to a session, which says at every point how much of them it has."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx2

from afterimage.edges.drive.faults import DriveBusyError, SessionGoneError
from afterimage.edges.drive.google.drive_api import DriveFile, decoded
from afterimage.edges.drive.google.drive_exchange import DriveExchange

PIECE_BYTES: Final = 32 * 256 * 1024
"""All pieces but the last are multiples of 256 KiB, or Drive refuses them."""
_HELD: Final = re.compile(r"bytes=0-(\d{1,18})")
_MOST_STANDSTILLS: Final = 4
_FIRST_WAIT_SECONDS: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Resumable:
    """Sends what `read` gives to a session, from wherever the session is."""

    exchange: DriveExchange
    piece_bytes: int = PIECE_BYTES
    wait: Callable[[float], None] = time.sleep

    def send(
        self, session: str, size: int, read: Callable[[int, int], bytes], *, is_new: bool, go_on: Callable[[], bool]
    ) -> DriveFile | None:
        """The file once all of it is there; None where `go_on` said to stop, and what has come so far stays there."""
        held: int | DriveFile = 0 if is_new else self._asked(session, size)
        standstills = 0
        while not isinstance(held, DriveFile):
            if not go_on():
                return None
            before = held
            fault = DriveBusyError(f"an upload stands still at {before} of {size} bytes")
            try:
                held = self._sent(session, before, size, read)
            except DriveBusyError as error:
                if error.is_rate:
                    raise
                fault = error
                # Whether the bytes came, and how many of them, only the session knows.
                held = self._asked(session, size)
            if isinstance(held, int) and held <= before:
                standstills += 1
                if standstills >= _MOST_STANDSTILLS:
                    raise fault
                self.wait(_FIRST_WAIT_SECONDS * 2 ** (standstills - 1))
            else:
                standstills = 0
        return held

    def _sent(self, session: str, start: int, size: int, read: Callable[[int, int], bytes]) -> int | DriveFile:
        piece = read(start, min(start + self.piece_bytes, size))
        if not piece and size:
            raise DriveBusyError(f"an upload stands at {start} of {size} bytes, and there are none to send")
        headers = {"Content-Range": f"bytes {start}-{start + len(piece) - 1}/{size}"} if size else {}
        answer = self.exchange.send("PUT", session, content=piece, headers=headers, taken={308, 404, 410}, attempts=1)
        return self._held(answer, size)

    def _asked(self, session: str, size: int) -> int | DriveFile:
        headers = {"Content-Range": f"bytes */{size}"}
        return self._held(self.exchange.send("PUT", session, headers=headers, taken={308, 404, 410}), size)

    def _held(self, answer: httpx2.Response, size: int) -> int | DriveFile:
        if answer.status_code in {404, 410}:
            raise SessionGoneError("the session of an upload has run out")
        if answer.status_code != 308:
            return decoded(answer.content, DriveFile)
        said = answer.headers.get("range", "").strip()
        if not said:
            return 0
        found = _HELD.fullmatch(said)
        if found is None or int(found[1]) >= size:
            raise DriveBusyError(f"Drive says that it holds `{said[:60]}` of {size} bytes")
        return int(found[1]) + 1
