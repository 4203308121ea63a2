"""Functions as the targets of tasks: the queues that they declare, and calls on behalf of those queues."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from afterimage_emulator.attempts import Attempt
from afterimage_emulator.functions.codebases.manifest import EventTrigger, FunctionSpec, TaskQueueTrigger
from afterimage_emulator.functions.deliveries.deliveries import FunctionCalls
from afterimage_emulator.functions.instances.instance_requests import InstanceRequest, request_head

_PRODUCTION: Final = ".cloudfunctions.net"


class TaskTargets:
    """What a Cloud Tasks service asks of the functions beside it."""

    def __init__(
        self, *, calls: FunctionCalls, project_id: str, functions: Callable[[], Mapping[str, FunctionSpec]]
    ) -> None:
        self._calls = calls
        self._project_id = project_id
        self._functions = functions
        self._listeners: list[Callable[[], None]] = []

    def task_queues(self) -> dict[str, TaskQueueTrigger]:
        """By the queues' full names; a function has one in each of its regions."""
        return {
            f"projects/{self._project_id}/locations/{region}/queues/{spec.name}": spec.trigger
            for spec in self._functions().values()
            if isinstance(spec.trigger, TaskQueueTrigger)
            for region in spec.regions
        }

    def when_routed(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def routed(self) -> None:
        """After any codebase was loaded anew."""
        for listener in self._listeners:
            listener()

    def function_at(self, url: str) -> tuple[str, str] | None:
        """`https://REGION-PROJECT.cloudfunctions.net/NAME/…`: the function that is deployed there, and the path."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        name, _, rest = parts.path.lstrip("/").partition("/")
        spec = self._functions().get(name)
        if not host.endswith(_PRODUCTION) or spec is None or isinstance(spec.trigger, EventTrigger):
            return None
        if host.removesuffix(_PRODUCTION) not in {f"{region}-{self._project_id}" for region in spec.regions}:
            return None
        return name, f"/{rest}" + (f"?{parts.query}" if parts.query else "")

    def local_path(self, url: str) -> str:
        """Where this service has the function that production has at an address; empty where it has none."""
        found = self.function_at(url)
        if found is None:
            return ""
        host = urlsplit(url).hostname or ""
        region = host.removesuffix(_PRODUCTION).removesuffix(f"-{self._project_id}")
        return f"/{self._project_id}/{region}/{found[0]}{found[1]}"

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
        request = InstanceRequest(
            head=request_head(method, path, [("host", "127.0.0.1"), *headers], len(body)),
            body=body,
            is_head=method == "HEAD",
        )
        attempt, answer = await self._calls.call(
            function, request, what="task", work_id=task_name, number=number, patience_seconds=deadline_seconds
        )
        return attempt, None if answer is None else answer.status
