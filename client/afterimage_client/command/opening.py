"""Owns how the command opens a store that an app made: never a new one, and with every type of value readable."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afterimage_client.database.encoding import ValueKind
from afterimage_client.database.errors import StoreError
from afterimage_client.database.sealing import StoreKey
from afterimage_client.firestore.kept_kinds import PLACES_AND_VECTORS
from afterimage_client.store.store import Store


@dataclass(frozen=True, slots=True)
class KeptReference:
    """The name of a document in a field, where no connection is there to follow it."""

    path: str


def offline_kinds() -> tuple[ValueKind, ...]:
    """As the sync's kinds, with references that lead nowhere: what is read is written back as it was."""
    return (
        *PLACES_AND_VECTORS,
        ValueKind(tag="reference", kind=KeptReference, encode=lambda reference: reference.path, decode=KeptReference),
    )


def open_store(path: Path | None, passphrase_variable: str | None, kinds: Sequence[ValueKind]) -> Store:
    if path is None:
        raise StoreError("no store was named: give `--store`, or set AFTERIMAGE_CLIENT_STORE")
    if not path.is_file():
        raise StoreError(f"there is no store at `{path}`: the app that uses it makes it")
    return Store(path, key=key_of(passphrase_variable), kinds=kinds)


def key_of(passphrase_variable: str | None) -> StoreKey | None:
    if passphrase_variable is None:
        return None
    passphrase = os.environ.get(passphrase_variable)
    if passphrase is None:
        raise StoreError(f"the variable `{passphrase_variable}` is not set: put the passphrase into it")
    return StoreKey.of_passphrase(passphrase)
