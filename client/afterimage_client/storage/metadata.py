"""Owns what is known of a stored object, and what of it a user may set (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectMetadata:
    """One object as the server describes it. `generation` names just these bytes: it changes with each upload."""

    bucket: str
    path: str
    generation: str
    metageneration: str
    size: int
    content_type: str | None = None
    created: datetime | None = None
    updated: datetime | None = None
    md5: str | None = None
    crc32c: str | None = None
    etag: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    custom: Mapping[str, str] = field(default_factory=dict)
    download_tokens: Sequence[str] = field(default=(), repr=False)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        tokens = body.get("downloadTokens")
        return cls(
            bucket=body["bucket"],
            path=body["name"],
            generation=str(body["generation"]),
            metageneration=str(body["metageneration"]),
            size=int(body.get("size", 0)),
            content_type=body.get("contentType"),
            created=_time(body.get("timeCreated")),
            updated=_time(body.get("updated")),
            md5=body.get("md5Hash"),
            crc32c=body.get("crc32c"),
            etag=body.get("etag"),
            cache_control=body.get("cacheControl"),
            content_disposition=body.get("contentDisposition"),
            content_encoding=body.get("contentEncoding"),
            content_language=body.get("contentLanguage"),
            custom=dict(body.get("metadata") or {}),
            download_tokens=tuple(token for token in tokens.split(",") if token) if isinstance(tokens, str) else (),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NewMetadata:
    """What a user sets. None leaves a field as it is, or to the server; in `custom` None removes a key."""

    content_type: str | None = None
    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    custom: Mapping[str, str | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        named = {
            "contentType": self.content_type,
            "cacheControl": self.cache_control,
            "contentDisposition": self.content_disposition,
            "contentEncoding": self.content_encoding,
            "contentLanguage": self.content_language,
        }
        body: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
        if self.custom:
            body["metadata"] = dict(self.custom)
        return body


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One page of a folder: objects that lie in it, and folders below it, both by their paths."""

    items: Sequence[str]
    folders: Sequence[str]
    next_page_token: str | None


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
