"""Owns what is known of a stored object, and what of it a user may set (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Self

from afterimage_client.errors import StorageError

_TEXTS: Final = (
    "contentType",
    "md5Hash",
    "crc32c",
    "etag",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
)


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
        try:
            return cls._read(body)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StorageError(
                "unknown",
                f"storage described an object in a way that makes no sense: {error!r}",
                way_out="try again later",
            ) from error

    @classmethod
    def _read(cls, body: Mapping[str, Any]) -> Self:
        tokens = body.get("downloadTokens")
        size, generation = int(body.get("size", 0)), str(body["generation"])
        if size < 0 or not (generation.isascii() and generation.isdecimal()):
            raise ValueError(f"size `{size}`, generation `{generation[:30]}`")
        for name in (*_TEXTS, "bucket", "name"):
            if not isinstance(body.get(name), str | None):
                raise TypeError(f"`{name}` is no text")
        return cls(
            bucket=body["bucket"],
            path=body["name"],
            generation=generation,
            metageneration=str(body["metageneration"]),
            size=size,
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
            custom={name: str(value) for name, value in (body.get("metadata") or {}).items()},
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

    def __post_init__(self) -> None:
        for name in ("content_type", "cache_control", "content_disposition", "content_encoding", "content_language"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value.isprintable()):
                raise StorageError("invalid-argument", f"`{name}` is `{value!r}`", way_out="give one line of text")
        for key, value in self.custom.items():
            if not isinstance(key, str) or not isinstance(value, str | None):
                raise StorageError("invalid-argument", f"`{key}` of `custom` is `{value!r}`", way_out="give texts")

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

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Self:
        try:
            items = tuple(item["name"] for item in body.get("items", ()))
            folders, token = tuple(body.get("prefixes", ())), body.get("nextPageToken")
        except (KeyError, TypeError, AttributeError) as error:
            raise StorageError("unknown", f"storage listed a folder in a way that makes no sense: {error!r}") from error
        if not all(isinstance(each, str) for each in (*items, *folders, token or "")):
            raise StorageError("unknown", "storage listed names that are no texts")
        return cls(items=items, folders=folders, next_page_token=token or None)


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
