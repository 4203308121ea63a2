"""POST policies, V4 and V2: what a signed policy allows a form to send, and whether the form keeps to it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from afterimage_emulator.clock import Clock
from afterimage_emulator.front.json_reading import UnreadableJsonError, read_json
from afterimage_emulator.storage.errors import Reason, SpecificError
from afterimage_emulator.storage.signing.credentials import SECOND_NS, read_credential, shown
from afterimage_emulator.storage.signing.keys import SigningKeys, from_base64, from_hex

POLICY_LIMIT_BYTES: Final = 64 * 1024
_CONDITIONS: Final = 1_000
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_UNNAMED: Final = frozenset({"file", "policy", "x-goog-signature", "signature", "googleaccessid"})
"""Fields that no policy has to name."""
_SIGNING_V4: Final = ("x-goog-algorithm", "x-goog-credential", "x-goog-date", "x-goog-signature")


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyCondition:
    """One line of a policy; `field` is lower case, and its value must be `value` or begin with it."""

    field: str
    value: str
    is_prefix: bool
    printed: str

    def holds(self, value: str) -> bool:
        return value.startswith(self.value) if self.is_prefix else value == self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A policy as its signer wrote it."""

    expires_ns: int
    conditions: tuple[PolicyCondition, ...]
    size_range: tuple[int, int] | None

    def exact(self, field: str) -> str | None:
        """The one value that the policy leaves for a field."""
        values = [one.value for one in self.conditions if one.field == field and not one.is_prefix]
        return values[0] if values else None


class PostPolicies:
    """Checks forms by the suite's clock."""

    def __init__(self, *, clock: Clock, keys: SigningKeys) -> None:
        self._clock = clock
        self._keys = keys

    def check(self, fields: Mapping[str, str], *, key: str, bucket: str | None) -> tuple[Policy, str, str]:
        """The policy, the bucket that it is for, and the account that signed it; `fields` have lower-case names.

        `key` is the object's name, in which the file's has been put; `bucket` is the one of the form's address, None
        where the address names none.
        """
        text = fields.get("policy", "")
        signer = self._check_signature(fields, text)
        policy = read_policy(text)
        if self._clock.now_ns() > policy.expires_ns:
            raise _refused("Policy expired.")
        named = fields.get("bucket") or bucket or policy.exact("bucket")
        if named is None:
            raise _refused("the policy, the form and its address name no bucket")
        if bucket is not None and named != bucket:
            raise _refused(f"the field `bucket` is `{shown(named)}`, and the form was sent to `{shown(bucket)}`")
        check_form(policy, {**fields, "bucket": named}, key=key)
        return policy, named, signer

    def _check_signature(self, fields: Mapping[str, str], text: str) -> str:
        """The account that signed."""
        if "x-goog-signature" in fields or "x-goog-algorithm" in fields:
            missing = [name for name in _SIGNING_V4 if not fields.get(name)]
            if missing:
                raise _refused(f"the form has a policy, and no field `{missing[0]}`")
            credential = read_credential(
                algorithm=fields["x-goog-algorithm"],
                credential=fields["x-goog-credential"],
                date=fields["x-goog-date"],
                now_ns=self._clock.now_ns(),
            )
            signature = from_hex(fields["x-goog-signature"])
            if credential.algorithm.is_hmac:
                return self._keys.check_hmac(
                    credential.signer,
                    signature,
                    [text],
                    None,
                    scope=credential.scope,
                    scheme=credential.algorithm.scheme,
                )
            return self._keys.check_rsa(credential.signer, signature, [text], None, is_email_signed=True)
        access_id, signed = fields.get("googleaccessid"), fields.get("signature")
        if not access_id or not signed:
            raise _refused(
                "the form has a policy and no signature: send `x-goog-signature`, or `GoogleAccessId` and `signature`"
            )
        if "@" in access_id:
            return self._keys.check_rsa(access_id, from_base64(signed), [text], None, is_email_signed=False)
        return self._keys.check_hmac(access_id, from_base64(signed), [text], None, scope=None)


def read_policy(text: str) -> Policy:
    """From the base64 that was signed; what is no policy is refused by name of what is wrong."""
    if len(text) > POLICY_LIMIT_BYTES * 2:
        raise _refused(f"a policy has at most {POLICY_LIMIT_BYTES} bytes")
    raw = from_base64(text)
    if raw is None:
        raise _refused("the field `policy` is not base64")
    try:
        document = read_json(raw)
    except UnreadableJsonError:
        raise _refused("the policy is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("conditions"), list):
        raise _refused("a policy is an object with `expiration` and a list `conditions`")
    if len(document["conditions"]) > _CONDITIONS:
        raise _refused(f"a policy has at most {_CONDITIONS} conditions")
    conditions: list[PolicyCondition] = []
    size_range: tuple[int, int] | None = None
    for entry in document["conditions"]:
        bounds = _size_range(entry)
        if bounds is None:
            conditions += _conditions(entry)
        else:  # where there are several ranges, all must hold
            least, most = size_range or bounds
            size_range = max(least, bounds[0]), min(most, bounds[1])
    return Policy(
        expires_ns=_expiration(document.get("expiration")), conditions=tuple(conditions), size_range=size_range
    )


def check_form(policy: Policy, fields: Mapping[str, str], *, key: str) -> None:
    """Every condition holds, and nothing is sent that no condition speaks of."""
    for condition in policy.conditions:
        if condition.field not in fields:
            if condition.is_prefix and condition.value == "":
                continue
            raise _refused(f"Failed condition: {condition.printed}; the form has no such field")
        values = {fields[condition.field], *((key,) if condition.field == "key" else ())}
        # A signer who writes `${filename}` into the one name that is allowed means whatever the file is called.
        if not any(condition.holds(value) for value in values):
            raise _refused(f"Failed condition: {condition.printed}")
    named = {condition.field for condition in policy.conditions}
    for field in fields:
        if field not in named and field not in _UNNAMED and not field.startswith("x-ignore-"):
            raise _refused(f"Policy did not reference these fields: {shown(field)}")


def _conditions(entry: object) -> list[PolicyCondition]:
    if isinstance(entry, dict) and entry:
        return [_condition(field, value, entry={field: value}) for field, value in entry.items()]
    if isinstance(entry, list) and len(entry) == 3 and all(isinstance(part, str) for part in entry):
        operator, field, value = entry
        if operator in ("eq", "starts-with") and field.startswith("$"):
            return [_condition(field[1:], value, entry=entry, is_prefix=operator == "starts-with")]
    raise _refused(f"`{_printed(entry)}` is no condition of a policy")


def _condition(field: object, value: object, *, entry: object, is_prefix: bool = False) -> PolicyCondition:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(field, str) or not field or not isinstance(value, str):
        raise _refused(f"`{_printed(entry)}` is no condition of a policy")
    return PolicyCondition(field=field.lower(), value=value, is_prefix=is_prefix, printed=_printed(entry))


def _size_range(entry: object) -> tuple[int, int] | None:
    if not isinstance(entry, list) or not entry or entry[0] != "content-length-range":
        return None
    bounds = [_whole(part) for part in entry[1:]]
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None or bounds[0] > bounds[1]:
        raise _refused(f"`{_printed(entry)}` is no range of lengths")
    return bounds[0], bounds[1]


def _whole(part: object) -> int | None:
    if isinstance(part, str) and re.fullmatch(r"[0-9]{1,19}", part):
        return int(part)
    return part if isinstance(part, int) and not isinstance(part, bool) and 0 <= part < 2**63 else None


def _expiration(value: object) -> int:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise _refused("the policy's `expiration` is not written YYYY-MM-DDTHH:MM:SSZ")
    try:
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        raise _refused(f"the policy's `expiration` `{found[0]}` is no moment") from None
    return int(moment.timestamp()) * SECOND_NS + int((found[2] or "0").ljust(9, "0"))


def _printed(entry: object) -> str:
    return shown(json.dumps(entry))


def _refused(details: str) -> SpecificError:
    return SpecificError(Reason.INVALID, "InvalidPolicyDocument", details)
