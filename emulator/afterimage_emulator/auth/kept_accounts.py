"""Accounts and settings as a journal keeps them: after each request, whole, whatever it has changed.

A record is a list of changes, each of which says all of what it is about: an account, the settings of a project with
its tenants, or that one of these is gone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from afterimage_emulator.auth.accounts.account_json import account_json
from afterimage_emulator.auth.accounts.accounts import Account
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.exported_accounts import restore_settings, settings_json
from afterimage_emulator.auth.operations.importing import imported_account
from afterimage_emulator.auth.requests.request_reading import read_request
from afterimage_emulator.auth.requests.requests import ImportedUser

Place = tuple[str, str | None]
"""A project, or a tenant of it."""
Changes = list[dict[str, Any]]


class KeptAccounts:
    """`note` appends what has changed since it was last called; `replay` takes it back at the next start."""

    def __init__(self, projects: Projects, append: Callable[[bytes], None], now_ms: Callable[[], int]) -> None:
        self._projects = projects
        self._append = append
        self._now_ms = now_ms
        self._known: dict[Place, Project] = {}
        self._settings: dict[str, str] = {}

    # -- what changes

    def note(self, *, looks_at_settings: bool = True) -> bool:
        """Whether anything had changed."""
        present = {(project.id, one.tenant_id): one for project in self._projects for one in project.with_tenants()}
        changes: Changes = []
        for place, known in tuple(self._known.items()):
            if present.get(place) is not known:
                del self._known[place]
                if place[1] is None:
                    self._settings.pop(place[0], None)
                changes.append(_at(place, gone=True))
        are_new = present.keys() - self._known.keys()
        if looks_at_settings or are_new:
            changes += self._changed_settings()
        for place, one in present.items():
            if place in are_new:
                self._known[place] = one
                one.accounts.touched = {account.uid for account in one.accounts}
            touched = one.accounts.touched
            if touched:
                accounts = {uid: one.accounts.by_uid(uid) for uid in touched}
                changes.append(_at(place, accounts={uid: _json(account) for uid, account in accounts.items()}))
                touched.clear()
        if changes:
            self._append(_written(changes))
        return bool(changes)

    def _changed_settings(self) -> Iterator[dict[str, Any]]:
        for project in self._projects:
            settings = settings_json(project)
            text = json.dumps(settings, sort_keys=True)
            if self._settings.get(project.id) != text:
                self._settings[project.id] = text
                yield _at((project.id, None), settings=settings)

    # -- what was kept

    def replay(self, payload: bytes) -> None:
        for change in json.loads(payload):
            project_id, tenant_id = change["project"], change["tenant"]
            if change.get("gone"):
                self._forget(project_id, tenant_id)
                continue
            project = self._projects.get(project_id)
            if "settings" in change:
                self._projects.replace(_with_settings(project, change["settings"]))
            else:
                self._restore(project.tenant(tenant_id) if tenant_id else project, change["accounts"])

    def _forget(self, project_id: str, tenant_id: str | None) -> None:
        project = self._projects.known(project_id)
        if project is not None and tenant_id is None:
            self._projects.remove(project_id)
        elif project is not None:
            project.tenants.pop(tenant_id, None)

    def _restore(self, one: Project, accounts: Mapping[str, Mapping[str, object] | None]) -> None:
        """All are taken away first: an address may have gone from one account to another."""
        for uid in accounts:
            one.accounts.delete(uid)
        for fields in accounts.values():
            if fields is not None:
                user = read_request(ImportedUser, fields)
                one.accounts.put(imported_account(user, now_ms=self._now_ms(), tenant_id=one.tenant_id))

    def replayed(self) -> None:
        for project in self._projects:
            self._settings[project.id] = json.dumps(settings_json(project), sort_keys=True)
            for one in project.with_tenants():
                self._known[project.id, one.tenant_id] = one
                one.accounts.touched = set()

    def state(self) -> Iterable[bytes]:
        """Accounts do not change once they are stored: who has them all has the state."""
        found = [
            ((project.id, one.tenant_id), settings_json(project) if one is project else None, tuple(one.accounts))
            for project in self._projects
            for one in project.with_tenants()
        ]
        return _state(found)


def _state(found: Iterable[tuple[Place, dict[str, Any] | None, tuple[Account, ...]]]) -> Iterator[bytes]:
    for place, settings, accounts in found:
        changes = [] if settings is None else [_at(place, settings=settings)]
        changes.append(_at(place, accounts={account.uid: _json(account) for account in accounts}))
        yield _written(changes)


def _at(place: Place, **what: object) -> dict[str, Any]:
    return {"project": place[0], "tenant": place[1], **what}


def _json(account: Account | None) -> dict[str, object] | None:
    return None if account is None else account_json(account, with_secrets=True)


def _written(changes: Changes) -> bytes:
    return json.dumps(changes, separators=(",", ":")).encode()


def _with_settings(project: Project, settings: Mapping[str, Any]) -> Project:
    """A new project, with the accounts that there are: settings are told whole, so that none is left over."""
    fresh = restore_settings(Project(project.id), settings)
    fresh.accounts = project.accounts
    for tenant_id, tenant in fresh.tenants.items():
        if tenant_id in project.tenants:
            tenant.accounts = project.tenants[tenant_id].accounts
    return fresh
