"""What follows for one document from how it stands here, how it stands in the cloud, and how it went there last. Pure.

| in the cloud | it follows |
|---|---|
| as here | nothing: it went there before, and the answer was lost |
| as it was seen there last or was sent last, or nothing where nothing went | it is written |
| anything else | somebody else changed it: a conflict, for a person to settle |
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any, Final

from afterimage.store.documents import Document, Expect, Remove, Replace, Write
from afterimage_server.store.stored_values import canonical

NOTHING_THERE: Final = ""
"""The digest of no document."""


class Verdict(Enum):
    """What is to be done."""

    SAME = "same"
    WRITE = "write"
    CONFLICT = "conflict"


def digest_of(fields: Mapping[str, Any] | None) -> str:
    return NOTHING_THERE if fields is None else hashlib.sha256(canonical(fields).encode()).hexdigest()


def verdict_on(ours: Mapping[str, Any] | None, theirs: Document | None, known: Collection[str]) -> Verdict:
    """`known` are the digests of what was seen there and of what was sent: of either, the answer may be lost."""
    there = digest_of(theirs.fields if theirs is not None else None)
    if there == digest_of(ours):
        return Verdict.SAME
    return Verdict.WRITE if there in (known or {NOTHING_THERE}) else Verdict.CONFLICT


def write_of(path: str, ours: Mapping[str, Any] | None, theirs: Document | None) -> Write:
    """Written on the condition that it is still what was looked at."""
    if ours is None:
        assert theirs is not None
        return Remove(path=path, expected=theirs.version)
    return Replace(path=path, fields=ours, expected=theirs.version if theirs is not None else Expect.ABSENT)
