"""The origins and host names that are allowed by configuration, beside those of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.front.local_hosts import split_host

ORIGINS_VARIABLE: Final = "AFTERIMAGE_ALLOWED_ORIGINS"
HOSTS_VARIABLE: Final = "AFTERIMAGE_ALLOWED_HOSTS"
ORIGINS_FLAG: Final = "--allow-origin"
HOSTS_FLAG: Final = "--allow-host"
PLACELESS_ORIGINS: Final = frozenset({"null", "file://"})
"""Pages that come from no host: files, which some shells of apps send as `file://`, and sandboxed frames."""
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,30}")
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a page comes from; `port` is the scheme's own where the text names none."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None for what names no place, such as `null`."""
        scheme, separator, rest = text.lower().partition("://")
        place = split_host(rest)
        if not separator or place is None or _SCHEME.fullmatch(scheme) is None:
            return None
        host, port = place
        return cls(scheme, host, _DEFAULT_PORTS.get(scheme) if port is None else port)


@dataclass(frozen=True, kw_only=True, slots=True)
class AllowedPages:
    """Pages of `origins` may do all that pages of this machine may; `hosts` may stand in a request's Host header."""

    origins: frozenset[Origin] = frozenset()
    hosts: frozenset[str] = frozenset()
    placeless: frozenset[str] = frozenset()
    """Those of `PLACELESS_ORIGINS` that are allowed."""

    @classmethod
    def read(cls, environment: Mapping[str, str], *, origins: Iterable[str] = (), hosts: Iterable[str] = ()) -> Self:
        """From the environment's variables and the command line's flags together, each a list with commas."""
        given = {
            **dict.fromkeys(_split(origins), ORIGINS_FLAG),
            **dict.fromkeys(_split([environment.get(ORIGINS_VARIABLE, "")]), ORIGINS_VARIABLE),
        }
        named = {
            **dict.fromkeys(_split(hosts), HOSTS_FLAG),
            **dict.fromkeys(_split([environment.get(HOSTS_VARIABLE, "")]), HOSTS_VARIABLE),
        }
        parsed = frozenset(_origin(text, source) for text, source in given.items() if text not in PLACELESS_ORIGINS)
        # An operator who trusts a page trusts its name.
        return cls(
            origins=parsed,
            hosts=frozenset(_host(text, source) for text, source in named.items()) | {one.host for one in parsed},
            placeless=PLACELESS_ORIGINS & given.keys(),
        )


def _split(lists: Iterable[str]) -> list[str]:
    return [part.strip() for text in lists for part in text.split(",") if part.strip()]


def _origin(text: str, source: str) -> Origin:
    origin = Origin.parse(text.removesuffix("/"))
    if origin is None or "*" in text:
        raise ConfigurationError(
            f"{source}: `{text}` is not an origin; write scheme, host and port, such as `https://app.example:8443`, "
            "or `null`, and name each origin by itself"
        )
    return origin


def _host(text: str, source: str) -> str:
    place = split_host(text)
    if place is None or "*" in text:
        raise ConfigurationError(
            f"{source}: `{text}` is not a host name; write it as requests do, such as `suite.example`, and name each "
            "host by itself"
        )
    return place[0]
