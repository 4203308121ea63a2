"""What users say about a file and about a save, checked before anything is done with it. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from afterimage.artifacts.refusals import invalid

NAME_LIMIT: Final = 200
FOLDER_LIMIT: Final = 400
TAGS_LIMIT: Final = 20
TAG_LIMIT: Final = 60
MOST_MERGED: Final = 20
"""So many files are merged into another at once."""
DESCRIPTION_LIMIT: Final = 2000
TYPE_LIMIT: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What is said of a file with a save; None leaves what was said before."""

    name: str | None = None
    artifact_type: str | None = None
    folder: str | None = None
    tags: tuple[str, ...] | None = None
    description: str = ""
    """What this version is about."""
    change: str = ""
    author: str = ""
    """Whose work this version is; the caller's own id where nothing is said."""


def checked_description(said: Description) -> Description:
    """The same, or a refusal that names what cannot be."""
    if said.name is not None:
        checked_name(said.name)
    for field, text, limit in (
        ("artifact_type", said.artifact_type or "", TYPE_LIMIT),
        ("description", said.description, DESCRIPTION_LIMIT),
        ("change", said.change, DESCRIPTION_LIMIT),
        ("author", said.author, NAME_LIMIT),
    ):
        _refuse_long(field, text, limit)
    if said.folder is not None:
        _refuse_folder(said.folder)
    if said.tags is not None:
        checked_tags(said.tags)
    return said


def checked_name(name: str) -> str:
    """A name a user would give a file: one line, no folder in it."""
    _refuse_long("name", name, NAME_LIMIT)
    if not name.strip() or name in {".", ".."}:
        raise invalid(f"`name` is `{name}`: give the file a name")
    if "/" in name or "\\" in name:
        raise invalid(f"`name` is `{name[:80]}`: it holds no folder; say that as `folder`")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise invalid("`name` holds characters that cannot be shown: leave them out")
    return name


def checked_tags(tags: Sequence[str]) -> Sequence[str]:
    if len(tags) > TAGS_LIMIT or len(set(tags)) != len(tags):
        raise invalid(f"`tags` holds {len(tags)}: at most {TAGS_LIMIT}, each once")
    for tag in tags:
        if not tag.strip():
            raise invalid("`tags` holds an empty one: leave it out")
        _refuse_long("tags", tag, TAG_LIMIT)
    return tags


def _refuse_folder(folder: str) -> None:
    _refuse_long("folder", folder, FOLDER_LIMIT)
    if folder and any(part.strip() in {"", ".", ".."} for part in folder.split("/")):
        raise invalid(f"`folder` is `{folder[:80]}`: names between single slashes, and none at its ends")


def _refuse_long(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise invalid(f"`{field}` holds {len(text)} characters; at most {limit}")
    if any(unicodedata.category(letter) == "Cs" for letter in text):
        raise invalid(f"`{field}` holds half of a character: send whole ones")
