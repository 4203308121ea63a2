"""The directory that `--export-on-exit` writes and `--import` reads, laid out as the official suite's.

A part is what one service holds. Parts of services that do not run, or that this suite has not, stay where they are.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.hub.locator import VERSION
from afterimage_emulator.status import StatusError

METADATA_FILE = "firebase-export-metadata.json"
FIRESTORE_METADATA = "*.overall_export_metadata"
"""What lies at the top of an export that production made of Firestore alone."""
_log = logging.getLogger("afterimage_emulator")


class ExportError(ConfigurationError):
    """An export that cannot be read or written; whatever there was before is as it was."""


class Exporter(Protocol):
    """A service that can write down what it holds, and read it back."""

    async def export_to(self, directory: Path) -> None: ...

    async def import_from(self, source: Path) -> None:
        """From the folder that it wrote, or from the file in there that an export names."""
        ...


# -- writing


async def export_services(services: Mapping[str, Exporter], target: Path) -> None:
    """Writes beside the target and then takes its place, so that a crash never leaves half an export there."""
    target = target.resolve()
    check_target(target)
    unfinished, previous = _beside(target, "unfinished"), _beside(target, "previous")
    try:
        _remove(unfinished)
        unfinished.mkdir(parents=True)
        metadata: dict[str, object] = {"version": VERSION}
        for name, entry in _parts_to_keep(services, target).items():
            _log.info("`%s` keeps its part of %s, which does not run", target, name)
            await asyncio.to_thread(_keep_part, target / entry["path"], unfinished / entry["path"])
            metadata[name] = entry
        for name, service in services.items():
            folder = f"{name}_export"
            (unfinished / folder).mkdir()
            await service.export_to(unfinished / folder)
            metadata[name] = {"version": VERSION, "path": folder, **_metadata_file(unfinished, folder)}
        (unfinished / METADATA_FILE).write_text(json.dumps(metadata, indent=2))
        _remove(previous)
        if target.exists():
            target.rename(previous)
        unfinished.rename(target)
    except OSError as error:
        raise ExportError(
            f"nothing is exported to `{target}`, where what there was stays: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    shutil.rmtree(previous, ignore_errors=True)


def check_target(target: Path) -> None:
    """Refuses to replace what is no export, and takes up an export that a crash left under another name."""
    target = target.resolve()
    _find_previous(target)
    if target.exists() and not target.is_dir():
        raise ExportError(f"`{target}` is no folder; choose another one, nothing was written")
    if target.exists() and any(target.iterdir()) and not (target / METADATA_FILE).is_file():
        raise ExportError(f"`{target}` is not empty and no export; choose another folder, nothing was written")


def _beside(target: Path, what: str) -> Path:
    return target.with_name(f".{target.name}.{what}")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _find_previous(target: Path) -> None:
    """Between two renames of an export that crashed, the earlier one bears another name."""
    previous = _beside(target, "previous")
    if not target.exists() and (previous / METADATA_FILE).is_file():
        _log.warning("`%s` was not finished the last time: what was there before is taken", target)
        previous.rename(target)


def _metadata_file(root: Path, folder: str) -> dict[str, str]:
    """Where the official suite looks for Firestore's part."""
    found = list((root / folder).glob(FIRESTORE_METADATA))
    return {"metadata_file": found[0].relative_to(root).as_posix()} if found else {}


def _parts_to_keep(services: Mapping[str, Exporter], target: Path) -> dict[str, dict[str, str]]:
    if not (target / METADATA_FILE).is_file():
        return {}
    entries = _entries(target)
    return {
        name: entry for name, entry in entries.items() if name not in services and (target / entry["path"]).is_dir()
    }


def _keep_part(source: Path, copy: Path) -> None:
    """Shares its files where the disk can: they are not written again by anybody."""

    def share(one: str, other: str) -> None:
        try:
            os.link(one, other, follow_symlinks=False)
        except OSError:
            shutil.copyfile(one, other, follow_symlinks=False)

    shutil.copytree(source, copy, symlinks=True, copy_function=share)


# -- reading


async def import_services(services: Mapping[str, Exporter], source: Path) -> list[str]:
    """Reads what the export holds for the services that run; answers with their names."""
    _find_previous(source.resolve())
    parts = _parts(source)
    imported = []
    for name, service in services.items():
        if name not in parts:
            continue
        place = parts[name]
        if not place.exists():
            raise ExportError(f"`{source}` is to have {name}'s part in `{place}`, which is not there")
        await asyncio.to_thread(_check_links, source.resolve(), place)
        with _one_sentence(source, name):
            await service.import_from(place)
        imported.append(name)
    missing = [name for name in services if name not in parts]
    if missing:
        _log.info("`%s` holds nothing of %s: begun empty", source, ", ".join(missing))
    _log.info("imported from `%s`: %s", source, ", ".join(imported) or "nothing")
    return imported


def _parts(source: Path) -> dict[str, Path]:
    """Where each service's part lies: as the metadata says, or the file of Firestore's own export."""
    if not source.is_dir():
        raise ExportError(f"`{source}` is {'no folder' if source.exists() else 'not there'}, so that it is no export")
    if (source / METADATA_FILE).is_file():
        return {
            name: _inside(source, entry.get("metadata_file", entry["path"])) for name, entry in _entries(source).items()
        }
    alone = sorted(source.glob(FIRESTORE_METADATA))
    if not alone:
        raise ExportError(f"`{source}` is no export: it has neither {METADATA_FILE} nor a file {FIRESTORE_METADATA}")
    return {"firestore": alone[0]}


def _entries(source: Path) -> dict[str, dict[str, str]]:
    """What the metadata says of each part; names lead nowhere but into the export."""
    file = source / METADATA_FILE
    try:
        metadata = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ExportError(f"`{file}` cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ExportError(f"`{file}` is not JSON: {error}") from None
    if not isinstance(metadata, dict):
        raise ExportError(f"`{file}` is not the metadata of an export: it must hold a JSON object")
    entries = {}
    for name, entry in metadata.items():
        if isinstance(entry, dict) and isinstance(entry.get("path"), str):
            entries[name] = {key: value for key, value in entry.items() if isinstance(value, str)}
            _inside(source, entry["path"])
    return entries


def _inside(source: Path, name: str) -> Path:
    try:
        place = (source / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise ExportError(f"`{source / METADATA_FILE}` names `{name!r}`, which is no file's name: {error}") from None
    if not place.is_relative_to(source.resolve()) or place == source.resolve():
        raise ExportError(f"`{source / METADATA_FILE}` names `{name}`, which lies outside of the export")
    return place


def _check_links(source: Path, place: Path) -> None:
    """No file of a foreign export may be one of this machine under another name."""
    for folder, folders, files in os.walk(place if place.is_dir() else place.parent):
        for name in (*folders, *files):
            file = Path(folder, name)
            if file.is_symlink() and not file.resolve().is_relative_to(source):
                raise ExportError(f"`{file}` is a link that leads out of the export")


@contextmanager
def _one_sentence(source: Path, name: str) -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ExportError(f"`{source}` cannot be imported: {name}: {error}") from None
    except StatusError as error:
        raise ExportError(f"`{source}` cannot be imported: {name}: {error.message}") from None
    except OSError as error:
        raise ExportError(f"`{source}` cannot be imported: {name}: `{error.filename}`: {error.strerror}") from None
    except Exception as error:  # whatever a reader stumbles over in a file that somebody else wrote
        _log.debug("the import of %s failed", name, exc_info=True)
        raise ExportError(f"`{source}` cannot be imported: {name}'s part is broken: {error!r}") from error
