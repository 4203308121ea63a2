"""Messages that are kept although nobody waits for them, so that a seek can bring them back. Without I/O.

A topic keeps what its retention covers, and what came after the oldest snapshot of it. A subscription keeps what it
has acknowledged, where its settings say so.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

from afterimage_emulator.pubsub.topics.backlog import Entry

Put = Callable[[int, bytes | None], None]
"""Told of each message by its number: its bytes when it is kept from now on, None when it is not any more."""


def put_nowhere(number: int, raw: bytes | None) -> None:
    """Where nobody wants to know."""


class TopicLog:
    """The messages of a topic, the oldest first."""

    def __init__(self, put: Put = put_nowhere) -> None:
        self._put = put
        self._entries: deque[Entry] = deque()
        self.retention_ns = 0
        self.after_number: int | None = None
        """The last message before the oldest snapshot: what comes after it is kept; None where there is no snapshot."""

    @property
    def is_needed(self) -> bool:
        return self.retention_ns > 0 or self.after_number is not None

    def add(self, entry: Entry, now_ns: int) -> None:
        self._entries.append(entry)
        self._put(entry.number, entry.raw)
        self.trim(now_ns)

    def trim(self, now_ns: int) -> None:
        oldest_ns = now_ns - self.retention_ns if self.retention_ns else now_ns + 1
        entries = self._entries
        while entries and entries[0].published_ns < oldest_ns:
            if self.after_number is not None and entries[0].number > self.after_number:
                return
            self._put(entries.popleft().number, None)

    def clear(self) -> None:
        for entry in self._entries:
            self._put(entry.number, None)
        self._entries.clear()

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class AcknowledgedMessages:
    """What one subscription acknowledged and can have again; the oldest goes first, whenever it was acknowledged."""

    def __init__(self, put: Put = put_nowhere) -> None:
        self._put = put
        self._entries: list[tuple[int, int, Entry]] = []

    def add(self, entry: Entry, oldest_ns: int) -> None:
        heapq.heappush(self._entries, (entry.published_ns, entry.number, entry))
        self._put(entry.number, entry.raw)
        self.trim(oldest_ns)

    def trim(self, oldest_ns: int) -> None:
        while self._entries and self._entries[0][0] < oldest_ns:
            self._put(heapq.heappop(self._entries)[1], None)

    def take_all(self) -> list[Entry]:
        found = [entry for _, _, entry in self._entries]
        for entry in found:
            self._put(entry.number, None)
        self._entries.clear()
        return found

    def __iter__(self) -> Iterator[Entry]:
        return (entry for _, _, entry in sorted(self._entries, key=lambda each: each[:2]))

    def __len__(self) -> int:
        return len(self._entries)
