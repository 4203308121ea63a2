"""Areas on disk: which versions an area has, the text and the cases of each, and what makes an area unusable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterimage_emulator.rules_testing import CaseFile, CaseFileError, read_case_file

SERVICES: Final = {"firestore": "cloud.firestore", "storage": "firebase.storage"}
"""The folder of a service's areas, and its name in the language."""
_RULES_FILE = re.compile(r"v([1-9]\d*)\.rules")
_CASE_FILE = re.compile(r"v([1-9]\d*)\.\w+\.yaml")
_OVERLAPS = re.compile(r"^// overlaps: (.+)$", re.MULTILINE)
_ALLOW = re.compile(r"^\s*allow\b", re.MULTILINE)


class AreaError(Exception):
    """Something is wrong with the source of the law; each problem begins with its file and line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaVersion:
    """One version of one area: its text and its case files."""

    service: str
    area: str
    number: int
    rules_path: Path
    case_paths: tuple[Path, ...]

    @property
    def name(self) -> str:
        return f"{self.service}/{self.area}"

    @property
    def text(self) -> str:
        return self.rules_path.read_text(encoding="utf-8")

    @property
    def allows(self) -> bool:
        """Whether it holds an allow at all: areas of functions alone are tested by those that call them."""
        return _ALLOW.search(self.text) is not None

    @property
    def declared_overlaps(self) -> frozenset[str]:
        """Areas whose paths this one knowingly shares."""
        return frozenset(name.strip() for found in _OVERLAPS.findall(self.text) for name in found.split(","))

    def digest(self) -> str:
        """A digest of the text and of every case file: it changes whenever one of them does."""
        parts = hashlib.sha256()
        for path in (self.rules_path, *self.case_paths):
            content = path.read_bytes()
            parts.update(f"{path.name} {len(content)}\n".encode() + content)
        return parts.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """All versions of one area, oldest first."""

    service: str
    name: str
    versions: tuple[AreaVersion, ...]

    @property
    def newest(self) -> AreaVersion:
        return self.versions[-1]

    def version(self, number: int) -> AreaVersion | None:
        return next((version for version in self.versions if version.number == number), None)


def read_areas(root: Path) -> list[Area]:
    """Every area under `rules/`, in the order of its names; raises `AreaError` with everything that is wrong."""
    problems: list[str] = []
    areas: list[Area] = []
    for service in SERVICES:
        for folder in sorted(path for path in (root / service).glob("*") if path.is_dir()):
            versions = _versions(service, folder, problems)
            if versions:
                areas.append(Area(service=service, name=folder.name, versions=tuple(versions)))
            else:
                problems.append(f"{folder}:1: no version; an area begins with `v1.rules`")
    if not areas:
        problems.append(f"{root}:1: no areas; they lie in {' and '.join(f'`{service}/`' for service in SERVICES)}")
    if problems:
        raise AreaError(problems)
    return areas


def _versions(service: str, folder: Path, problems: list[str]) -> list[AreaVersion]:
    numbers: dict[int, Path] = {}
    cases: dict[int, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if found := _RULES_FILE.fullmatch(path.name):
            numbers[int(found[1])] = path
        elif found := _CASE_FILE.fullmatch(path.name):
            cases.setdefault(int(found[1]), []).append(path)
        else:
            problems.append(f"{path}:1: not part of an area; files are named `v1.rules` and `v1.cases.yaml`")
    problems += [
        f"{path}:1: cases for a version that does not exist; write `v{number}.rules`"
        for number, paths in sorted(cases.items())
        if number not in numbers
        for path in paths
    ]
    for expected, number in enumerate(sorted(numbers), 1):
        if number != expected:
            problems.append(f"{numbers[number]}:1: version {number} without version {expected}")
    return [
        AreaVersion(
            service=service,
            area=folder.name,
            number=number,
            rules_path=path,
            case_paths=tuple(cases.get(number, ())),
        )
        for number, path in sorted(numbers.items())
    ]


def read_cases(versions: Sequence[AreaVersion], problems: list[str]) -> dict[Path, CaseFile]:
    """Every case file of these versions; what cannot be read is added to the problems."""
    found: dict[Path, CaseFile] = {}
    for version in versions:
        for path in version.case_paths:
            try:
                found[path] = read_case_file(path)
            except CaseFileError as error:
                problems.append(str(error))
    return found


def case_problems(versions: Sequence[AreaVersion], files: Mapping[Path, CaseFile]) -> Iterator[str]:
    """Cases that test nothing: none for an area that allows something, an empty file, or the same case twice."""
    for version in versions:
        if version.allows and not version.case_paths:
            yield f"{version.rules_path}:1: no cases; write `v{version.number}.cases.yaml` beside it"
    for path, found in files.items():
        if not found.cases:
            yield f"{path}:1: no case in this file; it tests nothing"
        seen: dict[str, int] = {}
        for case in found.cases:
            # Two cases of one request on one state are one: the second can never fail alone.
            asked = repr((case.user, case.request, sorted(case.documents.items()), sorted(case.after.items())))
            first = seen.setdefault(asked, case.line)
            if first != case.line:
                yield f"{path}:{case.line}: `{case.name}` tests nothing: it is the case of line {first} again"
