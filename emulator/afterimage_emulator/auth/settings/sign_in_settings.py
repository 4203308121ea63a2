"""Which ways of signing in a project or a tenant allows, as its JSON has them and as operations ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from afterimage_emulator.auth.errors import malformed
from afterimage_emulator.auth.settings.password_policy import PasswordPolicy

SMS: Final = "PHONE_SMS"
_FACTOR_STATES: Final = ("STATE_UNSPECIFIED", "DISABLED", "ENABLED", "MANDATORY")
# Production's: a phone may be two and a half minutes off.
_ADJACENT_INTERVALS: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class SecondFactorSettings:
    """Whether SMS and authenticator apps count, and how far an app's clock may be off, in periods."""

    by_sms: bool = True
    by_totp: bool = True
    adjacent_intervals: int = _ADJACENT_INTERVALS

    @property
    def is_on(self) -> bool:
        return self.by_sms or self.by_totp


@dataclass(kw_only=True, slots=True)
class SignInSettings:
    """The settings of one project or of one tenant. A project allows everything until it is told otherwise."""

    allows_password: bool = True
    allows_email_link: bool = True
    allows_anonymous: bool = True
    is_disabled: bool = False
    second_factors: SecondFactorSettings = field(default_factory=SecondFactorSettings)
    second_factors_json: Mapping[str, object] | None = None
    password_policy: PasswordPolicy | None = None


def read_second_factors(config: object, path: str) -> SecondFactorSettings:
    """A `MultiFactorAuthConfig`: `state`, `enabledProviders`, and `providerConfigs` with authenticator apps."""
    if not isinstance(config, dict):
        raise malformed(f"/{path} must be object")
    state = config.get("state", "DISABLED")
    if state not in _FACTOR_STATES:
        raise malformed(f"/{path}/state must be equal to one of the allowed values")
    enabled, configs = config.get("enabledProviders", []), config.get("providerConfigs", [])
    if not isinstance(enabled, list) or not isinstance(configs, list):
        raise malformed(
            f"/{path}/{'providerConfigs' if isinstance(enabled, list) else 'enabledProviders'} must be array"
        )
    is_on = state in ("ENABLED", "MANDATORY")
    by_totp, adjacent = False, _ADJACENT_INTERVALS
    for number, provider in enumerate(configs):
        if not isinstance(provider, dict):
            raise malformed(f"/{path}/providerConfigs/{number} must be object")
        totp = provider.get("totpProviderConfig")
        if totp is None:
            continue
        if not isinstance(totp, dict):
            raise malformed(f"/{path}/providerConfigs/{number}/totpProviderConfig must be object")
        adjacent = totp.get("adjacentIntervals", _ADJACENT_INTERVALS)
        if not isinstance(adjacent, int) or isinstance(adjacent, bool) or not 0 <= adjacent <= 10:
            raise malformed(f"/{path}/providerConfigs/{number}/totpProviderConfig/adjacentIntervals must be 0 to 10")
        by_totp = provider.get("state") in ("ENABLED", "MANDATORY")
    return SecondFactorSettings(by_sms=is_on and SMS in enabled, by_totp=by_totp, adjacent_intervals=adjacent)
