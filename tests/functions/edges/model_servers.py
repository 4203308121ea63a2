"""Owns contract servers of model endpoints: what a request must look like, streamed answers, and faults on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal

from afterimage.settings import GeneratorSettings
from tests.listening import listening

KEY = "a-secret-key"
MODEL = "house-model"
FILES = {"main.py": "print('hé')\n", "docs/a.md": "# A\n"}
Kind = Literal["openai", "gemini"]


def written(files: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    pairs = files.items() if isinstance(files, Mapping) else files
    return json.dumps({"files": [{"path": path, "content": content} for path, content in pairs]}, ensure_ascii=False)


@dataclass
class ModelServer:
    """One endpoint; `status`, `text`, `finish`, `usage` and `mangle` say how it answers the next requests."""

    kind: Kind
    url: str = ""
    status: int = 200
    text: str = field(default_factory=lambda: written(FILES))
    finish: str | None = "ok"
    usage: bool = True
    mangle: Callable[[bytes], bytes] = lambda stream: stream
    """Changes the bytes of the stream; where fewer come out than were announced, the connection breaks."""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def settings(self) -> GeneratorSettings:
        url = f"{self.url}/v1" if self.kind == "openai" else self.url
        return GeneratorSettings(kind=self.kind, model=MODEL, url=url, key=KEY, most_output_tokens=1000)

    def complaint(self, path: str, headers: Mapping[str, str], body: dict[str, Any]) -> str:
        """What the real endpoint would refuse a request for."""
        if self.kind == "openai":
            faults = {
                "path": path != "/v1/chat/completions",
                "key": headers.get("Authorization") != f"Bearer {KEY}",
                "messages": [each.get("role") for each in body.get("messages", [])] != ["system", "user"],
                "stream": body.get("stream") is not True or not body.get("stream_options", {}).get("include_usage"),
                "schema": body.get("response_format", {}).get("json_schema", {}).get("schema", {}).get("type")
                != "object",
                "limit": body.get("max_completion_tokens") != 1000,
                "model": body.get("model") != MODEL,
            }
        else:
            configuration = body.get("generationConfig", {})
            faults = {
                "path": path != f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse",
                "key": headers.get("x-goog-api-key") != KEY,
                "contents": [each.get("role") for each in body.get("contents", [])] != ["user"],
                "instruction": not body.get("systemInstruction", {}).get("parts"),
                "type": configuration.get("responseMimeType") != "application/json",
                "schema": configuration.get("responseSchema", {}).get("type") != "object",
                "limit": configuration.get("maxOutputTokens") != 1000,
            }
        return ", ".join(name for name, is_wrong in faults.items() if is_wrong)

    def events(self) -> Iterator[str]:
        """The answer in pieces of seven characters."""
        pieces = [self.text[at : at + 7] for at in range(0, len(self.text), 7)]
        if self.kind == "openai":
            yield json.dumps({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
            for piece in pieces:
                yield json.dumps({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
            if self.finish:
                yield json.dumps({"choices": [{"delta": {}, "finish_reason": self.finish.replace("ok", "stop")}]})
            if self.usage:
                yield json.dumps({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}})
            yield "[DONE]"
            return
        yield json.dumps({"candidates": [{"content": {"parts": [{"text": "I think", "thought": True}]}}]})
        for piece in pieces:
            yield json.dumps({"candidates": [{"content": {"parts": [{"text": piece}], "role": "model"}}]})
        last: dict[str, Any] = {}
        if self.finish:
            last["candidates"] = [{"finishReason": self.finish.replace("ok", "STOP")}]
        if self.usage:
            last["usageMetadata"] = {"promptTokenCount": 11, "candidatesTokenCount": 4, "thoughtsTokenCount": 3}
        yield json.dumps(last)


@contextmanager
def model_server(kind: Kind) -> Iterator[ModelServer]:
    """A server on a free port of this machine."""
    endpoint = ModelServer(kind=kind)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append(body)
            complaint = endpoint.complaint(self.path, dict(self.headers), body)
            status = 400 if complaint else endpoint.status
            if status != 200:
                self.answer(status, json.dumps({"error": {"message": f"{complaint} {KEY}"}}).encode(), None)
                return
            stream = "".join(f"data: {event}\r\n\r\n" for event in endpoint.events()).encode()
            self.answer(200, endpoint.mangle(stream), len(stream))

        def answer(self, status: int, content: bytes, announced: int | None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/event-stream" if status == 200 else "application/json")
            self.send_header("Content-Length", str(max(len(content), announced or 0)))
            self.send_header("Connection", "close")
            self.end_headers()
            for at in range(0, len(content), 1000):
                self.wfile.write(content[at : at + 1000])

        def log_message(self, *_arguments: object) -> None:
            return

    with listening(Handler) as endpoint.url:
        yield endpoint
