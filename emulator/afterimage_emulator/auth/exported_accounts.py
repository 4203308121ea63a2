"""Auth's part of an export: accounts and settings, in files laid out as the official suite writes them.

The official layout has `accounts.json` and `config.json` for one project, and `accounts-TENANT.json` for each tenant.
What it has no room for stands beside, where the official suite does not look: settings of tenants in `tenants.json`,
providers in `providers.json`, other projects in a folder each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from afterimage_emulator.auth.accounts.account_json import account_json
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.configuration.project_config import config_json, update_config
from afterimage_emulator.auth.configuration.tenant_config import restore_tenant, tenant_json
from afterimage_emulator.auth.errors import AuthError, malformed
from afterimage_emulator.auth.operations.importing import imported_account
from afterimage_emulator.auth.requests.request_reading import read_request
from afterimage_emulator.auth.requests.requests import BatchCreate, ImportedUser
from afterimage_emulator.auth.settings.provider_configs import KINDS, ProviderConfigs
from afterimage_emulator.configuration import ConfigurationError
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json_object

ACCOUNTS_FILE = "accounts.json"
CONFIG_FILE = "config.json"
TENANTS_FILE = "tenants.json"
PROVIDERS_FILE = "providers.json"
OTHER_PROJECTS = "projects"
_OF_TENANT = "accounts-"


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
    _write_accounts(project, folder / ACCOUNTS_FILE)
    settings = settings_json(project)
    _write(folder / CONFIG_FILE, settings["config"])
    for tenant_id, tenant in project.tenants.items():
        _write_accounts(tenant, folder / f"{_OF_TENANT}{tenant_id}.json")
    if project.tenants:
        _write(folder / TENANTS_FILE, {"tenants": settings["tenants"]})
    providers = settings["providers"]
    if any(kept for configs in providers.values() for kept in configs.values()):
        _write(folder / PROVIDERS_FILE, providers)


def settings_json(project: Project) -> dict[str, Any]:
    """All of a project but its accounts, and of its tenants likewise."""
    return {
        "config": config_json(project),
        "tenants": [tenant_json(tenant) for tenant in project.tenants.values()],
        "providers": {one.tenant_id or "": _providers_json(one.providers) for one in project.with_tenants()},
    }


def restore_settings(project: Project, settings: Mapping[str, Any]) -> Project:
    """The same project, which had no settings of its own yet."""
    update_config(project, settings["config"])
    for tenant in settings["tenants"]:
        restore_tenant(project, tenant)
    _read_providers(project, settings["providers"])
    return project


def _write_accounts(project: Project, path: Path) -> None:
    users = [account_json(account, with_secrets=True) for account in project.accounts]
    _write(path, {"kind": "identitytoolkit#DownloadAccountResponse", "users": users})


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2))


def _providers_json(configs: ProviderConfigs) -> dict[str, dict[str, object]]:
    return {name: dict(configs.of(kind)) for name, kind in KINDS.items()}


def _read_project(folder: Path, project_id: str, now_ms: int) -> Project:
    project = Project(project_id)
    path = folder / CONFIG_FILE
    try:
        update_config(project, _read_file(path))
        path = folder / TENANTS_FILE
        for settings in _objects(_read_file(path), "tenants"):
            restore_tenant(project, settings)
        path = folder / PROVIDERS_FILE
        _read_providers(project, _read_file(path))
        path = folder / ACCOUNTS_FILE
        _read_accounts(project, path, now_ms)
        for path in sorted(folder.glob(f"{_OF_TENANT}*.json")):
            tenant = project.tenant(path.stem.removeprefix(_OF_TENANT))
            _read_accounts(tenant, path, now_ms)
    except AuthError as error:
        raise ConfigurationError(f"{path}: {error.message}") from None
    return project


def _read_accounts(project: Project, path: Path, now_ms: int) -> None:
    for index, fields in enumerate(read_request(BatchCreate, _read_file(path)).users):
        try:
            user = read_request(ImportedUser, fields)
            project.accounts.create(imported_account(user, now_ms=now_ms, tenant_id=project.tenant_id))
        except AuthError as error:
            raise ConfigurationError(f"{path}: user {index}: {error.message}") from None


def _read_providers(project: Project, content: Mapping[str, object]) -> None:
    for tenant_id, collections in content.items():
        owner = project.tenant(tenant_id) if tenant_id else project
        for name, kind in KINDS.items():
            configs = collections.get(name, {}) if isinstance(collections, dict) else None
            if not isinstance(configs, dict) or not all(isinstance(config, dict) for config in configs.values()):
                raise malformed(f"/{tenant_id}/{name} must be object")
            for config_id, config in configs.items():
                owner.providers.create(kind, config_id, config)


def _objects(content: Mapping[str, object], name: str) -> list[dict[str, object]]:
    found = content.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise malformed(f"/{name} must be array of objects")
    return found


def _read_file(path: Path) -> dict[str, object]:
    try:
        return read_json_object(path.read_bytes())
    except FileNotFoundError:
        return {}
    except UnreadableJsonError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from None
