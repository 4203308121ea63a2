"""Auth's part of an export: `accounts.json` and `config.json`, laid out as the official suite writes them.

The official layout has room for one project. Others go beside it, into a folder each, which the official suite ignores.
"""

from __future__ import annotations

import json
from pathlib import Path

from afterimage_emulator.auth.accounts.account_json import account_json
from afterimage_emulator.auth.accounts.project_config import config_json, update_config
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.errors import AuthError
from afterimage_emulator.auth.operations.importing import imported_account
from afterimage_emulator.auth.requests.request_reading import read_request
from afterimage_emulator.auth.requests.requests import BatchCreate, ImportedUser
from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object

ACCOUNTS_FILE = "accounts.json"
CONFIG_FILE = "config.json"
OTHER_PROJECTS = "projects"


def write_projects(projects: Projects, directory: Path) -> None:
    _write_project(projects.get(), directory)
    for project in projects:
        if project.id != projects.default_id:
            folder = directory / OTHER_PROJECTS / project.id
            folder.mkdir(parents=True)
            _write_project(project, folder)


def read_projects(directory: Path, *, default_id: str, now_ms: int) -> list[Project]:
    """Reads all before anything is replaced: a broken export must not leave half of itself behind."""
    found = [_read_project(directory, default_id, now_ms)]
    others = directory / OTHER_PROJECTS
    if others.is_dir():
        found += [_read_project(folder, folder.name, now_ms) for folder in sorted(others.iterdir()) if folder.is_dir()]
    return found


def _write_project(project: Project, folder: Path) -> None:
    users = [account_json(account) for account in project.accounts]
    accounts = {"kind": "identitytoolkit#DownloadAccountResponse", "users": users}
    (folder / ACCOUNTS_FILE).write_text(json.dumps(accounts, indent=2))
    (folder / CONFIG_FILE).write_text(json.dumps(config_json(project), indent=2))


def _read_project(folder: Path, project_id: str, now_ms: int) -> Project:
    project = Project(project_id)
    path = folder / ACCOUNTS_FILE
    try:
        for index, fields in enumerate(read_request(BatchCreate, _read_file(path)).users):
            try:
                project.accounts.create(imported_account(read_request(ImportedUser, fields), now_ms=now_ms))
            except AuthError as error:
                raise ConfigurationError(f"{path}: user {index}: {error.message}") from None
        path = folder / CONFIG_FILE
        update_config(project, _read_file(path))
    except AuthError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
    return project


def _read_file(path: Path) -> dict[str, object]:
    try:
        return read_json_object(path.read_bytes())
    except FileNotFoundError:
        return {}
    except UnreadableJsonError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from None
