"""What is said of an export that cannot be used: one error, which names the file and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from afterimage_emulator.status import Code, StatusError


def broken_export(message: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, message)


def inside(root: Path, name: str, *, of: str) -> Path:
    """The file of this name below the root, which nothing that an export names may leave."""
    try:
        file = (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise broken_export(f"`{of}` names `{name!r}`, which is no file's name: {error}") from None
    if not file.is_relative_to(root.resolve()):
        raise broken_export(f"`{of}` names `{name}`, which lies outside of `{root}`")
    return file
