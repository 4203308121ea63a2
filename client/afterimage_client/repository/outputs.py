"""Owns what an output is: its parts, the names that follow from them, and its fields in Firestore (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self

from afterimage_client.firestore.transforms import SERVER_TIMESTAMP

IMAGE_TYPES: Final = ("portrait", "action", "evolution")
_MODEL_VERSIONS: Final[Mapping[str, str]] = {
    "gemini-2.5-flash": "2.5.20251001",
    "gemini-2.5-pro": "2.5.20251001",
}
_THE_SERVERS: Final = frozenset({"cache_hit_count", "last_accessed", "generated_at"})


class ContentType(StrEnum):
    """The four kinds of outputs."""

    DIALOGUE = "dialogue"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"

    @property
    def collection(self) -> str:
        return {"dialogue": "dialogues", "image": "images", "video": "videos", "audio": "audio"}[self.value]


def model_version_of(model: str) -> str:
    return _MODEL_VERSIONS.get(model, "unknown")


def checked_part(value: str, name: str) -> str:
    """A part of a name; a slash would lead to another folder."""
    if not isinstance(value, str) or not value or "/" in value:
        raise ValueError(f"`{name}` is `{value}`: give it one character at least, and no `/`")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """A generated text. `cache_hit_count` and the times are the server's; a save does not send them again."""

    card_id: str
    interaction_id: str
    text: str
    model: str
    personality_traits: Mapping[str, float] = field(default_factory=dict)
    latency_ms: int | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_hit_count: int = field(default=0, compare=False)
    generated_at: datetime | None = field(default=None, compare=False)
    last_accessed: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        checked_part(self.card_id, "card_id")
        checked_part(self.interaction_id, "interaction_id")

    @property
    def content_type(self) -> ContentType:
        return ContentType.DIALOGUE

    @property
    def id(self) -> str:
        return f"{self.card_id}_{self.interaction_id}"

    @property
    def parts(self) -> dict[str, str]:
        """What tells this output from another one whose parts make the same id."""
        return {"card_id": self.card_id, "interaction_id": self.interaction_id}

    def to_fields(self) -> dict[str, Any]:
        return _fields_of(self)

    @classmethod
    def from_fields(cls, found: Mapping[str, Any]) -> Self:
        return cls(**{"text": "", "model": "", **_known(cls, found)})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOutput:
    """What is told of a generated picture, film or sound; its bytes lie in Storage, under `path`."""

    content_type: ContentType
    model: str
    card_id: str | None = None
    image_type: str | None = None
    scene_id: str | None = None
    stem_id: str | None = None
    stem_type: str | None = None
    path: str | None = None
    prompt: str | None = None
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    latency_ms: int | None = None
    cost_usd: float | None = None
    metadata: Mapping[str, Any] | None = None
    cache_hit_count: int = field(default=0, compare=False)
    generated_at: datetime | None = field(default=None, compare=False)
    last_accessed: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.content_type is ContentType.DIALOGUE:
            raise ValueError("a dialogue has no file: use `Dialogue`")
        for name, value in self.parts.items():
            checked_part(value, name)
        if self.content_type is ContentType.IMAGE:
            checked_image_type(self.parts["image_type"])

    @property
    def id(self) -> str:
        return "_".join(self.parts.values())

    @property
    def parts(self) -> dict[str, str]:
        names = {
            ContentType.IMAGE: ("card_id", "image_type"),
            ContentType.VIDEO: ("scene_id",),
            ContentType.AUDIO: ("stem_type", "stem_id"),
        }[self.content_type]
        return {name: getattr(self, name) or "" for name in names}

    def to_fields(self) -> dict[str, Any]:
        return _fields_of(self)

    @classmethod
    def from_fields(cls, content_type: ContentType, found: Mapping[str, Any]) -> Self:
        return cls(**{"model": "", **_known(cls, found), "content_type": content_type})


Output = Dialogue | FileOutput


def checked_image_type(image_type: str) -> str:
    if image_type not in IMAGE_TYPES:
        raise ValueError(f"`image_type` is `{image_type}`: use one of `{'`, `'.join(IMAGE_TYPES)}`")
    return image_type


def output_from_fields(content_type: ContentType, found: Mapping[str, Any]) -> Output:
    if content_type is ContentType.DIALOGUE:
        return Dialogue.from_fields(found)
    return FileOutput.from_fields(content_type, found)


def document_path(uid: str, content_type: ContentType, output_id: str) -> str:
    return f"ai_outputs/{uid}/{content_type.collection}/{output_id}"


def is_about(found: Mapping[str, Any], parts: Mapping[str, str]) -> bool:
    """Whether a document or an entry is of this output: `a_b` and `c` make the same id as `a` and `b_c`."""
    return all(found.get(name, value) == value for name, value in parts.items())


def new_fields(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document of an output that the cloud has not got."""
    return {
        **sent,
        "generated_at": SERVER_TIMESTAMP,
        "cache_hit_count": 0,
        "last_accessed": SERVER_TIMESTAMP,
        "version": 1,
    }


def changed_fields(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """What a save changes of a document that is there: never its hits, nor when it was made."""
    return {name: value for name, value in sent.items() if (name, value) not in stored.items()}


def _fields_of(output: Output) -> dict[str, Any]:
    told = {each.name: getattr(output, each.name) for each in fields(output)}
    sent = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in told.items()
        if value is not None and name not in _THE_SERVERS and name != "content_type"
    }
    return {**sent, "model_version": model_version_of(output.model), "cached": True}


def _known(kind: type[Any], found: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)} - {"content_type"}
    return {name: value for name, value in found.items() if name in names}
