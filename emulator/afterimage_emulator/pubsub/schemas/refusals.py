"""Why a definition, a revision or a message is refused; the API turns each into its own error. Pure."""

from __future__ import annotations

from typing import Final

DEFINITION_BYTES: Final = 300 * 1024
"""The platform's limit of a definition."""


class SchemaRefusedError(ValueError):
    """A definition that is no schema: the message says where and why."""


class MessageRefusedError(ValueError):
    """A message that does not fit its schema: the message says where and why."""
