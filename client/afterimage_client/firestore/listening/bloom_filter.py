"""Owns the test whether a name is in the set that an existence filter describes (pure)."""

from __future__ import annotations

import hashlib
from typing import Any


class BloomFilter:
    """Says "no" only of names that are surely not in the set."""

    def __init__(self, bitmap: bytes, padding: int, hash_count: int) -> None:
        self._bitmap = bitmap
        self._hash_count = hash_count
        self._bits = 8 * len(bitmap) - padding

    @classmethod
    def from_message(cls, message: Any) -> BloomFilter | None:
        """None where the message is malformed or says nothing: then it is as if none had come."""
        bitmap, padding = message.bits.bitmap, message.bits.padding
        hashes = message.hash_count
        if not 0 <= padding <= 7 or hashes < 0 or not bitmap or hashes == 0:
            return None
        return cls(bitmap, padding, hashes)

    def may_have(self, name: str) -> bool:
        digest = hashlib.md5(name.encode(), usedforsecurity=False).digest()
        first = int.from_bytes(digest[:8], "little")
        second = int.from_bytes(digest[8:], "little")
        for turn in range(self._hash_count):
            bit = ((first + turn * second) & 0xFFFFFFFFFFFFFFFF) % self._bits
            if not self._bitmap[bit >> 3] & (1 << (bit & 7)):
                return False
        return True
