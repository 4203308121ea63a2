"""Where generations, their versions, their projects' archives and their workers' signs of life lie."""

from __future__ import annotations

from typing import Final

from afterimage.paths.books import parse_booked
from afterimage.paths.users import USERS

GENERATIONS: Final = "generations"
GENERATION_FILES: Final = "files"
"""Generations that workers make: the collections of this name below each user."""
WORKER_BEATS: Final = "worker"
"""Below a generation that is being made: the sign of life of its worker, where no trigger hears it."""
PROJECTS: Final = "projects"
"""Whose a project is; below it in Cloud Storage lie its archives."""
USERS_GENERATIONS: Final = "generations"
GENERATION_VERSIONS: Final = "versions"
GENERATED_FILES: Final = "generating/"
"""What workers have made, for all users."""


def beat_path(generation: str) -> str:
    """Where the worker of a generation shows that it is alive."""
    return f"{generation}/{WORKER_BEATS}/beat"


def generation_of_beat(path: str) -> str | None:
    """The generation whose sign of life stands at a path; None where none belongs."""
    generation = "/".join(path.split("/")[:4])
    return generation if parse_booked(generation) and path == beat_path(generation) else None


def project_path(project: str) -> str:
    return f"{PROJECTS}/{project}"


def project_folder(project: str) -> str:
    """Everything of a project in Cloud Storage; ends with a slash."""
    return f"{PROJECTS}/{project}/"


def archive_name(project: str, generation: str, version: int) -> str:
    """The archive of one version."""
    return f"{project_folder(project)}generations/{generation}/v{version}.tar.gz"


def generations_path(user: str) -> str:
    """The collection of what the API has made for a user."""
    return f"{USERS}/{user}/{USERS_GENERATIONS}"


def generation_path(user: str, generation: str) -> str:
    return f"{generations_path(user)}/{generation}"


def version_path(user: str, generation: str, version: int) -> str:
    """Numbers of one length: in the order of their ids versions are in their own."""
    return f"{generation_path(user, generation)}/{GENERATION_VERSIONS}/{version:06d}"


def parse_version(path: str) -> tuple[str, str, int] | None:
    """User, generation and number of a version; None for any other path."""
    match path.split("/"):
        case [root, user, generations, generation, versions, number] if (root, generations, versions) == (
            USERS,
            USERS_GENERATIONS,
            GENERATION_VERSIONS,
        ) and number.isdigit():
            return user, generation, int(number)
    return None


def opened_path(user: str, generation: str, operation: str) -> str:
    """Which version an operation began."""
    return f"{generation_path(user, generation)}/opened/{operation}"
