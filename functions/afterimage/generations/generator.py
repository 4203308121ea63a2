"""The port for generators: a prompt and perhaps files in, files and the tokens they took out.

`templates.py` works offline. `afterimage/edges` has those that ask an endpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

Mode = Literal["classic", "enhanced"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What is to be made; `files` are those to go on from, none for a new project."""

    prompt: str
    mode: Mode
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokensSpent:
    """What a generator charges for."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """Files by name, as the generator named them, and what they took."""

    files: Mapping[str, str]
    spent: TokensSpent


class Generator(Protocol):
    """Raises GeneratorBusyError where nothing was begun, LostAnswerError where the answer broke off, GeneratorError for
    an answer that is no project."""

    def most(self, assignment: Assignment) -> TokensSpent:
        """What an assignment takes at worst."""
        ...

    def make(self, assignment: Assignment) -> Made: ...
