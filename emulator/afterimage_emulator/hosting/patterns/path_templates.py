"""Owns the templates of redirects: `/blog/:post*` takes a path apart, another template puts its parts together (pure).

They are those of path-to-regexp, which the Firebase CLI uses: `:name` is a segment, `:name*` any number of segments,
`:name(pattern)` what RE2 finds there, `*` the rest; letter case and a slash at the end do not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.linear_patterns import LinearPattern, PatternError

_SIGN: Final = re.compile(
    r"\\(?P<escaped>.)"
    r"|(?P<prefix>[/.])?(?::(?P<name>\w+)(?:\((?P<custom>(?:\\.|[^\\()])+)\))?|\((?P<nameless>(?:\\.|[^\\()])+)\))"
    r"(?P<modifier>[+*?])?"
    r"|(?P<rest>\*)",
    re.DOTALL,
)
_HOST: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")


class TemplateError(Exception):
    """The template cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplatePart:
    name: str
    prefix: str
    pattern: str
    optional: bool
    repeats: bool
    is_within: bool
    """Whether something of the same segment follows it."""


class SourceTemplate:
    """What takes a path apart."""

    def __init__(self, template: str) -> None:
        self._parts = list(_parts(template))
        expression = ""
        for part in self._parts:
            expression += re.escape(part) if isinstance(part, str) else _capture(part)
        expression = expression.removesuffix("/") if template.endswith("/") else expression
        try:
            self._pattern = LinearPattern(expression + "/?", ignore_case=True)
        except PatternError as error:
            raise TemplateError(f"its pattern is none of RE2's: {error}") from None

    def take_apart(self, path: str) -> Mapping[str, str | None] | None:
        """The parts by their names, or None where the path is of another form."""
        found = self._pattern.captures(path)
        if found is None:
            return None
        names = [part.name for part in self._parts if isinstance(part, TemplatePart)]
        return {name: found[str(number)] for number, name in enumerate(names, start=1)}


class DestinationTemplate:
    """What is put together from the parts."""

    def __init__(self, template: str) -> None:
        host = _HOST.match(template)  # the colon of a port begins no name
        self._host = host[0] if host else ""
        self._parts = list(_parts(template[len(self._host) :]))

    def put_together(self, values: Mapping[str, str | None]) -> str | None:
        """None where a part is missing that the template cannot do without."""
        text = self._host
        for part in self._parts:
            if isinstance(part, str):
                text += part
                continue
            value = values.get(part.name)
            if value is None:
                if not part.optional:
                    return None
                text += part.prefix if part.is_within else ""
            elif value == "" or ("/" in value and not part.repeats and part.pattern != ".*"):
                return None
            else:
                text += part.prefix + value
        return text


def has_captures(destination: str) -> bool:
    return destination.startswith(":") or "/:" in destination.replace("://", "", 1)


def _parts(template: str) -> Iterator[str | TemplatePart]:
    text, at, nameless = "", 0, 0
    previous = ""
    for sign in _SIGN.finditer(template):
        text += template[at : sign.start()]
        at = sign.end()
        if sign["escaped"] is not None:
            text += sign["escaped"]
            continue
        if text:
            yield text
            previous, text = text, ""
        prefix = sign["prefix"] or ""
        name = sign["name"]
        if name is None:
            name, nameless = str(nameless), nameless + 1
        following = template[at : at + 1]
        yield TemplatePart(
            name=name,
            prefix=prefix,
            pattern=_pattern(sign, prefix or previous),
            optional=sign["modifier"] in ("?", "*"),
            repeats=sign["modifier"] in ("+", "*"),
            is_within=bool(prefix) and following not in ("", prefix),
        )
        previous = ""
    text += template[at:]
    if text:
        yield text


def _pattern(sign: re.Match[str], before: str) -> str:
    custom = sign["custom"] or sign["nameless"]
    if custom is not None:
        if re.search(r"(?<!\\)\((?!\?:)", custom):
            raise TemplateError(f"`({custom})` holds a group of its own")
        return custom
    if sign["rest"] is not None:
        return ".*"
    delimiter = re.escape(sign["prefix"] or "/")
    if len(before) == 1 and before not in "/.":  # `:a-:b`: the second part begins behind the first dash
        return f"{re.escape(before)}|[^{delimiter}{re.escape(before)}]+?"
    return f"[^{delimiter}]+?"


def _capture(part: TemplatePart) -> str:
    prefix, one = re.escape(part.prefix), f"(?:{part.pattern})"
    if part.repeats:
        one += f"(?:{prefix or '/'}{one})*"
    if not part.optional:
        return f"{prefix}({one})"
    return f"{prefix}({one})?" if part.is_within else f"(?:{prefix}({one}))?"
