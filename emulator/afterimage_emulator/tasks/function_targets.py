"""What a functions service beside the queues offers them: which functions have queues, and a way to call them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from afterimage_emulator.attempts import Attempt


class DeclaredQueue(Protocol):
    """The settings that a function declares for its queue."""

    @property
    def function(self) -> str: ...
    @property
    def max_attempts(self) -> int: ...
    @property
    def max_retry_seconds(self) -> float: ...
    @property
    def min_backoff_seconds(self) -> float: ...
    @property
    def max_backoff_seconds(self) -> float: ...
    @property
    def max_doublings(self) -> int: ...
    @property
    def max_concurrent_dispatches(self) -> int: ...
    @property
    def max_dispatches_per_second(self) -> float: ...


class FunctionTargets(Protocol):
    """Functions go by their names, queues by their full names."""

    def task_queues(self) -> Mapping[str, DeclaredQueue]: ...

    def when_routed(self, listener: Callable[[], None]) -> None:
        """Calls it after any codebase was loaded anew."""
        ...

    def function_at(self, url: str) -> tuple[str, str] | None:
        """The function that production has at an address, and the path within it."""
        ...

    async def call_for_task(
        self,
        function: str,
        *,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        task_name: str,
        number: int,
        deadline_seconds: float,
    ) -> tuple[Attempt, int | None]:
        """The attempt, recorded, and the status of the answer where there was one."""
        ...
