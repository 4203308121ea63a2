"""How files made of an original are named, in the derived bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class DerivedPath:
    """The parts of a derived file's name."""

    bucket: str
    name: str
    generation: int
    plan: str
    variant: str

    def __str__(self) -> str:
        return f"{derived_folder(self.bucket, self.name, self.generation)}{self.plan}/{self.variant}"


_DERIVED_TAIL = re.compile(
    r"(?P<name>.+)/(?P<generation>[0-9]{1,19})/(?P<plan>[0-9a-f]+)/(?P<variant>[^/]+)", re.DOTALL
)


def app_file_path(digest: str, name: str) -> str:
    """One of the app's own files, in the derived bucket. No bucket's name begins like this, so nothing derived does."""
    return f"_app/{digest}/{name}"


def derived_folder(bucket: str, name: str, generation: int) -> str:
    """Where everything made of one generation of an object lives, in the derived bucket; ends with a slash."""
    return f"{bucket}/{name}/{generation}/"


def derived_path(bucket: str, name: str, generation: int, plan: str, variant: str) -> DerivedPath:
    return DerivedPath(bucket=bucket, name=name, generation=generation, plan=plan, variant=variant)


def parse_derived(path: str) -> DerivedPath | None:
    """The parts of a derived file's name, read from the right so that no two originals can be mistaken."""
    bucket, _, rest = path.partition("/")
    found = _DERIVED_TAIL.fullmatch(rest)
    if not bucket or found is None:
        return None
    return DerivedPath(
        bucket=bucket,
        name=found["name"],
        generation=int(found["generation"]),
        plan=found["plan"],
        variant=found["variant"],
    )
