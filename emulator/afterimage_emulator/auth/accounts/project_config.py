"""A project's switches as JSON: whether e-mail addresses may be shared, and whether answers tell which ones exist."""

from __future__ import annotations

from collections.abc import Mapping

from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import malformed, not_in_auth

_KNOWN = {"signIn": "allowDuplicateEmails", "emailPrivacyConfig": "enableImprovedEmailPrivacy"}


def config_json(project: Project) -> dict[str, object]:
    return {
        "signIn": {"allowDuplicateEmails": project.allow_duplicate_emails},
        "emailPrivacyConfig": {"enableImprovedEmailPrivacy": project.improved_email_privacy},
    }


def update_config(project: Project, body: Mapping[str, object]) -> None:
    """Sets what the body has and leaves the rest; sets nothing where something cannot be set."""
    wanted: dict[str, bool] = {}
    for section, switch in _KNOWN.items():
        values = body.get(section)
        if values is None:
            continue
        if not isinstance(values, dict):
            raise malformed(f"`{section}` must be an object")
        value = values.get(switch)
        if value is not None and not isinstance(value, bool):
            raise malformed(f"`{section}.{switch}` must be true or false")
        if value is not None:
            wanted[section] = value
    for section, values in body.items():
        # Exports of the official suite always have an empty `blockingFunctions`.
        if section not in _KNOWN and section not in ("name", "usageMode") and values:
            raise not_in_auth(section)
    project.allow_duplicate_emails = wanted.get("signIn", project.allow_duplicate_emails)
    project.improved_email_privacy = wanted.get("emailPrivacyConfig", project.improved_email_privacy)
