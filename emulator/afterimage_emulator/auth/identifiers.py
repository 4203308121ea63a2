"""The ids that Auth makes up: 28 letters and digits, as the official service's are."""

from __future__ import annotations

import os
import string
from typing import Final

_CHARACTERS: Final = (string.ascii_letters + string.digits).encode()
_TURNS: Final = 4
"""How often each character stands in the table. Bytes beyond are thrown away, so that all characters are as likely."""
_KEPT: Final = len(_CHARACTERS) * _TURNS
_TABLE: Final = _CHARACTERS * _TURNS + bytes(256 - _KEPT)
_THROWN_AWAY: Final = bytes(range(_KEPT, 256))


def new_id(length: int = 28) -> str:
    made = b""
    while len(made) < length:  # one byte of 32 is thrown away: a few more are drawn than needed
        made += os.urandom(length + 8).translate(_TABLE, _THROWN_AWAY)
    return made[:length].decode()
