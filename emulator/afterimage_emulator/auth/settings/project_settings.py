"""What a project shares with its tenants: addresses, what answers tell of them, and functions that are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(kw_only=True, slots=True)
class BlockingSettings:
    """The functions that are asked, by event, as URLs; and which of a provider's tokens they are told."""

    urls: dict[str, str] = field(default_factory=dict)
    forwarded: frozenset[str] = frozenset()
    json: Mapping[str, object] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class ProjectSettings:
    """One object for a project and all its tenants."""

    allow_duplicate_emails: bool = False
    improved_email_privacy: bool = False
    blocking: BlockingSettings = field(default_factory=BlockingSettings)
