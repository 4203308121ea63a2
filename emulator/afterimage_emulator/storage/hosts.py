"""Which bucket a Host header names: `bucket.localhost`, `bucket.storage.googleapis.com`, or a domain (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from afterimage_emulator.front.local_hosts import split_host
from afterimage_emulator.storage.errors import StorageError
from afterimage_emulator.storage.objects.names import check_bucket_name

_SERVICES: Final = (".storage.googleapis.com", ".localhost")
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")


def bucket_of_host(host: str | None, *, path: str, exists: Callable[[str], bool], is_signed: bool) -> str | None:
    """None where the path names the bucket.

    A domain of one's own names the bucket of that name, which must exist. A name below `localhost` may also be the
    suite's own: where there is no such bucket, only a signed request means one.
    """
    place = split_host(host or "")
    if place is None or _ADDRESS.fullmatch(place[0]):
        return None
    name = place[0]
    for service in _SERVICES:
        bucket = name.removesuffix(service)
        if bucket == name:
            continue
        if exists(bucket):
            return bucket
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        return bucket if is_signed and _is_bucket_name(bucket) and not exists(first) else None
    return name if "." in name and exists(name) else None


def _is_bucket_name(name: str) -> bool:
    try:
        check_bucket_name(name)
    except StorageError:
        return False
    return True
