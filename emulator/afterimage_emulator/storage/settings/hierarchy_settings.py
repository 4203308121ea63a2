"""Whether a bucket's names form a hierarchy of folders, and what such a bucket cannot have beside (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afterimage_emulator.storage.errors import invalid


def created_hierarchy(said: object) -> Mapping[str, object] | None:
    """Only when a bucket is created; what a later patch says of it is taken and changes nothing, as in production."""
    if said is None:
        return None
    enabled = said.get("enabled", False) if isinstance(said, Mapping) else None
    if not isinstance(enabled, bool):
        raise invalid(
            "Invalid value for `hierarchicalNamespace`: it must be an object whose `enabled` is true or false"
        )
    return {"enabled": enabled}


def is_hierarchical(settings: Mapping[str, Any]) -> bool:
    hierarchy = settings.get("hierarchicalNamespace")
    return isinstance(hierarchy, Mapping) and hierarchy.get("enabled") is True


def check_hierarchy(settings: Mapping[str, Any], *, has_uniform_access: bool, is_versioned: bool) -> None:
    """After every change of the bucket."""
    if not is_hierarchical(settings):
        return
    if not has_uniform_access:
        raise invalid("Hierarchical namespace requires uniform bucket-level access to be enabled.")
    others = {
        "versioning": is_versioned,
        "retentionPolicy": "retentionPolicy" in settings,
        "objectRetention": "objectRetention" in settings,
    }
    for field, is_there in others.items():
        if is_there:
            raise invalid(f"Hierarchical namespace cannot be enabled together with `{field}`.")
