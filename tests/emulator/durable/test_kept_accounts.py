"""Accounts that are kept: through any course of changes, and through a kill of the suite."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from afterimage_emulator.auth.accounts.account_json import account_json
from afterimage_emulator.auth.accounts.accounts import Account, ProviderLink
from afterimage_emulator.auth.accounts.passwords import unchecked_password
from afterimage_emulator.auth.accounts.projects import Project, Projects
from afterimage_emulator.auth.configuration.project_config import update_config
from afterimage_emulator.auth.errors import AuthError
from afterimage_emulator.auth.exported_accounts import settings_json
from afterimage_emulator.auth.kept_accounts import KeptAccounts
from tests.emulator.durable.killable import Killable

TOOLKIT = "/identitytoolkit.googleapis.com"
ACCOUNTS = f"{TOOLKIT}/v1/projects/demo-kills/accounts"


def contents(projects: Projects) -> dict[str, Any]:
    """Everything, but for projects of which nothing was ever said."""
    empty = settings_json(Project("x"))
    found: dict[str, Any] = {}
    for project in projects:
        settings = settings_json(project)
        accounts = {
            one.tenant_id or "": [account_json(account, with_secrets=True) for account in one.accounts]
            for one in project.with_tenants()
        }
        settings["config"]["name"] = empty["config"]["name"]
        if settings != empty or accounts != {"": []}:
            found[project.id] = (settings, accounts)
    return found


def change_something(projects: Projects, chance: random.Random) -> None:
    project = projects.get(chance.choice(["demo-a", "demo-b", None]))
    one = project.tenant(f"t{chance.randrange(2)}") if chance.random() < 0.3 else project
    uid, kind = f"u{chance.randrange(6)}", chance.random()
    if kind < 0.03:
        projects.clear()
    elif kind < 0.06:
        one.accounts.clear()
    elif kind < 0.1:
        project.tenants.pop(f"t{chance.randrange(2)}", None)
    elif kind < 0.16:
        update_config(project, {"signIn": {"allowDuplicateEmails": chance.random() < 0.5}})
    elif kind < 0.2:
        one.sign_in.allows_password = not one.sign_in.allows_password if one is not project else True
    elif kind < 0.23:
        projects.replace(Project(project.id))
    elif kind < 0.4:
        one.accounts.delete(uid)
    else:
        account = Account(
            uid=uid, created_at_ms=1_700_000_000_000 + chance.randrange(9), tenant_id=one.tenant_id,
            email=f"e{chance.randrange(5)}@x.y" if chance.random() < 0.7 else None,
            email_verified=chance.choice([True, False]),
            password=unchecked_password("secret", salt="s") if chance.random() < 0.5 else None,
            password_updated_at_ms=1_700_000_000_000, display_name=chance.choice([None, "é"]),
            disabled=chance.choice([None, True]), custom_claims=chance.choice([None, '{"role":"x"}']),
            links=(ProviderLink(provider_id="google.com", raw_id=uid),) if chance.random() < 0.3 else (),
        )  # fmt: skip
        account = account if account.password is not None else account.changed({"password_updated_at_ms": None})
        try:
            one.accounts.put(account)
        except AuthError:
            return


@pytest.mark.parametrize("seed", range(8))
def test_accounts_come_back_as_they_were(seed: int) -> None:
    """Accounts, tenants and settings of all projects, through records and through states taken in between."""
    chance = random.Random(seed)
    projects = Projects(default_id="demo-default")
    records: list[bytes] = []
    kept = KeptAccounts(projects, records.append, lambda: 0)
    kept.replayed()
    for _ in range(150):
        for _ in range(chance.randrange(1, 4)):
            change_something(projects, chance)
        kept.note()
        if chance.random() < 0.05:
            records[:] = list(kept.state())
        again = Projects(default_id="demo-default")
        replaying = KeptAccounts(again, records.append, lambda: 0)
        for payload in records:
            replaying.replay(payload)
        replaying.replayed()
        assert contents(again) == contents(projects)
        again.check_invariants()
        assert not replaying.note()


def test_nothing_is_written_where_nothing_has_changed() -> None:
    """A look-up costs the disk nothing."""
    projects = Projects(default_id="demo-default")
    records: list[bytes] = []
    kept = KeptAccounts(projects, records.append, lambda: 0)
    kept.replayed()
    projects.get().accounts.put(Account(uid="u", created_at_ms=1))
    assert [kept.note(), kept.note(), kept.note(looks_at_settings=False)] == [True, False, False]
    assert len(records) == 1
    assert "u" in json.loads(records[0])[-1]["accounts"]


def test_accounts_survive_a_kill(tmp_path: Path) -> None:
    """Signed up, changed and deleted through the REST API, and the suite killed after each answer."""
    suite = Killable(tmp_path, "auth")
    status, made = suite.ask("POST", f"{TOOLKIT}/v1/accounts:signUp?key=k", {"email": "a@x.y", "password": "secret-1"})
    assert status == 200, made
    suite.ask("POST", ACCOUNTS, {"localId": "gone"})
    suite.kill()
    suite = Killable(tmp_path, "auth")
    signed_in = suite.ask(
        "POST", f"{TOOLKIT}/v1/accounts:signInWithPassword?key=k", {"email": "a@x.y", "password": "secret-1"}
    )
    assert (signed_in[0], signed_in[1]["localId"]) == (200, made["localId"])
    suite.ask("POST", f"{ACCOUNTS}:update", {"localId": made["localId"], "customAttributes": '{"role":"x"}'})
    suite.ask("POST", f"{ACCOUNTS}:delete", {"localId": "gone"})
    config = "/emulator/v1/projects/demo-kills/config"
    suite.ask("PATCH", config, {"signIn": {"allowDuplicateEmails": True}})
    suite.kill()
    suite = Killable(tmp_path, "auth")
    users = suite.ask("GET", "/emulator/v1/projects/demo-kills/accounts")[1]["users"]
    assert [(user["localId"], user["customAttributes"]) for user in users] == [(made["localId"], '{"role":"x"}')]
    assert users[0]["lastLoginAt"]
    assert suite.ask("GET", config)[1]["signIn"] == {"allowDuplicateEmails": True}
    suite.stop()
