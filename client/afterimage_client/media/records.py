"""Owns what the server tells of a stored file: where its record stands, which variants are worth fetching (pure)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

_FOREIGN: Final = "gs://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A smaller or lighter file that the server made of another one."""

    name: str
    bucket: str
    path: str
    content_type: str
    width: int
    height: int
    bytes: int

    @property
    def storage_path(self) -> str:
        """The place in one text: variants lie in a bucket of their own."""
        return f"{_FOREIGN}{self.bucket}/{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaRecord:
    """The record of one stored file, as far as showing it needs it."""

    status: str
    reason: str | None
    generation: str
    blurhash: str | None
    variants: tuple[Variant, ...]

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """What makes no sense is left out: the original is there without it."""
        placeholder, reason, variants = fields.get("placeholder"), fields.get("reason"), fields.get("variants")
        blurhash = placeholder.get("blurhash") if isinstance(placeholder, Mapping) else None
        return cls(
            status=str(fields.get("status", "")),
            reason=reason if isinstance(reason, str) else None,
            generation=str(fields.get("generation", "")),
            blurhash=blurhash if isinstance(blurhash, str) else None,
            variants=tuple(_variant(each) for each in variants if _is_variant(each))
            if isinstance(variants, list)
            else (),
        )

    def worth_showing(self, width: int | None) -> list[Variant]:
        """The smallest variant, then the smallest one that fills `width`; without a width the smallest alone."""
        sizes = sorted(_one_of_each_size(self.variants), key=lambda each: (each.width * each.height, each.bytes))
        if not sizes:
            return []
        if width is None:
            return sizes[:1]
        asked = next((each for each in sizes if each.width >= width), sizes[-1])
        return [sizes[0]] if asked == sizes[0] else [sizes[0], asked]


def object_id(bucket: str, path: str) -> str:
    """The id of a file's record, which can be computed before the file is uploaded."""
    return base64.urlsafe_b64encode(f"{bucket}/{path}".encode()).rstrip(b"=").decode()


def record_path(bucket: str, path: str) -> str | None:
    """The document that tells of a file; None where the server records nothing."""
    folder, _, rest = path.partition("/")
    if folder == "media":
        return f"mediaObjects/{object_id(bucket, path)}"
    if folder in ("users", "generating", "artifacts") and "/" in rest:
        return f"users/{rest.partition('/')[0]}/objects/{object_id(bucket, path)}"
    return None


def place_of(storage_path: str) -> tuple[str | None, str]:
    """Bucket and path of a place; None is the app's own bucket."""
    if not storage_path.startswith(_FOREIGN):
        return None, storage_path
    bucket, _, path = storage_path.removeprefix(_FOREIGN).partition("/")
    return bucket, path


def _one_of_each_size(variants: tuple[Variant, ...]) -> list[Variant]:
    """Where one size has several formats, WebP is taken: every program that shows pictures at all can show it."""
    found: dict[tuple[int, int], Variant] = {}
    for each in variants:
        size = (each.width, each.height)
        if size not in found or each.content_type == "image/webp":
            found[size] = each
    return list(found.values())


def _is_variant(told: Any) -> bool:
    if not isinstance(told, Mapping):
        return False
    are_texts = all(isinstance(told.get(name), str) and told[name] for name in ("name", "bucket", "path"))
    return are_texts and all(isinstance(told.get(name) or 0, int) for name in ("width", "height", "bytes"))


def _variant(told: Mapping[str, Any]) -> Variant:
    return Variant(
        name=str(told["name"]),
        bucket=str(told["bucket"]),
        path=str(told["path"]),
        content_type=str(told.get("content_type", "")),
        width=int(told.get("width") or 0),
        height=int(told.get("height") or 0),
        bytes=int(told.get("bytes") or 0),
    )
