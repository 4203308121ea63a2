"""What has shipped: the record of releases, and the frozen versions that it names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rules.areas import Area, AreaError, AreaVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """One version of one area, frozen with its cases by their digest."""

    area: str
    version: int
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release of the law."""

    number: int
    date: str
    note: str
    firestore: str
    storage: str
    """Digests of the root files' bodies."""
    cases: int
    coverage_percent: float
    areas: tuple[Shipped, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """All releases, oldest first."""

    releases: tuple[Release, ...] = field(default=())

    @property
    def number(self) -> int:
        return self.releases[-1].number if self.releases else 0

    @property
    def shipped(self) -> dict[str, Shipped]:
        """By area: what the last release shipped."""
        return {shipped.area: shipped for shipped in self.releases[-1].areas} if self.releases else {}

    @property
    def frozen(self) -> list[Shipped]:
        """Every version that any release shipped."""
        return list({(item.area, item.version): item for release in self.releases for item in release.areas}.values())


def read_history(path: Path) -> History:
    if not path.exists():
        return History()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return History(releases=tuple(_release(entry) for entry in content["releases"]))
    except json.JSONDecodeError as error:
        raise AreaError([f"{path}:{error.lineno}: not readable as JSON: {error.msg}"]) from None
    except (KeyError, TypeError) as error:
        raise AreaError([f"{path}:1: not a record of releases: {error}"]) from None


def write_history(path: Path, history: History) -> None:
    content = {"releases": [asdict(release) for release in history.releases]}
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def frozen_problems(areas: Sequence[Area], history: History) -> list[str]:
    """Shipped versions that are no longer what shipped."""
    by_name = {f"{area.service}/{area.name}": area for area in areas}
    problems: list[str] = []
    for shipped in history.frozen:
        area = by_name.get(shipped.area)
        version = area.version(shipped.version) if area else None
        if version is None:
            problems.append(f"{shipped.area}/v{shipped.version}.rules:1: has shipped and is gone; restore it")
        elif version.digest() != shipped.digest:
            problems.append(
                f"{version.rules_path}:1: version {shipped.version} has shipped, and it or its cases were edited; "
                f"restore them and write `v{area.newest.number + 1 if area else 2}.rules`"
            )
    return problems


def chosen_versions(areas: Sequence[Area], history: History, *, newest: bool) -> list[AreaVersion]:
    """The shipped version of each area, or its newest. A new area counts from its first release on, if there is one."""
    if newest or not history.releases:
        return [area.newest for area in areas]
    shipped = history.shipped
    found = [
        area.version(shipped[f"{area.service}/{area.name}"].version)
        for area in areas
        if f"{area.service}/{area.name}" in shipped
    ]
    return [version for version in found if version is not None]


def _release(entry: dict[str, Any]) -> Release:
    return Release(**{**entry, "areas": tuple(Shipped(**item) for item in entry["areas"])})
