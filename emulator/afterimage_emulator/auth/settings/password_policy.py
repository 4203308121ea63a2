"""Password policies: what a project asks of its users' passwords, and what one of them lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.auth.errors import malformed, refused

SPECIAL_CHARACTERS: Final = "^$*.[]{}()?\"!@#%&/\\,><':;|_~"
SHORTEST: Final = 6
LONGEST: Final = 4096
_LONGEST_MINIMUM: Final = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class PasswordPolicy:
    """What a policy asks for; `is_enforced` says whether a weaker password is refused or only reported by clients."""

    is_enforced: bool = False
    at_sign_in: bool = False
    shortest: int = SHORTEST
    longest: int = LONGEST
    lowercase: bool = False
    uppercase: bool = False
    numeric: bool = False
    special: bool = False

    def lacking(self, password: str) -> list[str]:
        missing = []
        if len(password) < self.shortest:
            missing.append(f"Password must contain at least {self.shortest} characters")
        if len(password) > self.longest:
            missing.append(f"Password may contain at most {self.longest} characters")
        if self.lowercase and not any("a" <= one <= "z" for one in password):
            missing.append("Password must contain a lower case character")
        if self.uppercase and not any("A" <= one <= "Z" for one in password):
            missing.append("Password must contain an upper case character")
        if self.numeric and not any("0" <= one <= "9" for one in password):
            missing.append("Password must contain a numeric character")
        if self.special and not any(one in SPECIAL_CHARACTERS for one in password):
            missing.append("Password must contain a non-alphanumeric character")
        return missing


def check_password(policy: PasswordPolicy | None, password: str) -> None:
    missing = policy.lacking(password) if policy is not None and policy.is_enforced else []
    if missing:
        raise refused(f"PASSWORD_DOES_NOT_MEET_REQUIREMENTS : Missing password requirements: [{', '.join(missing)}]")


def read_password_policy(config: object) -> PasswordPolicy:
    """A `PasswordPolicyConfig`, as Admin SDKs write it."""
    if not isinstance(config, dict):
        raise malformed("/passwordPolicyConfig must be object")
    state = config.get("passwordPolicyEnforcementState", "OFF")
    if state not in ("OFF", "ENFORCE", "PASSWORD_POLICY_ENFORCEMENT_STATE_UNSPECIFIED"):
        raise malformed(
            "/passwordPolicyConfig/passwordPolicyEnforcementState must be equal to one of the allowed values"
        )
    versions = config.get("passwordPolicyVersions", [])
    if not isinstance(versions, list) or not all(isinstance(version, dict) for version in versions):
        raise malformed("/passwordPolicyConfig/passwordPolicyVersions must be array")
    options = versions[-1].get("customStrengthOptions", {}) if versions else {}
    if not isinstance(options, dict):
        raise malformed("/passwordPolicyConfig/passwordPolicyVersions/0/customStrengthOptions must be object")
    shortest, longest = _length(options, "minPasswordLength", SHORTEST), _length(options, "maxPasswordLength", LONGEST)
    if not SHORTEST <= shortest <= _LONGEST_MINIMUM or not shortest <= longest <= LONGEST:
        raise refused(
            "INVALID_CONFIG : ((`minPasswordLength` is from 6 to 30, `maxPasswordLength` from there to 4096))"
        )
    return PasswordPolicy(
        is_enforced=state == "ENFORCE",
        at_sign_in=_switch(config, "forceUpgradeOnSignin"),
        shortest=shortest,
        longest=longest,
        lowercase=_switch(options, "containsLowercaseCharacter"),
        uppercase=_switch(options, "containsUppercaseCharacter"),
        numeric=_switch(options, "containsNumericCharacter"),
        special=_switch(options, "containsNonAlphanumericCharacter"),
    )


def policy_config_json(policy: PasswordPolicy) -> dict[str, object]:
    """As Admin SDKs read it."""
    return {
        "passwordPolicyEnforcementState": "ENFORCE" if policy.is_enforced else "OFF",
        "forceUpgradeOnSignin": policy.at_sign_in,
        "passwordPolicyVersions": [{"customStrengthOptions": _options_json(policy), "schemaVersion": 1}],
    }


def policy_json(policy: PasswordPolicy | None) -> dict[str, object]:
    """As clients read it, who check a password before they send it."""
    policy = policy or PasswordPolicy()
    return {
        "customStrengthOptions": {name: value for name, value in _options_json(policy).items() if value is not False},
        "allowedNonAlphanumericCharacters": list(SPECIAL_CHARACTERS),
        "schemaVersion": 1,
        "enforcementState": "ENFORCE" if policy.is_enforced else "OFF",
        "forceUpgradeOnSignin": policy.at_sign_in,
    }


def _options_json(policy: PasswordPolicy) -> dict[str, object]:
    return {
        "minPasswordLength": policy.shortest,
        "maxPasswordLength": policy.longest,
        "containsLowercaseCharacter": policy.lowercase,
        "containsUppercaseCharacter": policy.uppercase,
        "containsNumericCharacter": policy.numeric,
        "containsNonAlphanumericCharacter": policy.special,
    }


def _length(options: Mapping[str, object], name: str, otherwise: int) -> int:
    value = options.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool):
        raise malformed(f"/passwordPolicyConfig/passwordPolicyVersions/0/customStrengthOptions/{name} must be integer")
    return value


def _switch(options: Mapping[str, object], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise malformed(f"/passwordPolicyConfig/{name} must be boolean")
    return value
