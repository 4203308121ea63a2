"""A project's settings as JSON: the official `Config`, of which this project serves the parts listed here."""

from __future__ import annotations

from collections.abc import Mapping

from afterimage_emulator.auth.accounts.links import is_absolute_url
from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import malformed, not_in_auth, refused
from afterimage_emulator.auth.settings.password_policy import policy_config_json, read_password_policy
from afterimage_emulator.auth.settings.project_settings import BlockingSettings
from afterimage_emulator.auth.settings.sign_in_settings import read_second_factors

_SWITCHES = {"signIn": "allowDuplicateEmails", "emailPrivacyConfig": "enableImprovedEmailPrivacy"}
_PARTS = (*_SWITCHES, "blockingFunctions", "mfa", "passwordPolicyConfig")
_UNSHOWN = ("name", "usageMode")
_EVENTS = ("beforeCreate", "beforeSignIn")
_FORWARDED = ("idToken", "accessToken", "refreshToken")


def switches_json(project: Project) -> dict[str, object]:
    """The two that the emulator's own route shows."""
    settings = project.settings
    return {
        "signIn": {"allowDuplicateEmails": settings.allow_duplicate_emails},
        "emailPrivacyConfig": {"enableImprovedEmailPrivacy": settings.improved_email_privacy},
    }


def config_json(project: Project) -> dict[str, object]:
    config: dict[str, object] = {"name": f"projects/{project.id}/config", **switches_json(project)}
    config["blockingFunctions"] = dict(project.settings.blocking.json)
    if project.sign_in.second_factors_json is not None:
        config["mfa"] = dict(project.sign_in.second_factors_json)
    if project.sign_in.password_policy is not None:
        config["passwordPolicyConfig"] = policy_config_json(project.sign_in.password_policy)
    return config


def update_config(project: Project, body: Mapping[str, object], *, mask: str | None = None) -> None:
    """Sets what the mask names, or what the body has where there is no mask; nothing where something cannot be set."""
    named = None if not mask else {path.partition(".")[0] for path in mask.split(",")}
    wanted = {part: body.get(part) for part in (body if named is None else named)}
    for part, value in wanted.items():
        if part not in _PARTS and part not in _UNSHOWN and value:
            raise not_in_auth(part)
    switches = {part: _switch(part, wanted.get(part), switch) for part, switch in _SWITCHES.items()}
    blocking = _blocking(wanted["blockingFunctions"]) if "blockingFunctions" in wanted else None
    sections = {part: wanted.get(part) for part in ("mfa", "passwordPolicyConfig")}
    factors = None if sections["mfa"] is None else read_second_factors(sections["mfa"], "mfa")
    policy = (
        None if sections["passwordPolicyConfig"] is None else read_password_policy(sections["passwordPolicyConfig"])
    )
    settings = project.settings
    if switches["signIn"] is not None:
        settings.allow_duplicate_emails = switches["signIn"]
    if switches["emailPrivacyConfig"] is not None:
        settings.improved_email_privacy = switches["emailPrivacyConfig"]
    if blocking is not None:
        settings.blocking = blocking
    if factors is not None:
        told = sections["mfa"]
        project.sign_in.second_factors = factors
        project.sign_in.second_factors_json = told if isinstance(told, dict) else {}
    if policy is not None:
        project.sign_in.password_policy = policy


def _switch(part: str, values: object, switch: str) -> bool | None:
    if values is None:
        return None
    if not isinstance(values, dict):
        raise malformed(f"/{part} must be object")
    value = values.get(switch)
    if value is not None and not isinstance(value, bool):
        raise malformed(f"/{part}/{switch} must be boolean")
    return value


def _blocking(values: object) -> BlockingSettings:
    values = {} if values is None else values
    triggers = values.get("triggers", {}) if isinstance(values, dict) else None
    forwarded = values.get("forwardInboundCredentials", {}) if isinstance(values, dict) else None
    if not isinstance(values, dict) or not isinstance(triggers, dict) or not isinstance(forwarded, dict):
        raise malformed("/blockingFunctions must be object")
    urls = {}
    for event, trigger in triggers.items():
        if event not in _EVENTS:
            raise refused("INVALID_BLOCKING_FUNCTION : ((Event type is invalid.))")
        url = trigger.get("functionUri") if isinstance(trigger, dict) else None
        if not isinstance(url, str) or not is_absolute_url(url):
            raise refused("INVALID_BLOCKING_FUNCTION : ((Expected an absolute URI with valid scheme and host.))")
        urls[event] = url
    names = frozenset(name for name in _FORWARDED if forwarded.get(name) is True)
    return BlockingSettings(urls=urls, forwarded=names, json=values)
