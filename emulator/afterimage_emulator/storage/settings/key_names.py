"""The names of Cloud KMS keys: kept with what they would encrypt, and used for nothing (pure)."""

from __future__ import annotations

from afterimage_emulator.storage.errors import invalid


def check_key_name(key: object) -> str:
    """The name of a KMS key, which the suite keeps and never uses."""
    parts = key.split("/") if isinstance(key, str) else []
    if not isinstance(key, str) or parts[::2] != ["projects", "locations", "keyRings", "cryptoKeys"] or not all(parts):
        raise invalid(
            f"Invalid Cloud KMS key name `{str(key)[:100]}`; write "
            "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
        )
    return key
