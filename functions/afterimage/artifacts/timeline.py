"""A file's history as clients draw it: the shape of each version, and a timeline by days. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

SHOWN = (
    "version_number", "file_id", "name", "sha256", "size", "size_change_bytes", "content_type", "author",
    "description", "change", "auto_saved", "pinned", "reverted_from", "created_at",
)  # fmt: skip


def shown_version(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a client sees of a version; `version_id` is how the other routes name it."""
    return {"version_id": f"v{fields['version_number']}", **{name: fields.get(name) for name in SHOWN}}


def timeline(versions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Days, the newest first, each with its versions in one line apiece."""
    days: dict[str, list[dict[str, Any]]] = {}
    for fields in versions:
        created: datetime = fields["created_at"]
        days.setdefault(created.date().isoformat(), []).append(
            {
                "version_number": fields["version_number"],
                "at": created,
                "what": _what(fields),
                "author": fields["author"],
                "size_change_bytes": fields["size_change_bytes"],
                "description": fields["description"] or fields["change"],
                "pinned": fields["pinned"],
            }
        )
    return [{"day": day, "events": events} for day, events in days.items()]


def _what(fields: Mapping[str, Any]) -> str:
    if fields["reverted_from"] is not None:
        return f"reverted to version {fields['reverted_from']}"
    if fields["version_number"] == 1:
        return "created"
    return "saved automatically" if fields["auto_saved"] else "saved"
