"""Reads the indexes files that firebase.json names, each of which is known to be readable before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from afterimage_emulator.configuration.commented_json import parse_commented_json
from afterimage_emulator.configuration.project_configuration import ConfigurationError


def read_indexes_files(
    files: Mapping[str, Path], *checks: Callable[[Any], object], warn: Callable[[str], None]
) -> dict[str, Any]:
    """What the file of each database says; one that is not there is a warning, one that cannot be used an error."""
    contents = {}
    for database, file in files.items():
        try:
            content = parse_commented_json(file.read_text("utf-8"))
            for check in checks:
                check(content)
            contents[database] = content
        except FileNotFoundError:
            warn(f"`{file}` does not exist: no composite index, exemption or TTL policy is in force")
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"`{file}` cannot be used: {error}") from error
    return contents
