"""Owns the shape of what a worker answers and writes down: links or inline data under the same names (pure)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from afterimage_client.worker.places import MediaKind
from afterimage_client.worker.requests import GenerationRequest

LINK_NAMES: Final = ("images", "image_url", "video_url")


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerFile:
    """A file of a generation that is stored, as its document names it."""

    path: str
    generation: int
    bytes: int
    content_type: str
    sha256: str
    url: str

    def to_fields(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "generation": str(self.generation),
            "bytes": self.bytes,
            "content_type": self.content_type,
            "sha256": self.sha256,
        }


def token_url(host: str, bucket: str, path: str, token: str) -> str:
    """The lasting link of Firebase's dialect: whoever has it may read, without signing in."""
    return f"{host}/v0/b/{bucket}/o/{quote(path, safe='')}?alt=media&token={token}"


def data_url(content_type: str, data: bytes) -> str:
    """Inline data in the form of a link, so that a client shows it as it shows a link."""
    return f"data:{content_type};base64,{base64.b64encode(data).decode('ascii')}"


def links_of(kind: MediaKind, links: Sequence[str]) -> dict[str, Any]:
    """Under the names that clients read. A video has no `images`: clients take an empty list for pictures."""
    if kind is MediaKind.IMAGE:
        return {"images": list(links), "image_url": links[0] if links else None}
    return {"video_url": links[0] if links else None}


def answer(request: GenerationRequest, user_id: str, links: Sequence[str]) -> dict[str, Any]:
    """The whole response."""
    return {
        **links_of(request.kind, links),
        "seed": request.seed,
        "task_type": request.task_type,
        "file_uid": request.file_uid or None,
        "user_id": user_id or None,
    }


def answer_again(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The response to a request that was answered before, from its document."""
    data = fields.get("generation_data")
    held = data if isinstance(data, Mapping) else {}
    return {
        **{name: held[name] for name in LINK_NAMES if name in held},
        "seed": held.get("seed"),
        "task_type": held.get("task_type"),
        "file_uid": fields.get("file_uid"),
        "user_id": fields.get("user_id"),
    }
