"""The settings of a bucket after a create, a patch or an update: merged, checked, completed by the server (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from afterimage_emulator.storage.access.lists import BUCKET_ROLES, OBJECT_ROLES, read_list
from afterimage_emulator.storage.errors import invalid, not_implemented
from afterimage_emulator.storage.lifecycle.rules import SET_CLASS, read_rules
from afterimage_emulator.storage.settings.autoclass_settings import changed_autoclass
from afterimage_emulator.storage.settings.encryption_settings import settled_encryption
from afterimage_emulator.storage.settings.hierarchy_settings import check_hierarchy, created_hierarchy
from afterimage_emulator.storage.settings.retention_settings import (
    SOFT_DELETE_SECONDS,
    changed_retention,
    changed_soft_delete,
    soft_delete_policy,
)

Settings = Mapping[str, object]

_MERGED: Final = ("labels", "versioning", "website", "logging", "iamConfiguration", "billing", "encryption")
_REPLACED: Final = ("cors", "acl", "defaultObjectAcl", "defaultEventBasedHold", "lifecycle", "rpo")
_ONLY_AT_CREATION: Final = ("objectRetention", "hierarchicalNamespace", "customPlacementConfig")
_FLAGS: Final = ("defaultEventBasedHold",)
_INNER_FLAGS: Final = (("versioning", "enabled"), ("billing", "requesterPays"))
_SWITCHED_OFF: Final[Mapping[str, Callable[[Mapping[str, object]], bool]]] = {
    "ipFilter": lambda said: said.get("mode") in (None, "Disabled"),
}
"""What is taken as long as it asks for nothing."""


def created_settings(
    bucket: str, body: Mapping[str, object], now_ns: int, *, allows_object_retention: bool = False
) -> Settings:
    settings = dict(patched_settings(bucket, {}, body, now_ns))
    settings.setdefault("softDeletePolicy", soft_delete_policy(SOFT_DELETE_SECONDS, now_ns))
    _set(settings, "hierarchicalNamespace", created_hierarchy(body.get("hierarchicalNamespace")))
    placement = body.get("customPlacementConfig")
    if placement is not None:
        settings["customPlacementConfig"] = _placement(placement)
    if allows_object_retention:
        settings["objectRetention"] = {"mode": "Enabled"}
    _check_together(settings)
    return settings


def updated_settings(bucket: str, old: Settings, body: Mapping[str, object], now_ns: int) -> Settings:
    """PUT: what is not said is gone, but for what cannot go and what only a patch can turn."""
    kept = {name: old[name] for name in (*_ONLY_AT_CREATION, "softDeletePolicy", "retentionPolicy") if name in old}
    said = {**body, **({} if "retentionPolicy" in body else {"retentionPolicy": None})}
    return patched_settings(bucket, kept, said, now_ns)


def patched_settings(bucket: str, old: Settings, body: Mapping[str, object], now_ns: int) -> Settings:
    """Objects merge key by key, null removes, everything else replaces: the JSON API's patch."""
    settings = dict(old)
    for field, asks_nothing in _SWITCHED_OFF.items():
        said = body.get(field)
        if isinstance(said, Mapping) and not asks_nothing(said):
            raise not_implemented(f"bucket.{field}")
        if field in body:
            _set(settings, field, said)
    for field in _MERGED:
        if field in body:
            _set(settings, field, _merged(settings.get(field), body[field]))
    for field in _REPLACED:
        if field in body and not (field == "lifecycle" and body[field] == {}):  # an empty one changes nothing
            _set(settings, field, body[field])
    for field, roles in (("acl", BUCKET_ROLES), ("defaultObjectAcl", OBJECT_ROLES)):
        if isinstance(settings.get(field), list):
            settings[field] = list(read_list(settings[field], roles, field))
    if settings.get("acl") == []:
        del settings["acl"]  # an empty list changes nothing
    _change_by_the_server(settings, bucket, old, body, now_ns)
    _check(settings)
    if "encryption" in settings:
        settings["encryption"] = settled_encryption(old.get("encryption"), settings["encryption"], now_ns)
    _check_together(settings)
    return settings


def _change_by_the_server(
    settings: dict[str, object], bucket: str, old: Settings, body: Mapping[str, object], now_ns: int
) -> None:
    """What the server adds times to."""
    if "retentionPolicy" in body:
        policy = changed_retention(bucket, _mapping(old.get("retentionPolicy")), body["retentionPolicy"], now_ns)
        _set(settings, "retentionPolicy", policy)
    if "softDeletePolicy" in body:
        kept = changed_soft_delete(_mapping(old.get("softDeletePolicy")), body["softDeletePolicy"], now_ns)
        _set(settings, "softDeletePolicy", kept)
    if "autoclass" in body:
        _set(settings, "autoclass", changed_autoclass(_mapping(old.get("autoclass")), body["autoclass"], now_ns))


def _set(settings: dict[str, object], field: str, value: object) -> None:
    if value is None or value == {}:
        settings.pop(field, None)
    else:
        settings[field] = value


def _check(settings: dict[str, object]) -> None:
    for field in _MERGED:
        if field in settings and not isinstance(settings[field], Mapping):
            raise invalid(f"Invalid value for `{field}`: it must be an object, not `{str(settings[field])[:60]}`")
    for field in ("cors", "acl", "defaultObjectAcl"):
        value = settings.get(field, [])
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            raise invalid(f"Invalid value for `{field}`: it must be a list of objects")
    for field, inner in _INNER_FLAGS:
        _check_flag(settings.get(field), field, inner)
    for field in ("uniformBucketLevelAccess", "bucketPolicyOnly"):
        access = (_mapping(settings.get("iamConfiguration")) or {}).get(field)
        if access is not None and not isinstance(access, Mapping):
            raise invalid(f"Invalid value for `iamConfiguration.{field}`: it must be an object")
        _check_flag(access, f"iamConfiguration.{field}", "enabled")
    for field in _FLAGS:
        if not isinstance(settings.get(field, False), bool):
            raise invalid(f"Invalid value for `{field}`: `{settings[field]!r}` is neither true nor false")
    labels = _mapping(settings.get("labels")) or {}
    if not all(isinstance(value, str) for value in labels.values()):
        raise invalid("Invalid value for `labels`: it must be an object of strings")
    if settings.get("rpo", "DEFAULT") not in ("DEFAULT", "ASYNC_TURBO"):
        raise invalid(f"Invalid value for `rpo`: `{settings['rpo']}`; use DEFAULT or ASYNC_TURBO")
    if "lifecycle" in settings and not read_rules(settings["lifecycle"]):
        del settings["lifecycle"]
    configuration = _mapping(settings.get("iamConfiguration")) or {}
    prevention = configuration.get("publicAccessPrevention", "inherited")
    if prevention not in ("inherited", "enforced", "unspecified"):
        raise invalid(f"Invalid value for `publicAccessPrevention`: `{prevention}`; use inherited or enforced")


def _check_together(settings: Mapping[str, Any]) -> None:
    """What one setting says of another."""
    uniform = (settings.get("iamConfiguration") or {}).get("uniformBucketLevelAccess") or {}
    check_hierarchy(
        settings,
        has_uniform_access=uniform.get("enabled") is True,
        is_versioned=(settings.get("versioning") or {}).get("enabled") is True,
    )
    if (settings.get("autoclass") or {}).get("enabled") is not True:
        return
    for rule in read_rules(settings.get("lifecycle") or {}):
        if rule.action == SET_CLASS or "matchesStorageClass" in rule.conditions:
            raise invalid(
                f"Autoclass chooses the classes of objects: no lifecycle rule may name `{SET_CLASS}` or "
                "`matchesStorageClass` beside it"
            )


def _check_flag(holder: object, field: str, inner: str) -> None:
    value = holder.get(inner) if isinstance(holder, Mapping) else None
    if value is not None and not isinstance(value, bool):
        raise invalid(f"Invalid value for `{field}.{inner}`: `{str(value)[:60]}` is neither true nor false")


def _placement(said: object) -> object:
    places = said.get("dataLocations") if isinstance(said, Mapping) else None
    if not isinstance(places, list) or len(places) != 2 or not all(isinstance(one, str) for one in places):
        raise invalid("Invalid value for `customPlacementConfig.dataLocations`: it must name two regions")
    return {"dataLocations": [one.upper() for one in places]}


def _mapping(value: object) -> Mapping[str, object] | None:
    return value if isinstance(value, Mapping) else None


def _merged(old: object, new: object) -> object:
    if not isinstance(new, Mapping):
        return new
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in new.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
