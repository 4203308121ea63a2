"""The directory that `--export-on-exit` writes and `--import` reads, laid out as the official suite's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.hub.locator import VERSION

METADATA_FILE = "firebase-export-metadata.json"


class Exporter(Protocol):
    """A service that can write down what it holds, and read it back."""

    async def export_to(self, directory: Path) -> None: ...

    async def import_from(self, directory: Path) -> None: ...


async def export_services(services: Mapping[str, Exporter], target: Path) -> None:
    """Writes beside the target and then takes its place, so that a crash never leaves half an export there."""
    target = target.resolve()
    if target.exists() and any(target.iterdir()) and not (target / METADATA_FILE).is_file():
        raise ConfigurationError(f"`{target}` is not empty and no export; choose another folder, nothing was written")
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    metadata: dict[str, object] = {"version": VERSION}
    for name, service in services.items():
        folder = f"{name}_export"
        (unfinished / folder).mkdir()
        await service.export_to(unfinished / folder)
        metadata[name] = {"version": VERSION, "path": folder}
    (unfinished / METADATA_FILE).write_text(json.dumps(metadata, indent=2))
    previous = target.with_name(f".{target.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    if target.exists():
        target.rename(previous)
    unfinished.rename(target)
    shutil.rmtree(previous, ignore_errors=True)


async def import_services(services: Mapping[str, Exporter], source: Path) -> list[str]:
    """Reads what the export holds for the services that run; answers with their names."""
    try:
        metadata = json.loads((source / METADATA_FILE).read_text())
    except FileNotFoundError:
        raise ConfigurationError(f"`{source}` is no export: it has no {METADATA_FILE}") from None
    except ValueError as error:
        raise ConfigurationError(f"{source / METADATA_FILE}: not JSON: {error}") from None
    imported = []
    for name, service in services.items():
        entry = metadata.get(name)
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            await service.import_from(source / entry["path"])
            imported.append(name)
    return imported
