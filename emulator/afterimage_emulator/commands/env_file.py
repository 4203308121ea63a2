"""The SDKs' variables for other programs: as lines to paste into a shell, and as a file that tools read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from afterimage_emulator.configuration import ConfigurationError

_MARK = "# Written by `afterimage-emulator start --env-file`, anew at each start."


def exports(environment: Mapping[str, str]) -> Iterator[str]:
    """Lines that a POSIX shell takes as they stand."""
    for name, value in sorted(environment.items()):
        yield f"export {name}={shlex.quote(value)}"


def write_env_file(file: Path, environment: Mapping[str, str]) -> None:
    """Writes `NAME=value` lines as shells, python-dotenv and `node --env-file` read them; never over a user's file."""
    check_env_file(file)
    lines = [_MARK, *(f"{name}={shlex.quote(value)}" for name, value in sorted(environment.items()))]
    try:
        file.write_text("\n".join(lines) + "\n")
    except OSError as error:
        raise ConfigurationError(f"`{file}` cannot be written: {error.strerror}; name another --env-file") from error


def check_env_file(file: Path) -> None:
    """Before anything is started: a file that somebody else wrote is kept."""
    if file.exists() and not (file.is_file() and file.read_text(errors="replace").startswith(_MARK)):
        raise ConfigurationError(f"`{file}` exists and was not written by --env-file; delete it, or name another file")
