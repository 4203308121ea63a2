"""What a loaded codebase offers, wherever it was loaded: its manifest, and instances of its functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol


class CodebaseError(Exception):
    """A codebase that could not be loaded; the message is for the person who wrote it."""


class CodebaseHost(Protocol):
    """`load` waits for the manifest; from then on instances can be started."""

    @property
    def manifest(self) -> Mapping[str, object]: ...

    @property
    def unforkable(self) -> str: ...

    @property
    def runtime(self) -> str:
        """As firebase.json names it, such as `python312`."""
        ...

    @property
    def pid(self) -> int | None:
        """The id of its process, where it has one of its own."""
        ...

    @property
    def is_alive(self) -> bool: ...

    async def load(self, timeout_seconds: float) -> None: ...

    def start_instance(
        self,
        number: int,
        command: Mapping[str, object],
        fds: tuple[int, int],
        *,
        started: Callable[[int], None],
        ended: Callable[[int | None], None],
    ) -> None:
        """The two descriptors (listening socket, output) are copied for the instance; the caller closes its own."""
        ...

    def kill_instance(self, number: int) -> None: ...

    def kill(self) -> None: ...

    async def close(self) -> None: ...
