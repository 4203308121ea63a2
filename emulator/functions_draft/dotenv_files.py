"""The .env files of a codebase, read in the order in which the Firebase CLI lets later ones win."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_LINE = re.compile(
    r"""^\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*
        (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)'|(?P<bare>[^\n#]*))\s*(?:\#[^\n]*)?$""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}
_RESERVED_PREFIXES = ("X_GOOGLE_", "FIREBASE_", "EXT_")
_RESERVED = frozenset({
    "FIREBASE_CONFIG", "CLOUD_RUNTIME_CONFIG", "EVENTARC_CLOUD_EVENT_SOURCE", "ENTRY_POINT", "GCP_PROJECT",
    "GCLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT", "FUNCTION_TRIGGER_TYPE", "FUNCTION_NAME", "FUNCTION_MEMORY_MB",
    "FUNCTION_TIMEOUT_SEC", "FUNCTION_IDENTITY", "FUNCTION_REGION", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE",
    "K_SERVICE", "K_REVISION", "PORT", "K_CONFIGURATION",
})  # fmt: skip


class DotenvError(Exception):
    """A line or a name that the Firebase CLI would refuse as well."""


def read_environment(source: Path, project_id: str) -> dict[str, str]:
    """What `.env`, `.env.<project>`, `.env.local` and `.secret.local` set for a codebase's functions."""
    environment: dict[str, str] = {}
    for name in (".env", f".env.{project_id}", ".env.local", ".secret.local"):
        file = source / name
        if file.is_file():
            environment |= dict(_entries(file))
    return environment


def _entries(file: Path) -> Iterator[tuple[str, str]]:
    text = file.read_text("utf-8").replace("\r\n", "\n")
    position = 0
    for found in _LINE.finditer(text):
        _check_skipped(file, text, position, found.start())
        position = found.end()
        name = found["name"]
        if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            raise DotenvError(f"{file}: `{name}` is reserved by Firebase; choose another name")
        if found["double"] is not None:
            yield name, re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), found["double"])
        else:
            yield name, found["single"] if found["single"] is not None else found["bare"].strip()
    _check_skipped(file, text, position, len(text))


def _check_skipped(file: Path, text: str, start: int, end: int) -> None:
    for offset, line in enumerate(text[start:end].split("\n")):
        if line.strip() and not line.lstrip().startswith("#"):
            number = text.count("\n", 0, start) + 1 + offset
            raise DotenvError(f"{file}:{number}: `{line.strip()[:60]}` is not NAME=value")
