"""IAM policies: read and checked, merged by role, told in the version that was asked for (pure)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterimage_emulator.storage.errors import Reason, SpecificError, StorageError, condition_not_met, invalid

PUBLIC_MEMBERS: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
_ROLE: Final = re.compile(r"(?:(?:projects|organizations)/[^/\s]{1,100}/)?roles/[A-Za-z0-9_.]{1,100}")
_MEMBER: Final = re.compile(r"(?:deleted:)?[A-Za-z]{1,40}:[^\s]{1,500}|principal(?:Set)?://[^\s]{1,500}")
_PERMISSION: Final = re.compile(r"storage\.[A-Za-z]{1,60}\.[A-Za-z]{1,60}|resourcemanager\.[A-Za-z.]{1,100}")
_BINDINGS: Final = 1_500
_PERMISSIONS: Final = 84


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """Members who have a role, under a condition or always."""

    role: str
    members: tuple[str, ...]
    condition: Mapping[str, str] | None = None


Policy = tuple[Binding, ...]


def default_policy(project: str, *, has_uniform_access: bool) -> Policy:
    """A new bucket's: its project's owners, editors and viewers have the legacy roles."""
    owners = (f"projectEditor:{project}", f"projectOwner:{project}")
    viewers = (f"projectViewer:{project}",)
    policy = (
        Binding(role="roles/storage.legacyBucketOwner", members=owners),
        Binding(role="roles/storage.legacyBucketReader", members=viewers),
    )
    if not has_uniform_access:
        return policy  # lists say who has the objects
    return (
        *policy,
        Binding(role="roles/storage.legacyObjectOwner", members=owners),
        Binding(role="roles/storage.legacyObjectReader", members=viewers),
    )


def read_bindings(body: Mapping[str, object], *, has_uniform_access: bool, forbids_public: bool) -> Policy:
    """A policy without bindings takes everything away; bindings of one role and condition become one."""
    said = [] if body.get("bindings") is None else body["bindings"]
    if not isinstance(said, list) or len(said) > _BINDINGS:
        raise invalid(f"Invalid value for `bindings`: it must be a list of at most {_BINDINGS}")
    version = body.get("version", 1)
    if version not in (None, 0, 1, 3) or isinstance(version, bool):
        raise invalid(f"Invalid value for `version`: `{str(version)[:60]}`; use 1 or 3")
    merged: dict[str, Binding] = {}
    for one in said:
        binding = _binding(one)
        if binding.condition is not None and not has_uniform_access:
            raise SpecificError(
                Reason.CONDITION_NOT_MET,
                "PreconditionFailed",
                "To set a condition, first enable uniform bucket-level access on this bucket.",
            )
        if binding.condition is not None and version != 3:
            raise invalid("A policy with conditions must have a version of at least 3.")
        if forbids_public and PUBLIC_MEMBERS.intersection(binding.members):
            raise condition_not_met()
        key = json.dumps([binding.role, binding.condition], sort_keys=True)
        before = merged.get(key)
        members = (*(() if before is None else before.members), *binding.members)
        merged[key] = Binding(
            role=binding.role, members=tuple(sorted(dict.fromkeys(members))), condition=binding.condition
        )
    return tuple(merged.values())


def policy_resource(policy: Policy, *, place: str, metageneration: int, version: int) -> dict[str, object]:
    """Whoever asks for a version without conditions sees that there are some by the name of the role."""
    has_conditions = any(binding.condition is not None for binding in policy)
    return {
        "kind": "storage#policy",
        "resourceId": f"projects/_/{place}",
        "version": 3 if has_conditions and version >= 3 else 1,
        "etag": policy_etag(metageneration),
        "bindings": [_printed(binding, version) for binding in policy],
    }


def policy_etag(metageneration: int) -> str:
    """A protobuf of one field, as production writes it: CAE= for 1."""
    encoded = bytearray(b"\x08")
    value = metageneration
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return base64.b64encode(bytes(encoded)).decode()


def check_etag(said: object, metageneration: int) -> None:
    """A write that names one is refused where somebody has written since the policy was read."""
    if said is None or said == "":
        return
    try:
        raw = base64.b64decode(said, validate=True) if isinstance(said, str) else b""
    except (ValueError, binascii.Error):
        raw = b""
    if not raw.startswith(b"\x08"):
        raise invalid(f"Invalid value for `etag`: `{str(said)[:60]}` is no etag of a policy")
    if said != policy_etag(metageneration):
        raise condition_not_met()


def requested_version(text: str | None) -> int:
    if text is None:
        return 1
    if text not in ("1", "2", "3"):
        raise invalid(f"Invalid value for `optionsRequestedPolicyVersion`: `{text[:60]}`; use 1 or 3")
    return int(text)


def read_permissions(wanted: Sequence[str]) -> list[str]:
    """Nobody is refused here: whoever asks has all that he asks for, if it is a permission."""
    if not wanted:
        raise StorageError(Reason.REQUIRED, "Required parameter: permissions")
    if len(wanted) > _PERMISSIONS or len(set(wanted)) != len(wanted):
        raise invalid(f"Invalid value for `permissions`: at most {_PERMISSIONS}, and none twice")
    for one in wanted:
        if not _PERMISSION.fullmatch(one):
            raise invalid(f"Invalid value for `permissions`: `{one[:100]}` is no permission of Cloud Storage")
    return list(wanted)


def _binding(said: object) -> Binding:
    if not isinstance(said, Mapping):
        raise invalid("Invalid value for `bindings[]`: it must be an object")
    role, condition = said.get("role"), said.get("condition")
    members = [] if said.get("members") is None else said["members"]
    if not isinstance(role, str) or not _ROLE.fullmatch(role):
        raise invalid(f"Invalid value for `bindings[].role`: `{str(role)[:100]}`; write roles/storage.objectViewer")
    if not isinstance(members, list):
        raise invalid("Invalid value for `bindings[].members`: it must be a list of strings")
    for member in members:
        if not isinstance(member, str) or not (member in PUBLIC_MEMBERS or _MEMBER.fullmatch(member)):
            raise invalid(f"Invalid value for `bindings[].members`: `{str(member)[:100]}`; write user:ann@x.example")
    return Binding(role=role, members=tuple(members), condition=_condition(condition))


def _condition(said: object) -> Mapping[str, str] | None:
    if said is None or said == {}:
        return None
    if not isinstance(said, Mapping) or not isinstance(said.get("expression"), str) or not said["expression"]:
        raise invalid("Invalid value for `bindings[].condition`: it must be an object with an `expression`")
    unknown = [name for name, value in said.items() if name not in _CONDITION_FIELDS or not isinstance(value, str)]
    if unknown:
        raise invalid(f"Invalid value for `bindings[].condition.{str(unknown[0])[:60]}`")
    return dict(said)


_CONDITION_FIELDS: Final = frozenset({"title", "description", "expression", "location"})


def _printed(binding: Binding, version: int) -> dict[str, object]:
    printed: dict[str, object] = {"role": binding.role, "members": list(binding.members)}
    if binding.condition is None:
        return printed
    if version >= 3:
        return {**printed, "condition": dict(binding.condition)}
    digest = hashlib.sha256(json.dumps(binding.condition, sort_keys=True).encode()).hexdigest()[:20]
    return {**printed, "role": f"{binding.role}_withcond_{digest}"}
