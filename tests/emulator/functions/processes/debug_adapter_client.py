"""A debugger for tests: speaks the Debug Adapter Protocol to debugpy over its socket, as editors do."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

_PATIENCE_SECONDS: Final = 30.0


class DebugAdapterClient:
    """Requests are answered in turn; events that come meanwhile are kept until somebody waits for them."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
        self._reader = self._socket.makefile("rb")
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._reader.close()
        self._socket.close()

    def attach(self, breakpoints: Mapping[str, list[int]]) -> None:
        """The whole ceremony: the program goes on when this returns, with the breakpoints (file → lines) set."""
        self.request("initialize", adapterID="test", linesStartAt1=True, columnsStartAt1=True, pathFormat="path")
        attached = self._send("attach", {"justMyCode": True})
        self.event("initialized")
        for file, lines in breakpoints.items():
            set_there = self.request(
                "setBreakpoints", source={"path": file}, breakpoints=[{"line": line} for line in lines]
            )
            assert all(each["verified"] for each in set_there["breakpoints"]), set_there
        self.request("configurationDone")
        self._answer(attached)

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        return self._answer(self._send(command, arguments))

    def event(self, name: str) -> dict[str, Any]:
        while True:
            for event in self._events:
                if event["event"] == name:
                    self._events.remove(event)
                    body: dict[str, Any] = event.get("body", {})
                    return body
            self._receive()

    def local_variables(self, frame_id: int) -> dict[str, str]:
        found = self.request("variables", variablesReference=self._locals(frame_id))["variables"]
        return {variable["name"]: variable["value"] for variable in found}

    def set_local_variable(self, frame_id: int, name: str, value: str) -> None:
        self.request("setVariable", variablesReference=self._locals(frame_id), name=name, value=value)

    def _locals(self, frame_id: int) -> int:
        scopes = self.request("scopes", frameId=frame_id)["scopes"]
        return next(int(scope["variablesReference"]) for scope in scopes if scope["name"] == "Locals")

    def _send(self, command: str, arguments: Mapping[str, Any]) -> int:
        number = next(self._numbers)
        body = json.dumps({"seq": number, "type": "request", "command": command, "arguments": dict(arguments)}).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return number

    def _answer(self, number: int) -> dict[str, Any]:
        while number not in self._answers:
            self._receive()
        answer = self._answers.pop(number)
        assert answer["success"], answer
        body: dict[str, Any] = answer.get("body", {})
        return body

    def _receive(self) -> None:
        length = 0
        while line := self._reader.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the debugger hung up"
        message = json.loads(self._reader.read(length))
        if message["type"] == "response":
            self._answers[message["request_seq"]] = message
        elif message["type"] == "event":
            self._events.append(message)
