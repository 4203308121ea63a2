"""Document path patterns of triggers: `users/{uid}`, `rooms/{room}/{rest=**}`, `logs/*`."""

from __future__ import annotations

import re
from functools import lru_cache

_CAPTURE = re.compile(r"\{[^{}=]*(?:=(\*\*?))?\}|(\*\*?)")


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """One segment for `{name}`, `{name=*}` and `*`; any number for `{name=**}` and `**`."""
    parts: list[str] = []
    position = 0
    for capture in _CAPTURE.finditer(pattern.strip("/")):
        parts.append(re.escape(pattern.strip("/")[position : capture.start()]))
        parts.append(".+" if (capture[1] or capture[2]) == "**" else "[^/]+")
        position = capture.end()
    parts.append(re.escape(pattern.strip("/")[position:]))
    return re.compile("".join(parts), re.DOTALL)


def matches(pattern: str, path: str) -> bool:
    return compile_pattern(pattern).fullmatch(path) is not None
