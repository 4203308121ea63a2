"""How endpoints of models are asked: one POST, its answer as a stream of events, every fault told apart by its cost."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx2
import msgspec

from afterimage.generations.faults import GeneratorBusyError, GeneratorError, LostAnswerError
from afterimage.generations.generator import Assignment, Made, TokensSpent
from afterimage.settings import GeneratorSettings

T = TypeVar("T")
DEADLINE_SECONDS: Final = 280.0
MOST_ANSWER_BYTES: Final = 24 * 1024 * 1024
MOST_LINE_BYTES: Final = 4 * 1024 * 1024
OVERHEAD_TOKENS: Final = 4_000
"""What an endpoint may count for the frame around a prompt."""
PROJECT_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "files": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
                "required": ["path", "content"],
            },
        }
    },
    "required": ["files"],
}
_TIMEOUT: Final = httpx2.Timeout(30.0, connect=10.0, read=120.0)


class FileWritten(msgspec.Struct, frozen=True):
    """A file as a model names it."""

    path: str
    content: str


class ProjectWritten(msgspec.Struct, frozen=True):
    """What a model is asked to answer with."""

    files: list[FileWritten]


def instruction(assignment: Assignment) -> str:
    """What the model is told it is there for."""
    enhanced = "with tests, documentation and continuous integration"
    depth = enhanced if assignment.mode == "enhanced" else "as small as it may be"
    told = (
        f"You write a complete, runnable software project, {depth}. "
        "Answer with JSON: every file with its path and content."
    )
    if assignment.files:
        return f"{told} Change the project you are given as asked, and answer with all of its files, changed or not."
    return told


def question(assignment: Assignment) -> str:
    if not assignment.files:
        return assignment.prompt
    given = [{"path": path, "content": content} for path, content in assignment.files.items()]
    return f"{assignment.prompt}\n\nThe project as it is:\n{json.dumps({'files': given}, ensure_ascii=False)}"


@dataclass(frozen=True)
class EndpointGenerator:
    """What generators behind endpoints share: where they ask, and what that takes at worst."""

    settings: GeneratorSettings

    def most(self, assignment: Assignment) -> TokensSpent:
        """The worst case: no token is shorter than a byte."""
        sent = len(instruction(assignment).encode()) + len(question(assignment).encode("utf-8", "replace"))
        return TokensSpent(
            model=self.settings.model,
            input_tokens=sent + OVERHEAD_TOKENS,
            output_tokens=self.settings.most_output_tokens,
        )


def made_of(pieces: Sequence[str], finish: str | None, spent: TokensSpent | None, *, whole: str) -> Made:
    """What a stream came to; `whole` is the word by which the endpoint says that nothing was cut."""
    if finish is None or spent is None:
        raise LostAnswerError("the answer ended before it said what it cost")
    if finish != whole:
        raise GeneratorError(f"the generator stopped early: {finish[:40]}", spent)
    return Made(files=project_in("".join(pieces), spent), spent=spent)


def events_of(
    url: str, headers: Mapping[str, str], body: Mapping[str, Any], *, model: str, kind: type[T]
) -> Iterator[T]:
    """The events of a stream, each decoded; ends only where the endpoint ended it.

    Busy where nothing was begun, lost where the answer broke off, an error where the endpoint refused for good.
    """
    until = time.monotonic() + DEADLINE_SECONDS
    begun = False
    try:
        with (
            httpx2.Client(timeout=_TIMEOUT, trust_env=False) as http,
            http.stream("POST", url, headers=dict(headers), json=dict(body)) as answer,
        ):
            _refuse(answer, model)
            begun = True
            taken = 0
            for line in _lines(answer):
                taken += len(line)
                if taken > MOST_ANSWER_BYTES or time.monotonic() > until:
                    raise LostAnswerError("the answer is too long, or takes too long")
                data = line.removeprefix("data:").strip() if line.startswith("data:") else ""
                if data == "[DONE]":
                    return
                if data:
                    yield msgspec.json.decode(data, type=kind)
    except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
        raise GeneratorBusyError(f"the endpoint cannot be reached: {type(error).__name__}") from error
    except (httpx2.HTTPError, msgspec.DecodeError) as error:
        raise LostAnswerError(f"the answer broke off: {type(error).__name__}, {begun=}") from error


def project_in(text: str, spent: TokensSpent) -> Mapping[str, str]:
    """The files of an answer; GeneratorError, with what was spent, where it is no project."""
    try:
        written = msgspec.json.decode(_unfenced(text), type=ProjectWritten)
    except msgspec.DecodeError as error:
        raise GeneratorError("the generator's answer is no project", spent) from error
    files = {file.path: file.content for file in written.files}
    if len(files) < len(written.files):
        raise GeneratorError("the generator named a file twice", spent)
    return files


def _lines(answer: httpx2.Response) -> Iterator[str]:
    """Lines of bounded length, however the bytes come."""
    held = b""
    for chunk in answer.iter_bytes():
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r").decode("utf-8", "replace")
        if len(held) > MOST_LINE_BYTES:
            raise LostAnswerError("a line of the answer has no end")
    if held:
        yield held.decode("utf-8", "replace")


def _refuse(answer: httpx2.Response, model: str) -> None:
    status = answer.status_code
    if status < 300:
        return
    if status in {408, 409, 429} or status >= 500:
        raise GeneratorBusyError(f"the endpoint answered {status}")
    # Neither key nor prompt nor the endpoint's own words go into what the user is told.
    raise GeneratorError(f"the generator's endpoint refused with status {status}", TokensSpent(model=model))


def _unfenced(text: str) -> str:
    """Some models put JSON between fences of Markdown, whatever they are told."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped.partition("\n")[2].removesuffix("```")
    return stripped
