"""Which folders hold a visitor's own version of a file, by language and country (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from afterimage_emulator.wire.http_messages import Headers

_LIMIT = 20


def language_folders(root: Sequence[str], headers: Headers) -> list[tuple[str, ...]]:
    """The best first: language with country, country alone, language alone."""
    country = _cookie(headers, "firebase-country-override") or headers.get("x-country-code") or ""
    languages = list(dict.fromkeys(_languages(headers)))[:_LIMIT]
    names = [f"{language}_{country}" for language in languages] + [f"ALL_{country}"] if country else []
    for language in languages:
        names += [f"{language}_ALL", language]
    return [(*root, name) for name in names]


def _languages(headers: Headers) -> Iterator[str]:
    chosen = _cookie(headers, "firebase-language-override")
    if chosen:
        yield from (language for language in chosen.split(",") if language)
        return
    for accepted in (headers.get("accept-language") or "").split(","):
        language = accepted.split(";")[0].split("-")[0].strip()
        if language and language != "*":
            yield language


def _cookie(headers: Headers, name: str) -> str:
    for line in headers.all("cookie"):
        for cookie in line.split(";"):
            key, _, value = cookie.strip().partition("=")
            if key == name:
                return value
    return ""
