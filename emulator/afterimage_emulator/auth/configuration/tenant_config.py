"""Tenants as JSON: made, read, changed by a mask, and listed, as Admin SDKs do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from afterimage_emulator.auth.accounts.projects import Project
from afterimage_emulator.auth.errors import malformed, refused
from afterimage_emulator.auth.identifiers import new_id
from afterimage_emulator.auth.settings.password_policy import policy_config_json, read_password_policy
from afterimage_emulator.auth.settings.sign_in_settings import SMS, SignInSettings, read_second_factors

LARGEST_PAGE: Final = 1000
_DEFAULT_PAGE: Final = 20
_SWITCHES: Final = {
    "allowPasswordSignup": "allows_password",
    "enableEmailLinkSignin": "allows_email_link",
    "enableAnonymousUser": "allows_anonymous",
    "disableAuth": "is_disabled",
}
_NOTHING: Final = {"state": "DISABLED", "enabledProviders": []}
_ON_SIGHT: Final = {"state": "ENABLED", "enabledProviders": [SMS]}


def tenant_json(tenant: Project) -> dict[str, object]:
    shown: dict[str, object] = {
        "name": f"projects/{tenant.id}/tenants/{tenant.tenant_id}",
        "tenantId": tenant.tenant_id,
    }
    if tenant.display_name is not None:
        shown["displayName"] = tenant.display_name
    for name, attribute in _SWITCHES.items():
        shown[name] = getattr(tenant.sign_in, attribute)
    shown["mfaConfig"] = dict(tenant.sign_in.second_factors_json or _ON_SIGHT)
    if tenant.sign_in.password_policy is not None:
        shown["passwordPolicyConfig"] = policy_config_json(tenant.sign_in.password_policy)
    return shown


def create_tenant(project: Project, body: Mapping[str, object]) -> dict[str, object]:
    """A tenant that is made allows nothing that it does not say."""
    sign_in = SignInSettings(allows_password=False, allows_email_link=False, allows_anonymous=False)
    name = _apply(sign_in, {"mfaConfig": {}, **_known(body)})
    tenant = project.new_tenant(new_id())
    tenant.sign_in, tenant.display_name = sign_in, name
    return tenant_json(tenant)


def known_tenant(project: Project, tenant_id: str) -> Project:
    tenant: Project | None = project.tenants.get(tenant_id)
    if tenant is None:
        raise refused("TENANT_NOT_FOUND")
    return tenant


def update_tenant(tenant: Project, body: Mapping[str, object], mask: str | None) -> dict[str, object]:
    """Without a mask everything becomes what the body says, or what a new tenant would have."""
    known = _known(body)
    if mask is None:
        sign_in = SignInSettings(allows_password=False, allows_email_link=False, allows_anonymous=False)
        tenant.display_name = _apply(sign_in, {"mfaConfig": {}, **known})
        tenant.sign_in = sign_in
        return tenant_json(tenant)
    changes: dict[str, object] = {}
    for path in mask.split(","):
        first, _, inner = path.partition(".")
        if first == "mfaConfig" and inner:
            before = changes.get("mfaConfig", tenant.sign_in.second_factors_json or _ON_SIGHT)
            source = known.get("mfaConfig")
            if isinstance(source, dict) and isinstance(before, dict) and inner in source:
                changes["mfaConfig"] = {**before, inner: source[inner]}
        elif first in known:
            changes[first] = known[first]
    sign_in = SignInSettings(**{name: getattr(tenant.sign_in, name) for name in SignInSettings.__slots__})
    display_name = _apply(sign_in, changes)
    tenant.sign_in = sign_in
    if "displayName" in changes:
        tenant.display_name = display_name
    return tenant_json(tenant)


def list_tenants(project: Project, *, after: str | None, size: int | None) -> dict[str, object]:
    limit = min(size or _DEFAULT_PAGE, LARGEST_PAGE)
    names = list(project.tenants.irange(minimum=after or None, inclusive=(False, True)))
    answer: dict[str, object] = {"tenants": [tenant_json(project.tenants[name]) for name in names[:limit]]}
    if len(names) > limit:
        answer["nextPageToken"] = names[limit - 1]
    return answer


def restore_tenant(project: Project, body: Mapping[str, object]) -> Project:
    """A tenant as an export has it."""
    tenant_id = body.get("tenantId")
    if not isinstance(tenant_id, str):
        raise malformed("/tenantId must be string")
    tenant = project.tenant(tenant_id)
    update_tenant(tenant, body, None)
    return tenant


def _known(body: Mapping[str, object]) -> dict[str, object]:
    names = (*_SWITCHES, "displayName", "mfaConfig", "passwordPolicyConfig")
    return {name: body[name] for name in names if body.get(name) is not None}


def _apply(sign_in: SignInSettings, fields: Mapping[str, object]) -> str | None:
    """Changes `sign_in` and answers with the display name; a fault is raised before anything counts."""
    for name, attribute in _SWITCHES.items():
        if name in fields:
            if not isinstance(fields[name], bool):
                raise malformed(f"/{name} must be boolean")
            setattr(sign_in, attribute, fields[name])
    if "mfaConfig" in fields:
        config = fields["mfaConfig"]
        sign_in.second_factors = read_second_factors(config, "mfaConfig")
        sign_in.second_factors_json = {**_NOTHING, **(config if isinstance(config, dict) else {})}
    if "passwordPolicyConfig" in fields:
        sign_in.password_policy = read_password_policy(fields["passwordPolicyConfig"])
    display_name = fields.get("displayName")
    if display_name is not None and not isinstance(display_name, str):
        raise malformed("/displayName must be string")
    return display_name
