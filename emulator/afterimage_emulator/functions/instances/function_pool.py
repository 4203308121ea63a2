"""The instances of one function: as many as the work wants and the limits allow, each filled up to its concurrency."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from afterimage_emulator.attempts import Attempt
from afterimage_emulator.functions.codebases.codebase_host import CodebaseError
from afterimage_emulator.functions.codebases.manifest import FunctionSpec
from afterimage_emulator.functions.instances.instance_requests import (
    InstanceAnswer,
    InstanceRequest,
    RequestUnreadError,
)
from afterimage_emulator.functions.instances.instances import Instance
from afterimage_emulator.functions.instances.streamed_answers import StreamedAnswer

LOCAL_INSTANCES: Final = 8
"""More processes than this help no one machine, whatever `max_instances` says."""
IDLE_SECONDS: Final = 120.0


class FunctionFailedError(Exception):
    """No answer: `outcome` is one word for the record, the message says what happened."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


class _NotHandledError(Exception):
    """No handler was called: another instance may be given the same request."""


class PoolRetiredError(Exception):
    """The codebase was reloaded: the work belongs to the function's next pool."""


StartInstance = Callable[[FunctionSpec, Callable[[Instance], None]], Awaitable[Instance]]


class FunctionPool:
    """`call` waits for a free place, starting instances as needed."""

    def __init__(
        self,
        spec: FunctionSpec,
        *,
        start: StartInstance,
        busy: Callable[[], None] = lambda: None,
        freed: Callable[[], None] = lambda: None,
        time_limits: bool = True,
        limit: int | None = None,
    ) -> None:
        self.spec = spec
        self.instances: list[Instance] = []
        self.retired = False
        self._broken = ""
        self._start = start
        self._busy = busy
        self._freed = freed
        self._time_limits = time_limits
        self._limit = limit or min(spec.max_instances or LOCAL_INSTANCES, LOCAL_INSTANCES)
        self._starting = 0
        self._waiting: deque[asyncio.Future[Instance]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._quiet = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, request: InstanceRequest, attempt: Attempt | None = None) -> InstanceAnswer:
        """Raises FunctionFailedError where there is no answer, PoolRetiredError where another pool should be asked."""
        while True:
            instance = await self._place()
            try:
                return await self._call(instance, request, attempt)
            except _NotHandledError:
                continue  # with what is left of the instances, or a new one

    async def _call(self, instance: Instance, request: InstanceRequest, attempt: Attempt | None) -> InstanceAnswer:
        self._busy()
        # Real time, not the suite's clock: the function runs in real time too.
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.spec.timeout_seconds if self._time_limits else None
        streaming = False
        try:
            async with asyncio.timeout_at(deadline):
                answer = await instance.exchange(request, attempt)
            if not isinstance(answer.body, bytes):
                streaming = True
                answer.body = self._streamed(instance, answer, attempt, deadline)
            return answer
        except OSError as error:  # a timeout is one too
            failure = await self._failure(instance, error)
            # A fresh instance that ends before it reads anything is another matter: the next would do the same.
            if isinstance(error, RequestUnreadError) and (instance.has_answered or self.retired):
                raise _NotHandledError from None
            raise failure from None
        except asyncio.CancelledError:
            # The caller has gone; the function may still be at work, so its place is not given to others.
            self._retire(instance, "its caller went away")
            raise
        finally:
            if not streaming:
                self._leave(instance)

    async def _failure(self, instance: Instance, error: Exception) -> FunctionFailedError:
        """What happened, in the words of the record; the instance takes no more work."""
        if isinstance(error, TimeoutError):
            message = f"it took longer than its timeout of {self.spec.timeout_seconds:g} s"
            self._retire(instance, message)
            return FunctionFailedError("timeout", message)
        await self._hear_of_end(instance)
        outcome = "out of memory" if "memory limit" in instance.fate else "crashed"
        message = instance.fate or f"the function's process broke off: {error}"
        self._retire(instance, message)
        return FunctionFailedError(outcome, message)

    def _streamed(
        self, instance: Instance, answer: InstanceAnswer, attempt: Attempt | None, deadline: float | None
    ) -> StreamedAnswer:
        assert not isinstance(answer.body, bytes)
        streamed = StreamedAnswer(
            answer.body,
            deadline=deadline,
            explained=lambda error: self._failure(instance, error),
            abandon=answer.abandon,
        )

        def ended(failure: Exception | None) -> None:
            instance.done_with(attempt)
            self._leave(instance)

        streamed.when_ended(ended)
        return streamed

    @property
    def waiting(self) -> int:
        """Requests that no instance has a place for yet."""
        return len(self._waiting)

    @property
    def instance_limit(self) -> int:
        return self._limit

    def hand_over(self) -> None:
        """No new work: what waits here is for the function's next pool."""
        self.retired = True
        self._tell_waiting(PoolRetiredError())

    def give_up(self, reason: str) -> None:
        """There will be no next pool: what waits here fails, and so does all that comes."""
        self._broken = reason
        self._tell_waiting(FunctionFailedError("crashed", reason))

    def _tell_waiting(self, error: Exception) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    async def retire(self) -> None:
        """No new work; returns when what was under way has ended."""
        self.hand_over()
        for instance in tuple(self.instances):
            if not instance.in_flight:
                instance.kill("its codebase was reloaded")
        if any(instance.in_flight for instance in self.instances):
            await self._quiet.wait()
        await self.close()

    async def close(self) -> None:
        self.retired = True
        if self._reaper is not None:
            self._reaper.cancel()
        while self._waiting:
            self._waiting.popleft().cancel()
        instances, self.instances = self.instances, []
        for instance in instances:
            instance.kill("the suite stopped")
        await asyncio.gather(*(instance.close() for instance in instances), *self._closing)

    # -- places

    async def _place(self) -> Instance:
        if self._broken:
            raise FunctionFailedError("crashed", self._broken)
        if self.retired:
            raise PoolRetiredError
        free = self._free()
        if free is not None:
            free.in_flight += 1
            return free
        waiter: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            if len(self.instances) + self._starting < self._limit:
                await self._start_one()
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave(waiter.result())
            elif waiter in self._waiting:
                self._waiting.remove(waiter)
            self._start_for_waiting()
            raise

    def _free(self) -> Instance | None:
        """The fullest that still has a place: idle ones can then end."""
        free = [i for i in self.instances if not i.retired and i.in_flight < self.spec.concurrency]
        return max(free, key=lambda instance: instance.in_flight, default=None)

    async def _start_one(self) -> None:
        self._starting += 1
        try:
            instance = await self._start(self.spec, self._gone)
        except (OSError, CodebaseError) as error:
            if self.retired:
                raise PoolRetiredError from None
            raise FunctionFailedError("crashed", f"no instance could be started: {error}") from None
        finally:
            self._starting -= 1
        if self.retired:
            instance.kill("its codebase was reloaded")
            self._keep(instance.close())
            raise PoolRetiredError
        self.instances.append(instance)
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting:
            free = self._free()
            if free is None:
                return
            waiter = self._waiting.popleft()
            if not waiter.done():
                free.in_flight += 1
                waiter.set_result(free)

    def _leave(self, instance: Instance) -> None:
        instance.in_flight -= 1
        if instance.retired and not instance.in_flight:
            instance.kill(instance.fate or "retired")
            self._keep(instance.close())
        self._freed()
        if self.retired:
            if not any(each.in_flight for each in self.instances):
                self._quiet.set()
            return
        self._serve_waiting()
        self._start_for_waiting()
        self._reap_later()

    def _start_for_waiting(self) -> None:
        """An instance has gone, or did not come, while others wait: somebody has to start the next."""
        if self._has_to_start():
            self._keep(self._start_or_fail())

    def _has_to_start(self) -> bool:
        return bool(self._waiting) and not self.retired and len(self.instances) + self._starting < self._limit

    async def _start_or_fail(self) -> None:
        """Each that waits gets a start of its own, and where that fails the reason."""
        while self._has_to_start():
            waiter = self._waiting[0]
            try:
                await self._start_one()
            except PoolRetiredError:
                return
            except FunctionFailedError as error:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                    waiter.set_exception(error)

    def _retire(self, instance: Instance, fate: str) -> None:
        """No more work for it; killed at once unless others are still being served by it."""
        instance.retired = True
        instance.fate = instance.fate or fate
        if instance in self.instances:
            self.instances.remove(instance)
        if instance.in_flight <= 1:
            instance.kill(fate)  # and closed when its last request leaves

    def _gone(self, instance: Instance) -> None:
        if instance in self.instances:
            self.instances.remove(instance)
            self._keep(instance.close())
        self._freed()
        self._start_for_waiting()

    async def _hear_of_end(self, instance: Instance) -> None:
        """The broken connection is often seen before the news of how the process ended."""
        for _ in range(50):
            if not instance.is_alive or instance.fate:
                return
            await asyncio.sleep(0.002)

    # -- instances that nobody needs

    def _reap_later(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
        self._reaper = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._reap)

    def _reap(self) -> None:
        self._reaper = None
        for instance in tuple(self.instances):
            if not instance.in_flight:
                instance.kill("it was idle")

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
