"""A generator behind Gemini's endpoint: streamed, its files as structured output."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from msgspec import Struct, field

from afterimage.edges.model_streams import PROJECT_SCHEMA, EndpointGenerator, events_of, instruction, made_of, question
from afterimage.generations.faults import LostAnswerError
from afterimage.generations.generator import Assignment, Made, TokensSpent


class GeminiPart(Struct, frozen=True):
    """A piece of the answer."""

    text: str = ""
    thought: bool = False


class GeminiContent(Struct, frozen=True):
    """Pieces of the answer."""

    parts: list[GeminiPart] = []


class GeminiCandidate(Struct, frozen=True):
    """One of the answers; one is asked for."""

    content: GeminiContent = GeminiContent()
    finish_reason: str | None = field(default=None, name="finishReason")


class GeminiFeedback(Struct, frozen=True):
    """Why a prompt was not answered."""

    reason: str | None = field(default=None, name="blockReason")


class GeminiUsage(Struct, frozen=True):
    """What the endpoint charges for."""

    prompt: int = field(default=0, name="promptTokenCount")
    answer: int = field(default=0, name="candidatesTokenCount")
    thoughts: int = field(default=0, name="thoughtsTokenCount")


class GeminiEvent(Struct, frozen=True):
    """One event of the stream."""

    candidates: list[GeminiCandidate] = []
    feedback: GeminiFeedback | None = field(default=None, name="promptFeedback")
    usage: GeminiUsage | None = field(default=None, name="usageMetadata")
    error: Any = None


class GeminiGenerator(EndpointGenerator):
    """Asks `{url}/v1beta/models/{model}:streamGenerateContent`."""

    def make(self, assignment: Assignment) -> Made:
        model = self.settings.model
        pieces: list[str] = []
        finish, spent = None, None
        for event in events_of(
            f"{self.settings.url}/v1beta/models/{quote(model, safe='')}:streamGenerateContent?alt=sse",
            {"x-goog-api-key": self.settings.key},
            self._body(assignment),
            model=model,
            kind=GeminiEvent,
        ):
            if event.error is not None:
                raise LostAnswerError("the endpoint broke off with an error")
            for candidate in event.candidates[:1]:
                # What a model thinks on its way is paid for, and is no part of the answer.
                pieces += [part.text for part in candidate.content.parts if not part.thought]
                finish = candidate.finish_reason or finish
            if event.feedback is not None:
                finish = event.feedback.reason or finish
            if event.usage is not None:
                usage = event.usage
                spent = TokensSpent(model=model, input_tokens=usage.prompt, output_tokens=usage.answer + usage.thoughts)
        return made_of(pieces, finish, spent, whole="STOP")

    def _body(self, assignment: Assignment) -> dict[str, Any]:
        return {
            "systemInstruction": {"parts": [{"text": instruction(assignment)}]},
            "contents": [{"role": "user", "parts": [{"text": question(assignment)}]}],
            "generationConfig": {
                "responseMimeType": "application/json",
                "responseSchema": PROJECT_SCHEMA,
                "maxOutputTokens": self.settings.most_output_tokens,
            },
        }
