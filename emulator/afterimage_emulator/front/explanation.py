"""Why rules denied a request: in the log for everybody, in the response for those who ask.

Whoever sends `x-explain-denials: true`, as a header or as gRPC metadata, finds the explanation as a
google.rpc.DebugInfo beside the official text, which is the same for everybody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from afterimage_emulator.front.callers import Caller
from afterimage_emulator.protos import rpc

DENIALS: Final = "denials"
"""The last part of the logger's name, by which a console keeps them apart."""
_DEBUG_INFO: Final = "type.googleapis.com/google.rpc.DebugInfo"


def explained(caller: Caller, explain: Callable[[], object], log: logging.Logger) -> tuple[bytes, ...]:
    """Logs the why, and gives the details of the response to `caller`. Nobody interested: nothing is computed."""
    log.getChild(DENIALS).info("%s", _Explanation(explain))
    return (_debug_info(str(explain())),) if caller.wants_explanations else ()


class _Explanation:
    """Worked out when somebody reads it: whoever only counts denials pays nothing for it."""

    def __init__(self, explain: Callable[[], object]) -> None:
        self._explain = explain

    def __str__(self) -> str:
        return str(self._explain())


def details_json(details: Sequence[bytes]) -> list[dict[str, Any]]:
    """Explanations as the JSON of an error response carries them."""
    found = []
    for detail in details:
        packed = rpc.Status().details.add()
        packed.ParseFromString(detail)
        if packed.type_url == _DEBUG_INFO:
            text = rpc.DebugInfo.FromString(packed.value).detail
            found.append({"@type": _DEBUG_INFO, "detail": text})
    return found


def _debug_info(explanation: str) -> bytes:
    packed = rpc.Status().details.add()
    packed.type_url = _DEBUG_INFO
    packed.value = rpc.DebugInfo(detail=explanation).SerializeToString()
    serialized: bytes = packed.SerializeToString()
    return serialized
