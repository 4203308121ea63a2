"""Owns the synchronous face of an app, for scripts and programs with threads: the same objects, waited for.

Nothing is said twice: whatever an `await` would wait for, `run` waits for; whatever `async for` goes over, `each` does.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from afterimage_client.app import FirebaseApp
from afterimage_client.auth.auth import Auth
from afterimage_client.errors import FirebaseError
from afterimage_client.firestore.firestore import Firestore
from afterimage_client.storage.storage import Storage

T = TypeVar("T")


class BlockingApp:
    """`with BlockingApp(lambda: FirebaseApp(options)) as app: app.run(app.auth.sign_in_anonymously())`.

    The app lives in a thread of its own. Any other thread may use it, several at the same time.
    """

    def __init__(self, make: Callable[[], FirebaseApp]) -> None:
        self._make = make
        self._app: FirebaseApp | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="afterimage-client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._app = self.run(self._open())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.run(self._opened().close())
        finally:
            self._end()

    @property
    def auth(self) -> Auth:
        return self._opened().auth

    @property
    def firestore(self) -> Firestore:
        return self._opened().firestore

    @property
    def storage(self) -> Storage:
        return self._opened().storage

    def run(self, work: Awaitable[T], *, timeout_seconds: float | None = None) -> T:
        """What `await work` gives. Ctrl-C and a timeout end the work, not only the waiting."""
        if threading.current_thread() is self._thread:
            raise FirebaseError("wrong-thread", "`run` was called inside the app's own thread", way_out="use `await`")
        if not self._thread.is_alive():
            raise FirebaseError("closed", "the app is not open", way_out="use it inside `with`")

        async def waited() -> T:
            return await work

        future: Future[T] = asyncio.run_coroutine_threadsafe(waited(), self._loop)
        try:
            return future.result(timeout_seconds)
        except BaseException:
            future.cancel()
            raise

    def each(self, things: AsyncIterable[T]) -> Iterator[T]:
        """What `async for` goes over: a listener, a streamed query, a listing, the progress of a transfer."""
        stack = AsyncExitStack()
        iterator = self.run(_begun(things, stack))
        try:
            while True:
                try:
                    thing = self.run(_next(iterator))
                except StopAsyncIteration:
                    return
                yield thing
        finally:
            self.run(stack.aclose())

    async def _open(self) -> FirebaseApp:
        return await self._make().__aenter__()

    def _opened(self) -> FirebaseApp:
        if self._app is None:
            raise FirebaseError("closed", "the app is not open", way_out="use it inside `with`")
        return self._app

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _begun(things: AsyncIterable[T], stack: AsyncExitStack) -> Any:
    """Listeners begin and end with their block, generators end when they are closed."""
    if isinstance(things, AbstractAsyncContextManager):
        await stack.enter_async_context(things)
    iterator = aiter(things)
    if hasattr(iterator, "aclose"):
        stack.push_async_callback(iterator.aclose)
    return iterator


async def _next(iterator: Any) -> Any:
    return await anext(iterator)
