"""`indexes`: asks a running suite which indexes its queries lacked, and adds them to firestore.indexes.json."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from afterimage_emulator.commands.hub_client import ask_hub, find_hub, refusal_text
from afterimage_emulator.configuration import ConfigurationError, find_configuration, load_configuration
from afterimage_emulator.configuration.commented_json import Room, parse_commented_json, room_in

_SECTIONS: Final = ("indexes", "fieldOverrides")
_EMPTY: Final = '{\n  "indexes": [],\n  "fieldOverrides": []\n}\n'


def run_indexes(options: argparse.Namespace) -> int:
    try:
        missing = ask_hub(find_hub(options.project), "/control/indexes")["missing"]
        if not missing:
            sys.stdout.write("every query so far has the index it needs\n")
            return 0
        if options.write:
            return _write(missing, options.config or find_configuration(Path.cwd()))
    except (ConfigurationError, urllib.error.HTTPError) as error:
        sys.stderr.write(f"{refusal_text(error)}\n")
        return 1
    for database in sorted({found["database"] for found in missing}):
        sys.stdout.write(f"the database `{database}` lacks, ready for its indexes file:\n")
        for section in _SECTIONS:
            entries = _entries(missing, database, section)
            if entries:
                sys.stdout.write(f'  "{section}": {_indented(json.dumps(entries, indent=2), 2)}\n')
    return 0


def _write(missing: Sequence[dict[str, Any]], config: Path) -> int:
    configuration = load_configuration(config)
    files = {target.database: target.indexes for target in configuration.firestore}
    code = 0
    for database in sorted({found["database"] for found in missing}):
        path = files.get(database)
        if path is None:
            sys.stderr.write(
                f"firebase.json names no `indexes` file for the database `{database}`; name one and run this again\n"
            )
            code = 1
            continue
        text = path.read_text("utf-8") if path.exists() else _EMPTY
        try:
            written, refused = with_entries(text, {name: _entries(missing, database, name) for name in _SECTIONS})
        except ValueError as error:
            raise ConfigurationError(f"`{path}` cannot be added to: {error}") from None
        if written != text:
            path.write_text(written, "utf-8")
            sys.stdout.write(
                f"`{path}` has what was missing; deploy it with `firebase deploy --only firestore:indexes`\n"
            )
        for entry in refused:
            code = 1
            sys.stderr.write(
                f"`{path}` already sets `{entry['fieldPath']}` of `{entry['collectionGroup']}` apart; "
                f"let its entry list {json.dumps(entry['indexes'])}\n"
            )
    return code


def with_entries(text: str, wanted: dict[str, Sequence[dict[str, Any]]]) -> tuple[str, list[dict[str, Any]]]:
    """The file with the entries that it does not have yet, comments and all else as they were; and those that clash."""
    content = parse_commented_json(text)
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    refused: list[dict[str, Any]] = []
    for section, entries in wanted.items():
        present = content.get(section) or []
        added = []
        for entry in entries:
            if entry in present:
                continue
            if section == "fieldOverrides" and any(_is_of_same_field(entry, other) for other in present):
                refused.append(entry)
            else:
                added.append(entry)
        if added:
            text = _inserted(text, section, added, has_section=section in content)
    return text, refused


def _is_of_same_field(entry: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(entry[name] == other.get(name) for name in ("collectionGroup", "fieldPath"))


def _inserted(text: str, section: str, added: Sequence[dict[str, Any]], *, has_section: bool) -> str:
    entries = ",\n".join(f"    {_indented(json.dumps(entry, indent=2), 4)}" for entry in added)
    if has_section:
        return _with(text, room_in(text, section), entries, closing="\n  ")
    return _with(text, room_in(text, None), f'  "{section}": [\n{entries}\n  ]', closing="\n")


def _with(text: str, room: Room, shown: str, *, closing: str) -> str:
    """Comments stay where they are: in an empty list before the new entries, else behind them."""
    if room.is_empty:
        return f"{text[: room.before_end].rstrip()}\n{shown}{closing}{text[room.before_end :]}"
    return f"{text[: room.behind_last]},\n{shown}{text[room.behind_last :]}"


def _entries(missing: Sequence[dict[str, Any]], database: str, section: str) -> list[dict[str, Any]]:
    """Several queries may lack indexes of one field: they are one entry."""
    entries: list[dict[str, Any]] = []
    for found in missing:
        if (found["database"], found["section"]) != (database, section) or found["entry"] in entries:
            continue
        same = next((e for e in entries if section == "fieldOverrides" and _is_of_same_field(found["entry"], e)), None)
        if same is None:
            entries.append(json.loads(json.dumps(found["entry"])))
        else:
            same["indexes"] += [mode for mode in found["entry"]["indexes"] if mode not in same["indexes"]]
    return entries


def _indented(text: str, spaces: int) -> str:
    return text.replace("\n", "\n" + " " * spaces)
