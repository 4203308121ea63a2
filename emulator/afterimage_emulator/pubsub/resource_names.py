"""The grammar of Pub/Sub's resource names. Pure."""

from __future__ import annotations

import re
from typing import Final

from afterimage_emulator.status import Code, StatusError

DELETED_TOPIC: Final = "_deleted-topic_"
DELETED_SCHEMA: Final = "_deleted-schema_"
_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")
_PROJECT: Final = re.compile(r"projects/([^/]+)")


def check_name(name: str, collection: str) -> str:
    """A full name such as `projects/p/topics/t`, or an error that shows one."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != "projects" or not parts[1] or parts[2] != collection:
        raise StatusError(
            Code.INVALID_ARGUMENT, f"Invalid resource name given (name={name}), write projects/PROJECT/{collection}/ID."
        )
    if not _ID.fullmatch(parts[3]) or parts[3].startswith("goog"):
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f"Invalid resource name given (name={name}): an id has 3 to 255 letters, digits and `-_.~+%`, "
            "begins with a letter, and not with `goog`.",
        )
    return name


def check_project(name: str) -> str:
    if not _PROJECT.fullmatch(name):
        raise StatusError(Code.INVALID_ARGUMENT, f"Invalid resource name given (name={name}), write projects/PROJECT.")
    return name


def project_of(name: str) -> str:
    return name.split("/")[1]


def short_name(name: str) -> str:
    return name.rpartition("/")[2]


def not_found(name: str) -> StatusError:
    return StatusError(Code.NOT_FOUND, f"Resource not found (resource={short_name(name)}).")


def already_exists(name: str) -> StatusError:
    return StatusError(Code.ALREADY_EXISTS, f"Resource already exists in the project (resource={short_name(name)}).")
