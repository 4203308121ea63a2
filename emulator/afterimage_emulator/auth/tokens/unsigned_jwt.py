"""JSON Web Tokens with `alg: none`, as every local suite issues them: readable by all, worth nothing anywhere else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping


def unsigned_jwt(claims: Mapping[str, object]) -> str:
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(value: Mapping[str, object]) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
