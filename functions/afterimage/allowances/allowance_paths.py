"""Where the days of accounts are kept: below no user, because whoever is erased has had that day all the same."""

from __future__ import annotations


def allowance_path(day: str, key: str) -> str:
    """What an account, or a part of all unnamed ones, has used of a day."""
    return f"_allowances/{day}~{key}"
