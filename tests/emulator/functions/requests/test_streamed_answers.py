"""A streamed answer ends exactly once, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from afterimage_emulator.functions.instances.streamed_answers import CallerLeftError, StreamedAnswer


class Watched:
    """A streamed answer with all that it did to others."""

    def __init__(self, pieces: AsyncIterator[bytes], deadline: float | None = None) -> None:
        self.abandoned = 0
        self.ends: list[Exception | None] = []
        self.answer = StreamedAnswer(pieces, deadline=deadline, explained=self._explained, abandon=self._abandon)
        self.answer.when_ended(self.ends.append)

    async def _explained(self, error: Exception) -> Exception:
        return RuntimeError(f"explained {type(error).__name__}")

    def _abandon(self) -> None:
        self.abandoned += 1


async def two_pieces() -> AsyncIterator[bytes]:
    yield b"one"
    yield b"two"


async def broken() -> AsyncIterator[bytes]:
    yield b"one"
    raise ConnectionResetError


async def endless() -> AsyncIterator[bytes]:
    yield b"one"
    await asyncio.Event().wait()


async def test_read_to_its_end() -> None:
    """All pieces, then the end, once, also when it is closed afterwards."""
    watched = Watched(two_pieces())
    assert [piece async for piece in watched.answer] == [b"one", b"two"]
    await watched.answer.aclose()
    assert (watched.ends, watched.abandoned) == ([None], 0)


async def test_closed_before_anybody_read() -> None:
    """A caller who is gone before the first piece still frees what the answer holds."""
    watched = Watched(two_pieces())
    await watched.answer.aclose()
    await watched.answer.aclose()
    assert [type(end) for end in watched.ends] == [CallerLeftError]
    assert watched.abandoned == 1


async def test_broken_off() -> None:
    """The reader and the listeners are told the same, in the words of who can explain it."""
    watched = Watched(broken())
    with pytest.raises(RuntimeError, match="explained ConnectionResetError"):
        assert [piece async for piece in watched.answer]
    assert [str(end) for end in watched.ends] == ["explained ConnectionResetError"]
    assert watched.abandoned == 1


async def test_out_of_time() -> None:
    """A deadline that has passed ends it while it waits for the next piece."""
    watched = Watched(endless(), deadline=asyncio.get_running_loop().time())
    with pytest.raises(RuntimeError, match="explained TimeoutError"):
        assert [piece async for piece in watched.answer]
    assert watched.abandoned == 1


async def test_a_reader_that_is_cancelled() -> None:
    """A connection that ends while the next piece is awaited counts as a caller who left."""
    watched = Watched(endless())
    assert await anext(watched.answer) == b"one"
    reading = asyncio.ensure_future(watched.answer.__anext__())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert [type(end) for end in watched.ends] == [CallerLeftError]
