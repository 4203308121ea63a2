"""Why a definition, a revision or a message is refused; the API turns each into its own error. Pure."""

from __future__ import annotations

from typing import Final

DEFINITION_BYTES: Final = 300 * 1024
"""The platform's limit of a definition."""
NESTING_LIMIT: Final = 500
"""How many types may stand within each other in a message: fewer than JSON can be read with."""
PIECE_STEPS: Final = 1_000
"""How many steps of reading are taken before somebody else may have the loop: about a millisecond."""
JSON_VALUES_LIMIT: Final = 1_000_000
"""JSON is read in one piece: this many values take less than half a second."""
_COMPARING_STEPS: Final = 500_000
"""A revision is compared with all those before it in one piece: this takes less than a second."""
_TOLD_CHARACTERS: Final = 1_000


def shortened(reason: str) -> str:
    """Names in definitions are anybody's, and clients take 8 KB of trailers, where errors stand."""
    return reason if len(reason) <= _TOLD_CHARACTERS else f"{reason[:_TOLD_CHARACTERS]}…"


class SchemaRefusedError(ValueError):
    """A definition that is no schema: the message says where and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))


class ComparingSteps:
    """How many steps are left to compare a revision with those before it."""

    def __init__(self) -> None:
        self._left = _COMPARING_STEPS

    def take(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            raise SchemaRefusedError("the definition refers to itself in too many ways to be compared with older ones")


class MessageRefusedError(ValueError):
    """A message that does not fit its schema: the message says where and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))


def nested_too_deep() -> MessageRefusedError:
    return MessageRefusedError(f"the message is nested deeper than {NESTING_LIMIT} types")
