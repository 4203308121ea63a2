"""Reads one site of `hosting` in firebase.json into plain rules, naming the place of whatever does not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from afterimage_emulator.configuration import ConfigurationError, HostingSection
from afterimage_emulator.hosting.patterns.glob_segments import GlobError
from afterimage_emulator.hosting.patterns.globs import Glob
from afterimage_emulator.hosting.patterns.path_templates import (
    DestinationTemplate,
    SourceTemplate,
    TemplateError,
    has_captures,
)
from afterimage_emulator.linear_patterns import LinearPattern, PatternError

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_FUNCTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_REGION: Final = re.compile(r"[a-z][a-z0-9-]{0,40}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OF_THE_CONNECTION: Final = frozenset({"connection", "content-length", "date", "transfer-encoding", "upgrade"})


class Source(Protocol):
    """What says whether a rule is about a path."""

    def covers(self, path: str) -> bool: ...


@dataclass(frozen=True, slots=True)
class RegexSource:
    pattern: LinearPattern

    def covers(self, path: str) -> bool:
        return self.pattern.captures(path, anywhere=True) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class RedirectRule:
    source: Source
    template: SourceTemplate | None
    """For a glob whose destination takes parts of the path."""
    destination: str
    put_together: DestinationTemplate | None
    status: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderRule:
    source: Source
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ShownPage:
    """A file of the site that a rewrite shows."""

    names: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class FunctionTarget:
    name: str
    region: str | None


@dataclass(frozen=True, slots=True)
class NotServedHere:
    """A rewrite to something that only Google runs."""

    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RewriteRule:
    source: Source
    target: ShownPage | FunctionTarget | NotServedHere


@dataclass(frozen=True, kw_only=True, slots=True)
class SiteSettings:
    name: str | None
    public: Path | None
    ignore: tuple[Glob, ...] = ()
    redirects: tuple[RedirectRule, ...] = ()
    rewrites: tuple[RewriteRule, ...] = ()
    headers: tuple[HeaderRule, ...] = ()
    clean_urls: bool = False
    trailing_slash: bool | None = None
    languages: tuple[str, ...] | None = None
    """The names of the folder with a folder for each language."""
    warnings: tuple[str, ...] = ()


def read_site(section: HostingSection, root: Path) -> SiteSettings:
    """Raises `ConfigurationError` with the place of the first thing that cannot be understood."""
    return _Reader(section, root).read()


class _Reader:
    def __init__(self, section: HostingSection, root: Path) -> None:
        self._section = section
        self._content = section.content
        self._root = root
        self._warnings: list[str] = []

    def read(self) -> SiteSettings:
        public = self._text("public")
        if "source" in self._content:
            self._warnings.append(
                f"`{self._section.place}.source` names a web framework, which only the Firebase CLI builds; run the "
                "framework's own server, or build it and name the folder as `public`"
            )
        languages = self._i18n()
        return SiteSettings(
            name=self._section.name,
            public=None if public is None else self._root / public,
            ignore=tuple(self._ignore()),
            redirects=tuple(map(self._redirect, *self._rules("redirects"))),
            rewrites=tuple(map(self._rewrite, *self._rules("rewrites"))),
            headers=tuple(map(self._headers, *self._rules("headers"))),
            clean_urls=bool(self._flag("cleanUrls")),
            trailing_slash=self._flag("trailingSlash"),
            languages=languages,
            warnings=tuple(self._warnings),
        )

    # -- values

    def _wrong(self, key: str, problem: str) -> ConfigurationError:
        return ConfigurationError(f"firebase.json: `{self._section.place}.{key}` {problem}")

    def _text(self, key: str) -> str | None:
        value = self._content.get(key)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise self._wrong(key, f"must be a string, not {_shown(value)}")
        return value

    def _flag(self, key: str) -> bool | None:
        value = self._content.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, f"must be true or false, not {_shown(value)}")
        return value

    def _rules(self, key: str) -> tuple[list[str], list[Mapping[str, Any]]]:
        value = self._content.get(key, [])
        if not isinstance(value, list):
            raise self._wrong(key, f"must be a list, not {_shown(value)}")
        for index, rule in enumerate(value):
            if not isinstance(rule, dict):
                raise self._wrong(f"{key}[{index}]", f"must be an object, not {_shown(rule)}")
        return [f"{key}[{index}]" for index in range(len(value))], value

    def _ignore(self) -> Iterator[Glob]:
        value = self._content.get("ignore", [])
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self._wrong("ignore", f"must be a list of globs, not {_shown(value)}")
        for index, text in enumerate(value):
            yield self._glob(text, f"ignore[{index}]", dots=True, literal_signs=True)

    def _i18n(self) -> tuple[str, ...] | None:
        value = self._content.get("i18n")
        if value is None:
            return None
        root = value.get("root") if isinstance(value, dict) else None
        names = tuple(name for name in root.split("/") if name) if isinstance(root, str) else ()
        if not names or ".." in names:
            raise self._wrong("i18n.root", "must name the folder within `public` that holds a folder for each language")
        return names

    # -- rules

    def _source(self, rule: Mapping[str, Any], place: str, *, slashed: bool) -> Source:
        given = {key: rule[key] for key in ("source", "glob", "regex") if key in rule}
        if len(given) != 1 or not all(isinstance(value, str) for value in given.values()):
            raise self._wrong(place, "needs one of `source` (a glob) and `regex` (of RE2), as a string")
        [(key, text)] = given.items()
        if key == "regex":
            try:
                return RegexSource(LinearPattern(text))
            except PatternError as error:
                raise self._wrong(f"{place}.regex", f"`{text}` is no regular expression of RE2: {error}") from None
        if not slashed and re.match(r"[^/*?@+!\[{(\\]", text):
            self._warnings.append(
                f"`{self._section.place}.{place}.{key}` `{text}` covers no path, since every path begins with a slash; "
                f"write `/{text}`"
            )
        return self._glob(_slashed(text) if slashed else text, f"{place}.{key}")

    def _glob(self, text: str, place: str, *, dots: bool = False, literal_signs: bool = False) -> Glob:
        try:
            return Glob(text, dots=dots, literal_signs=literal_signs)
        except GlobError as error:
            raise self._wrong(place, f"`{text[:60]}` is no glob: {error}") from None

    def _redirect(self, place: str, rule: Mapping[str, Any]) -> RedirectRule:
        destination, status = rule.get("destination"), rule.get("type", 301)
        if not isinstance(destination, str) or not destination:
            raise self._wrong(f"{place}.destination", "must be the address to go to, as a string")
        if status not in _REDIRECTS or isinstance(status, bool):
            raise self._wrong(f"{place}.type", f"must be one of {sorted(_REDIRECTS)}, not {_shown(status)}")
        source = self._source(rule, place, slashed=True)
        template = put_together = None
        if has_captures(destination):
            try:
                put_together = DestinationTemplate(destination)
                if isinstance(source, Glob):
                    template = SourceTemplate(source.text)
            except TemplateError as error:
                raise self._wrong(f"{place}.source", f"`{rule.get('source')}` cannot be taken apart: {error}") from None
        return RedirectRule(
            source=source, template=template, destination=destination, put_together=put_together, status=int(status)
        )

    def _rewrite(self, place: str, rule: Mapping[str, Any]) -> RewriteRule:
        source = self._source(rule, place, slashed=False)
        kinds = [key for key in ("destination", "function", "run", "dynamicLinks") if key in rule]
        if len(kinds) != 1:
            raise self._wrong(place, "needs one of `destination`, `function`, `run` and `dynamicLinks`")
        if kinds == ["destination"]:
            return RewriteRule(source=source, target=self._page(place, rule["destination"]))
        if kinds == ["function"]:
            return RewriteRule(source=source, target=self._function(place, rule))
        service = f"the Cloud Run service {_shown(_service_id(rule.get('run')))}"
        named = service if kinds == ["run"] else "Firebase Dynamic Links"
        reason = f"`{self._section.place}.{place}` of firebase.json leads to {named}, which the suite does not run"
        self._warnings.append(f"{reason}; requests that it covers are answered with 501")
        return RewriteRule(source=source, target=NotServedHere(reason))

    def _page(self, place: str, destination: Any) -> ShownPage:
        if not isinstance(destination, str) or not destination.startswith("/"):
            raise self._wrong(f"{place}.destination", f"must begin with a slash, as {_shown(destination)} does not")
        names = tuple(name for name in destination.split("/") if name)
        if not names or destination.endswith("/"):
            raise self._wrong(f"{place}.destination", "must name a file, such as `/index.html`")
        return ShownPage(names, destination)

    def _function(self, place: str, rule: Mapping[str, Any]) -> FunctionTarget:
        function = rule["function"]
        name, region = function, rule.get("region")
        if isinstance(function, dict):
            if "region" in rule:
                raise self._wrong(f"{place}.region", "belongs into `function`, where that is an object")
            name, region = function.get("functionId"), function.get("region")
        if not isinstance(name, str) or _FUNCTION.fullmatch(name) is None:
            raise self._wrong(f"{place}.function", f"must name a function, not {_shown(name)}")
        if region is not None and (not isinstance(region, str) or _REGION.fullmatch(region) is None):
            raise self._wrong(f"{place}.region", f"must be a region such as `europe-west1`, not {_shown(region)}")
        return FunctionTarget(name, region)

    def _headers(self, place: str, rule: Mapping[str, Any]) -> HeaderRule:
        source = self._source(rule, place, slashed=True)
        headers = rule.get("headers", [])
        if not isinstance(headers, list):
            raise self._wrong(f"{place}.headers", f"must be a list, not {_shown(headers)}")
        read = [self._header(f"{place}.headers[{index}]", header) for index, header in enumerate(headers)]
        return HeaderRule(source=source, headers=tuple(read))

    def _header(self, place: str, header: Any) -> tuple[str, str]:
        key, value = (header.get("key"), header.get("value")) if isinstance(header, dict) else (None, None)
        if not isinstance(key, str) or _HEADER.fullmatch(key) is None or key.lower() in _OF_THE_CONNECTION:
            raise self._wrong(f"{place}.key", f"must be the name of a header that a site may set, not {_shown(key)}")
        if not isinstance(value, str) or not value.isprintable():
            raise self._wrong(f"{place}.value", f"must be a string in one line, not {_shown(value)}")
        return key.lower(), value


def _slashed(text: str) -> str:
    """The CLI puts a slash before globs of redirects and headers, and takes backslashes for slashes there."""
    negated, rest = ("!", text[1:]) if text.startswith("!") else ("", text)
    return negated + re.sub("/+", "/", "/" + rest.replace("\\", "/"))


def _service_id(run: Any) -> Any:
    return run.get("serviceId") if isinstance(run, dict) else run


def _shown(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)[:60]}`"
