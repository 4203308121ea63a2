"""Where a path of a site is redirected to (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from afterimage_emulator.hosting.request_paths import encoded
from afterimage_emulator.hosting.site_settings import RedirectRule, RegexSource


@dataclass(frozen=True, slots=True)
class Redirect:
    location: str
    status: int = 301
    is_ordered: bool = False
    """Whether a rule asked for it, and not the form of the site's addresses."""


def redirect_of(rules: Sequence[RedirectRule], path: str, raw_query: str) -> Redirect | None:
    """The first rule that fits decides. The request's query goes along."""
    for rule in rules:
        destination = _destination(rule, path)
        if destination is not None:
            return Redirect(
                _with_query(encoded(_on_this_site(destination, rule)), raw_query), rule.status, is_ordered=True
            )
    return None


def _destination(rule: RedirectRule, path: str) -> str | None:
    if rule.put_together is not None:
        values = None
        if rule.template is not None:
            values = rule.template.take_apart(path)
        elif isinstance(rule.source, RegexSource):
            values = rule.source.pattern.captures(path, anywhere=True)
        if values is not None:
            return rule.put_together.put_together(values)
    return rule.destination if rule.source.covers(path) else None


def _on_this_site(destination: str, rule: RedirectRule) -> str:
    """A path that parts of the request made must not become the address of another site: `//evil.example`."""
    if rule.put_together is not None and not rule.destination.startswith("//") and destination[:1] in ("/", "\\"):
        return "/" + destination.lstrip("/\\")
    return destination


def _with_query(location: str, raw_query: str) -> str:
    if not raw_query:
        return location
    place, mark, fragment = location.partition("#")
    return f"{place}{'&' if '?' in place else '?'}{raw_query}{mark}{fragment}"
