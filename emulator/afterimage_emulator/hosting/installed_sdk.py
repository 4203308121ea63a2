"""Finds the JavaScript SDK where npm has put it: what the reserved addresses of Hosting serve without a network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_NAME: Final = re.compile(r"firebase(?:-[a-z]+)*\.js(?:\.map)?")
VERSION: Final = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[A-Za-z0-9.-]{1,40})?")
_BESIDE: Final = ("web", "frontend", "client", "app")
"""Folders of a project where its pages, and so their packages, often have a place of their own."""


@dataclass(frozen=True, slots=True)
class Sdk:
    folder: Path
    version: str


class InstalledSdk:
    """Looks anew at each request: a package may be installed while the suite runs."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def of_version(self, version: str, places: Sequence[Path] = ()) -> Sdk | None:
        """The SDK of that version, or else of its major version: patches differ in nothing that a page would notice."""
        found = list(self._installed(places))
        for sdk in found:
            if sdk.version == version:
                return sdk
        major = version.partition(".")[0]
        return next((sdk for sdk in found if sdk.version.partition(".")[0] == major), None)

    def versions(self, places: Sequence[Path] = ()) -> list[str]:
        return [sdk.version for sdk in self._installed(places)]

    def _installed(self, places: Sequence[Path]) -> Iterator[Sdk]:
        seen: set[Path] = set()
        for place in (self._root, *places, *(self._root / name for name in _BESIDE)):
            for folder in (place, *place.parents):
                package = folder / "node_modules" / "firebase"
                if package in seen:
                    continue
                seen.add(package)
                version = _version_of(package)
                if version is not None:
                    yield Sdk(package, version)


def _version_of(package: Path) -> str | None:
    try:
        described = json.loads((package / "package.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    version = described.get("version") if isinstance(described, dict) else None
    return version if isinstance(version, str) and VERSION.fullmatch(version) else None
