"""Functions that Auth asks before it makes an account or signs somebody in: which they are, and a call of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from afterimage_emulator.functions.codebases.manifest import BlockingTrigger, FunctionSpec
from afterimage_emulator.functions.deliveries.deliveries import FunctionCalls
from afterimage_emulator.functions.instances.instance_requests import InstanceRequest, request_head


class BlockingFunctions:
    """What an Auth service asks of the functions beside it; of two for one event the later one counts."""

    def __init__(
        self, *, calls: FunctionCalls, project_id: str, functions: Callable[[], Mapping[str, FunctionSpec]]
    ) -> None:
        self._calls = calls
        self._project_id = project_id
        self._functions = functions

    def blocking_url(self, event: str) -> str | None:
        """The address that the function has where it is deployed, which is what its token is made out to."""
        found = self._asked_before(event)
        if found is None:
            return None
        return f"https://{found.regions[0]}-{self._project_id}.cloudfunctions.net/{found.name}"

    def forwarded_credentials(self) -> frozenset[str]:
        """What any of them wants to know of a provider's tokens, all of them are told, as in production."""
        triggers = (spec.trigger for spec in self._functions().values())
        return frozenset(
            name for trigger in triggers if isinstance(trigger, BlockingTrigger) for name in trigger.credentials
        )

    async def call_before(self, event: str, body: bytes, *, patience_seconds: float) -> tuple[int, bytes] | None:
        found = self._asked_before(event)
        if found is None:
            return 404, b"the function was taken away"
        headers = [("host", "127.0.0.1"), ("content-type", "application/json")]
        attempt, answer = await self._calls.call(
            found.name,
            InstanceRequest(head=request_head("POST", "/", headers, len(body)), body=body),
            what=event,
            work_id=self._calls.new_id("sign-in"),
            patience_seconds=patience_seconds,
        )
        if answer is None:
            return None if attempt.outcome == "timeout" else (500, attempt.detail.encode())
        return answer.status, answer.body if isinstance(answer.body, bytes) else b""

    def _asked_before(self, event: str) -> FunctionSpec | None:
        asked = [
            spec
            for spec in self._functions().values()
            if isinstance(spec.trigger, BlockingTrigger) and spec.trigger.event == event
        ]
        return asked[-1] if asked else None
