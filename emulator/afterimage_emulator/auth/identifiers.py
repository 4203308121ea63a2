"""The ids that Auth makes up: 28 letters and digits, as the official service's are."""

from __future__ import annotations

import secrets
import string

_CHARACTERS = string.ascii_letters + string.digits


def new_id(length: int = 28) -> str:
    # One draw of many bits for all characters: each sign-up needs an id.
    number = secrets.randbits(6 * length + 64)
    characters = []
    for _ in range(length):
        number, at = divmod(number, len(_CHARACTERS))
        characters.append(_CHARACTERS[at])
    return "".join(characters)
