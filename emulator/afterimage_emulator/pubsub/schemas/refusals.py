"""Why a definition, a revision or a message is refused; the API turns each into its own error. Pure."""

from __future__ import annotations

from typing import Final

DEFINITION_BYTES: Final = 300 * 1024
"""The platform's limit of a definition."""
_TOLD_CHARACTERS: Final = 1_000


def shortened(reason: str) -> str:
    """Names in definitions are anybody's, and clients take 8 KB of trailers, where errors stand."""
    return reason if len(reason) <= _TOLD_CHARACTERS else f"{reason[:_TOLD_CHARACTERS]}…"


class SchemaRefusedError(ValueError):
    """A definition that is no schema: the message says where and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))


class MessageRefusedError(ValueError):
    """A message that does not fit its schema: the message says where and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(shortened(reason))
