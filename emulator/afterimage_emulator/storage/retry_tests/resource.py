"""Retry tests as a resource: made, told, deleted, and asked by the calls that name one in a header."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.status import StatusError
from afterimage_emulator.storage.errors import Reason, StorageError, invalid
from afterimage_emulator.storage.gcs.errors import json_error
from afterimage_emulator.storage.messages.request_fields import json_object
from afterimage_emulator.storage.retry_tests.acting import Acting
from afterimage_emulator.storage.retry_tests.instructions import Instruction, read_instruction, read_old_instruction
from afterimage_emulator.storage.retry_tests.methods import METHODS, method_of
from afterimage_emulator.wire.http_messages import HttpHandler, HttpRequest, HttpResponse, json_response, text_response
from afterimage_emulator.wire.offered import Offered
from afterimage_emulator.wire.router import Router

_HEADER: Final = "x-retry-test-id"
_OLD_HEADERS: Final = ("x-goog-emulator-instructions", "x-goog-testbench-instructions")
_PATH: Final = "/retry_test"
_ID_CHARACTERS: Final = 32
_TESTS: Final = 1_000
_INSTRUCTIONS: Final = 1_000


@dataclass(kw_only=True, slots=True)
class RetryTest:
    """The instructions that are left, by method, and the order that they were given in."""

    id: str
    left: dict[str, deque[Instruction]]

    def told(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "instructions": {method: [one.text for one in queue] for method, queue in self.left.items()},
            "completed": not any(self.left.values()),
            "transport": "HTTP",
        }


class RetryTests:
    """They end with the suite. A call that names none costs a look at its headers."""

    def __init__(self, clock: Clock) -> None:
        self._acting = Acting(clock)
        self._tests: dict[str, RetryTest] = {}
        self._router = Router()
        self._router.add("POST", _PATH, self._create)
        self._router.add("GET", f"{_PATH}s", self._list)
        self._router.add("GET", f"{_PATH}/{{id}}", self._get)
        self._router.add("DELETE", f"{_PATH}/{{id}}", self._delete)

    def reset(self) -> None:
        self._tests.clear()

    def offered(self) -> Sequence[Offered]:
        return self._router.offered()

    def owns(self, request: HttpRequest) -> bool:
        """A bucket may have the name too: its objects and forms are no retry tests."""
        path = request.raw_path
        if not path.startswith(_PATH):
            return False
        rest = path.removeprefix(_PATH)
        is_json = (request.headers.get("content-type") or "").startswith("application/json")
        return rest == "s" or (not rest and is_json) or (rest[:1] == "/" and len(rest) == _ID_CHARACTERS + 1)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._router(request)
        except StatusError as error:
            return json_error(error)

    def around(self, request: HttpRequest, answer: HttpHandler) -> HttpHandler:
        """`answer`, or what the test that the request names makes of it."""
        for name, value in request.headers.items():
            if name == _HEADER or name in _OLD_HEADERS:
                return lambda asked: self._answered(asked, answer, name, value)
        return answer

    async def _answered(self, request: HttpRequest, answer: HttpHandler, header: str, said: str) -> HttpResponse:
        try:
            if header != _HEADER:
                response, _ = await self._acting.perform(request, read_old_instruction(said), answer)
                return response
            queue = self._found(said).left.get(method_of(request.method, request.raw_path) or "")
        except StatusError as error:
            return json_error(error)
        if not queue:
            return await answer(request)
        instruction = queue.popleft()
        was_time = True  # an instruction that ends the connection has had its moment
        try:
            response, was_time = await self._acting.perform(request, instruction, answer)
        finally:
            if not was_time:
                queue.appendleft(instruction)
        return response

    # -- the resource

    async def _create(self, request: HttpRequest) -> HttpResponse:
        body = await json_object(request)
        said = body.get("instructions")
        if not isinstance(said, Mapping) or not said:
            raise invalid("The `instructions` of a retry test are an object: a list for each method")
        if body.get("transport") not in (None, "HTTP"):
            raise invalid(f"Invalid value for `transport`: `{str(body['transport'])[:60]}`; only HTTP is served here")
        if len(self._tests) >= _TESTS:
            raise invalid(f"{_TESTS} retry tests are there already; delete some")
        test = RetryTest(id=secrets.token_hex(_ID_CHARACTERS // 2), left=_read(said))
        self._tests[test.id] = test
        return json_response(test.told())

    async def _list(self, request: HttpRequest) -> HttpResponse:
        return json_response({"retry_test": [test.told() for test in self._tests.values()]})

    async def _get(self, request: HttpRequest) -> HttpResponse:
        return json_response(self._found(request.params["id"]).told())

    async def _delete(self, request: HttpRequest) -> HttpResponse:
        test = self._found(request.params["id"])
        del self._tests[test.id]
        return text_response(f"Deleted {test.id}")

    def _found(self, test_id: str) -> RetryTest:
        test = self._tests.get(test_id)
        if test is None:
            raise StorageError(Reason.NOT_FOUND, f"Retry Test {test_id[:100]} not found")
        return test


def _read(said: Mapping[str, object]) -> dict[str, deque[Instruction]]:
    left: dict[str, deque[Instruction]] = {}
    for method, instructions in said.items():
        if method not in METHODS:
            raise invalid(f"`{method[:100]}` is no method of retry tests; write storage.objects.get and its like")
        if not isinstance(instructions, list) or len(instructions) > _INSTRUCTIONS:
            raise invalid(f"The instructions of `{method}` must be a list of at most {_INSTRUCTIONS}")
        left[method] = deque(read_instruction(one) for one in instructions)
    return left
