"""Which kinds of encryption a bucket takes for new objects, and which key it gives those that name none (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from afterimage_emulator.storage.errors import Reason, SpecificError, invalid
from afterimage_emulator.storage.messages.timestamps import print_time
from afterimage_emulator.storage.settings.key_names import check_key_name

_GOOGLE: Final = "googleManagedEncryptionEnforcementConfig"
_CUSTOMER_MANAGED: Final = "customerManagedEncryptionEnforcementConfig"
_CUSTOMER_SUPPLIED: Final = "customerSuppliedEncryptionEnforcementConfig"
_KINDS: Final[Mapping[str, str]] = {
    _GOOGLE: "Google-managed encryption",
    _CUSTOMER_MANAGED: "customer-managed encryption keys",
    _CUSTOMER_SUPPLIED: "customer-supplied encryption keys",
}
_RESTRICTED: Final = "FullyRestricted"
_MODES: Final = ("NotRestricted", _RESTRICTED)


def settled_encryption(old: object, new: object, now_ns: int) -> Mapping[str, object]:
    """Checked, and with the time from which each restriction holds."""
    if not isinstance(new, Mapping):
        raise invalid(f"Invalid value for `encryption`: it must be an object, not `{str(new)[:60]}`")
    before = old if isinstance(old, Mapping) else {}
    if new.get("defaultKmsKeyName") is not None:
        check_key_name(new["defaultKmsKeyName"])
    settled = dict(new)
    for field in _KINDS:
        if field in new:
            settled[field] = _enforcement(field, before.get(field), new[field], now_ns)
    if all(_is_restricted(settled, field) for field in _KINDS):
        raise invalid("A bucket cannot restrict every kind of encryption: nothing could be written to it")
    return settled


def _enforcement(field: str, old: object, said: object, now_ns: int) -> Mapping[str, object]:
    mode = said.get("restrictionMode") if isinstance(said, Mapping) else None
    if mode not in _MODES:
        raise invalid(f"Invalid value for `encryption.{field}.restrictionMode`: `{mode}`; use {' or '.join(_MODES)}")
    if mode != _RESTRICTED:
        return {"restrictionMode": mode}
    if isinstance(old, Mapping) and old.get("restrictionMode") == mode and "effectiveTime" in old:
        return dict(old)
    return {"restrictionMode": mode, "effectiveTime": print_time(now_ns)}


def _is_restricted(encryption: Mapping[str, Any], field: str) -> bool:
    said = encryption.get(field)
    return isinstance(said, Mapping) and said.get("restrictionMode") == _RESTRICTED


def default_key(settings: Mapping[str, Any]) -> str | None:
    """The version of the bucket's own key, where it has one."""
    key = (settings.get("encryption") or {}).get("defaultKmsKeyName")
    return None if key is None else f"{key}/cryptoKeyVersions/1"


def refuse_restricted(settings: Mapping[str, Any], *, brings_key: bool, names_key: bool) -> None:
    """Asked for each new object, however it is made."""
    encryption = settings.get("encryption")
    if not encryption:
        return
    field = _CUSTOMER_SUPPLIED if brings_key else _GOOGLE
    if not brings_key and (names_key or default_key(settings) is not None):
        field = _CUSTOMER_MANAGED
    if _is_restricted(encryption, field):
        raise SpecificError(
            Reason.CONDITION_NOT_MET,
            "PreconditionFailed",
            f"This bucket takes no new objects under {_KINDS[field]}; see `encryption.{field}` of the bucket.",
        )
