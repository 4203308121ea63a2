"""A generator behind an endpoint of the OpenAI chat form: streamed, its files as structured output."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from afterimage.edges.model_streams import PROJECT_SCHEMA, EndpointGenerator, events_of, instruction, made_of, question
from afterimage.generations.faults import LostAnswerError
from afterimage.generations.generator import Assignment, Made, TokensSpent


class ChatDelta(Struct, frozen=True):
    """A piece of the answer."""

    content: str | None = None


class ChatChoice(Struct, frozen=True):
    """One of the answers; one is asked for."""

    delta: ChatDelta = ChatDelta()
    finish_reason: str | None = None


class ChatUsage(Struct, frozen=True):
    """What the endpoint charges for."""

    prompt_tokens: int
    completion_tokens: int


class ChatEvent(Struct, frozen=True):
    """One event of the stream."""

    choices: list[ChatChoice] = []
    usage: ChatUsage | None = None
    error: Any = None


class OpenAIChatGenerator(EndpointGenerator):
    """Asks `{url}/chat/completions`."""

    def make(self, assignment: Assignment) -> Made:
        model = self.settings.model
        pieces: list[str] = []
        finish, spent = None, None
        for event in events_of(
            f"{self.settings.url}/chat/completions",
            {"Authorization": f"Bearer {self.settings.key}"},
            self._body(assignment),
            model=model,
            kind=ChatEvent,
        ):
            if event.error is not None:
                raise LostAnswerError("the endpoint broke off with an error")
            for choice in event.choices[:1]:
                pieces.append(choice.delta.content or "")
                finish = choice.finish_reason or finish
            if event.usage is not None:
                read, written = event.usage.prompt_tokens, event.usage.completion_tokens
                spent = TokensSpent(model=model, input_tokens=read, output_tokens=written)
        return made_of(pieces, finish, spent, whole="stop")

    def _body(self, assignment: Assignment) -> dict[str, Any]:
        schema = {"name": "project", "schema": PROJECT_SCHEMA}
        return {
            "model": self.settings.model,
            "messages": [
                {"role": "system", "content": instruction(assignment)},
                {"role": "user", "content": question(assignment)},
            ],
            "max_completion_tokens": self.settings.most_output_tokens,
            "response_format": {"type": "json_schema", "json_schema": schema},
            "stream": True,
            "stream_options": {"include_usage": True},
        }
