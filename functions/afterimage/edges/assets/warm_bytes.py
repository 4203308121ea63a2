"""Bytes of files that never change, kept in memory by an instance that has served them; the longest unused go first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

MOST_BYTES: Final = 64 * 1024 * 1024
LARGEST_BYTES: Final = 4 * 1024 * 1024


@dataclass
class WarmBytes:
    """By a key that names content which never changes."""

    most_bytes: int = MOST_BYTES
    largest_bytes: int = LARGEST_BYTES
    held_bytes: int = 0
    _held: OrderedDict[str, bytes] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str) -> bytes | None:
        with self._lock:
            found = self._held.get(key)
            if found is not None:
                self._held.move_to_end(key)
            return found

    def put(self, key: str, data: bytes) -> None:
        if len(data) > self.largest_bytes:
            return
        with self._lock:
            self.held_bytes += len(data) - len(self._held.pop(key, b""))
            self._held[key] = data
            while self.held_bytes > self.most_bytes:
                self.held_bytes -= len(self._held.popitem(last=False)[1])
