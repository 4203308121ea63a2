"""OIDC and SAML providers that an administrator has described: kept and listed, and their names can sign in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sortedcontainers import SortedDict

from afterimage_emulator.auth.errors import malformed, refused

LARGEST_PAGE: Final = 100
_DEFAULT_PAGE: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderKind:
    """One of the two protocols: its collection, the prefix of its ids, and the fields it must and may have."""

    collection: str
    prefix: str
    required: tuple[str, ...]
    optional: tuple[str, ...]


OIDC: Final = ProviderKind(
    collection="oauthIdpConfigs",
    prefix="oidc.",
    required=("clientId", "issuer"),
    optional=("displayName", "enabled", "clientSecret", "responseType"),
)
SAML: Final = ProviderKind(
    collection="inboundSamlConfigs",
    prefix="saml.",
    required=("idpConfig", "spConfig"),
    optional=("displayName", "enabled"),
)
KINDS: Final = {kind.collection: kind for kind in (OIDC, SAML)}
_ID = re.compile(r"[a-z][a-z0-9.-]{1,100}")
_TYPES: Final = {"enabled": bool, "responseType": dict, "idpConfig": dict, "spConfig": dict}


@dataclass(kw_only=True, slots=True)
class ProviderConfigs:
    """The descriptions of one project or tenant, by id; what is kept is what is shown."""

    oidc: SortedDict = field(default_factory=SortedDict)
    saml: SortedDict = field(default_factory=SortedDict)

    def of(self, kind: ProviderKind) -> SortedDict:
        return self.oidc if kind is OIDC else self.saml

    def create(self, kind: ProviderKind, config_id: str, body: Mapping[str, object]) -> dict[str, object]:
        if not config_id.startswith(kind.prefix) or _ID.fullmatch(config_id) is None:
            raise refused(f"INVALID_PROVIDER_ID : ((`{config_id}` must start with `{kind.prefix}`))")
        if config_id in self.of(kind):
            raise refused("DUPLICATE_PROVIDER_ID")
        _check(kind, body)
        for name in kind.required:
            if not body.get(name):
                raise refused(f"INVALID_CONFIG : ((`{name}` is missing))")
        names = (*kind.required, *kind.optional)
        kept = {"enabled": False} | {name: _copied(body[name]) for name in names if name in body}
        self.of(kind)[config_id] = kept
        return kept

    def get(self, kind: ProviderKind, config_id: str) -> dict[str, object]:
        found: dict[str, object] | None = self.of(kind).get(config_id)
        if found is None:
            raise refused("CONFIGURATION_NOT_FOUND")
        return found

    def update(
        self, kind: ProviderKind, config_id: str, body: Mapping[str, object], mask: str | None
    ) -> dict[str, object]:
        """A mask may name fields of fields; what it names and the body lacks is cleared."""
        changed: dict[str, object] = _copied(self.get(kind, config_id))
        _check(kind, body)
        for path in mask.split(",") if mask else [name for name in (*kind.required, *kind.optional) if name in body]:
            first, *rest = path.split(".")
            if first not in kind.required and first not in kind.optional:
                raise malformed(f"updateMask names `{path}`, which is no field of it")
            into, source = changed, body
            for step in (first, *rest)[:-1]:
                inner, given = into.setdefault(step, {}), source.get(step) or {}
                if not isinstance(inner, dict) or not isinstance(given, dict):
                    raise malformed(f"updateMask names `{path}`, which is no field of it")
                into, source = inner, given
            last = (first, *rest)[-1]
            if last in source:
                into[last] = source[last]
            else:
                into.pop(last, None)
        for name in kind.required:
            if not changed.get(name):
                raise refused(f"INVALID_CONFIG : ((`{name}` is missing))")
        self.of(kind)[config_id] = changed
        return changed

    def delete(self, kind: ProviderKind, config_id: str) -> None:
        self.get(kind, config_id)
        del self.of(kind)[config_id]

    def page(self, kind: ProviderKind, *, after: str | None, size: int | None) -> tuple[list[str], bool]:
        limit = min(size or _DEFAULT_PAGE, LARGEST_PAGE)
        names = list(self.of(kind).irange(minimum=after or None, inclusive=(False, True)))
        return names[:limit], len(names) > limit


def provider_config_json(
    kind: ProviderKind, config_id: str, config: Mapping[str, object], *, parent: str
) -> dict[str, object]:
    shown = {"name": f"{parent}/{kind.collection}/{config_id}", **_copied(config)}
    if kind is SAML:  # what production makes of the project; SDKs insist on it
        shown["spConfig"].setdefault("callbackUri", "")
    return shown


def _check(kind: ProviderKind, body: Mapping[str, object]) -> None:
    for name in (*kind.required, *kind.optional):
        wanted = _TYPES.get(name, str)
        if name in body and body[name] is not None and not isinstance(body[name], wanted):
            raise malformed(f"/{name} must be { {bool: 'boolean', dict: 'object', str: 'string'}[wanted] }")


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(inner) for name, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value
