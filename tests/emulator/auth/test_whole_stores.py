"""`check_invariants` of accounts: each fault that a mistake could leave behind is found and named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from afterimage_emulator.auth.accounts.accounts import Account, Passkey, ProviderLink
from afterimage_emulator.auth.accounts.oob_codes import Purpose
from afterimage_emulator.auth.accounts.projects import Project, Projects


@pytest.fixture
def projects() -> Projects:
    """Two projects; one has two accounts with every kind of name, and a code that nobody used."""
    made = Projects(default_id="demo-whole")
    made.get("demo-other")
    project = made.get()
    for number in range(2):
        google = ProviderLink(provider_id="google.com", raw_id=f"g{number}")
        project.accounts.put(
            Account(
                uid=f"u{number}",
                created_at_ms=0,
                email=f"{number}@example.com",
                phone_number=f"+1555{number}",
                links=(google,),
                passkeys=(Passkey(credential_id=f"key-{number}", name="Laptop"),),
            )
        )
    project.oob_codes.create(purpose=Purpose.VERIFY_EMAIL, uid="u0", email="0@example.com", origin="http://here")
    made.check_invariants()
    return made


def misplace_an_account(project: Project) -> None:
    project.accounts._by_uid["u2"] = project.accounts._by_uid["u0"]


def share_an_email(project: Project) -> None:
    project.accounts._by_uid["u1"] = replace(project.accounts._by_uid["u1"], email="0@example.com")


def forget_a_phone_number(project: Project) -> None:
    del project.accounts._uid_of_phone["+15550"]


def keep_a_phone_number(project: Project) -> None:
    project.accounts._uid_of_phone["+15559"] = "u0"


def misdirect_an_identity(project: Project) -> None:
    project.accounts._uid_of_identity["google.com", "g0"] = "u1"


def misdirect_a_passkey(project: Project) -> None:
    project.accounts._uid_of_passkey["key-0"] = "u1"


FAULTS: dict[Callable[[Project], None], str] = {
    misplace_an_account: "project `demo-whole`: `u2` holds the account `u0`",
    share_an_email: "the email address `0@example.com` belongs to 2 accounts: u0, u1",
    forget_a_phone_number: "the phone number `+15550` belongs to ['u0'] and leads to `None`",
    keep_a_phone_number: "the phone number `+15559` belongs to nobody and leads to `u0`",
    misdirect_a_passkey: "the passkey `key-0` belongs to ['u0'] and leads to `u1`",
    misdirect_an_identity: "the identity `('google.com', 'g0')` belongs to ['u0'] and leads to `u1`",
}


@pytest.mark.parametrize(("harm", "named"), FAULTS.items(), ids=[harm.__name__ for harm in FAULTS])
def test_each_fault_of_accounts_is_named(projects: Projects, harm: Callable[[Project], None], named: str) -> None:
    """Whatever goes wrong between accounts and their names is found by its place."""
    harm(projects.get())
    with pytest.raises(AssertionError, match="not whole") as found:
        projects.check_invariants()
    assert named in str(found.value)


def test_each_fault_between_projects_is_named(projects: Projects) -> None:
    """A project under another's name, and a code that opens two, are found at once."""
    project, other = projects.get(), projects.get("demo-other")
    (code,) = project.oob_codes
    other.oob_codes._codes[code.code] = code
    projects._projects["demo-third"] = Project("demo-fourth")
    with pytest.raises(AssertionError) as found:
        projects.check_invariants()
    assert "`demo-third` holds the project `demo-fourth`" in str(found.value)
    assert f"the code `{code.code}` belongs to two projects" in str(found.value)
