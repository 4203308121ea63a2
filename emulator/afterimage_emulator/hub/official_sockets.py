"""What the official console's page hears: rules' verdicts as Firestore's emulator tells them, and the suite's log."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any, Final

from afterimage_emulator.front.judged_requests import Judged, JudgedRequests
from afterimage_emulator.hub.websocket import websocket_answer
from afterimage_emulator.status import Code, StatusError
from afterimage_emulator.wire.http_messages import HttpRequest, HttpResponse

LOG_CHARACTERS: Final = 4_000
_LEVELS: Final = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn"}
_FUNCTION: Final = re.compile(r"\[([\w.-]{1,100})\]")


class OfficialSockets:
    """`requests` (Firestore's port 9150) and `logging` (port 4500)."""

    def __init__(self, judged: JudgedRequests, *, project: str) -> None:
        self._judged = judged
        self._project = project

    async def answer(self, name: str, request: HttpRequest) -> HttpResponse:
        if name == "requests":
            if request.raw_path != "/requests":
                raise StatusError(Code.NOT_FOUND, "this port tells of requests at `/requests`")
            return websocket_answer(request, self._requests)
        return websocket_answer(request, _log_lines)

    def _requests(self, tell: Callable[[str], None]) -> Callable[[], None]:
        """First all that are known, in one array, then each as it is judged. Storage's stand in no official feed."""
        self._judged.watch()
        tell(json.dumps([self._evaluation(one) for one in self._judged.after(0) if _is_of_firestore(one)]))
        return self._judged.listen(
            lambda one: tell(json.dumps(self._evaluation(one))) if _is_of_firestore(one) else None
        )

    def _evaluation(self, judged: Judged) -> dict[str, Any]:
        path = f"/databases/{judged['place']}/documents/{judged['path']}"
        auth = None if judged["uid"] is None else {"uid": judged["uid"]}
        asked = {"auth": auth, "method": judged["method"], "path": path, "time": judged["time"]}
        rules = self._judged.source(judged["rules"])
        return {
            "requestId": str(judged["id"]),
            "rulesReleaseName": f"projects/{self._project}/releases/cloud.firestore/{judged['place']}",
            "time": judged["time"],
            "outcome": "allow" if judged["allowed"] else "deny",
            "granularAllowOutcomes": _outcomes(judged),
            "rulesContext": {"request": asked, "path": path, "method": judged["method"], "time": judged["time"]},
            "rules": "" if rules is None else rules["text"],
        }


def _is_of_firestore(judged: Judged) -> bool:
    return bool(judged["service"] == "firestore")


def _outcomes(judged: Judged) -> list[dict[str, object]]:
    outcomes: list[dict[str, object]] = [
        {"line": each["line"], "outcome": "deny"} for each in judged["explanation"]["tried"]
    ]
    if judged["allow"] is not None:
        granted = judged["allow"]["line"]
        outcomes = [each for each in outcomes if each["line"] != granted]
        outcomes.append({"line": granted, "outcome": "allow"})
    return outcomes


def _log_lines(tell: Callable[[str], None]) -> Callable[[], None]:
    handler = _Lines(tell)
    log = logging.getLogger("afterimage_emulator")
    log.addHandler(handler)
    return lambda: log.removeHandler(handler)


class _Lines(logging.Handler):
    """Called from whatever thread logs."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()[:LOG_CHARACTERS]
        metadata: dict[str, object] = {"emulator": {"name": record.name.partition(".")[2] or "hub"}}
        function = _FUNCTION.match(message)
        if function is not None:
            metadata["function"] = {"name": function[1]}
        line = {
            "level": _LEVELS.get(record.levelno, "error"),
            "timestamp": int(record.created * 1000),
            "message": message,
            "data": {"metadata": metadata},
        }
        self._loop.call_soon_threadsafe(self._tell, json.dumps(line))
