"""Makes `firebase_admin.app_check.verify_token` accept the suite's App Check tokens, which carry no signature.

Only the process that runs local functions does this, and only where the suite's Auth is: what is deployed never sees
this file, and verifies with Google's keys.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from datetime import datetime
from typing import Any

_ISSUER = "https://firebaseappcheck.googleapis.com/"
_official: object = None


def install() -> None:
    """Before the codebase is imported, so that `from firebase_admin.app_check import verify_token` finds it too."""
    global _official
    if "FIREBASE_AUTH_EMULATOR_HOST" not in os.environ:
        return
    try:
        from firebase_admin import app_check
    except ImportError:
        return
    if app_check.verify_token is not verify_token:
        _official, app_check.verify_token = app_check.verify_token, verify_token


def uninstall() -> None:
    """For a process that goes on without local functions."""
    global _official
    if _official is not None:
        from firebase_admin import app_check

        app_check.verify_token, _official = _official, None


def verify_token(token: str, app: Any = None, consume: bool = False) -> dict[str, Any]:
    """The official function's signature, answers and kind of error; every check of its but the signature."""
    import firebase_admin

    if not isinstance(consume, bool):
        raise ValueError(f"Illegal consume argument provided: {consume}.")
    project_id = (app or firebase_admin.get_app()).project_id
    if not project_id:
        raise ValueError("A project ID must be specified to access the App Check service.")
    claims = verified_claims(token, project_id=project_id, now_seconds=_now_seconds())
    if consume:
        claims["already_consumed"] = _already_consumed(token, project_id)
    return claims


def verified_claims(token: str, *, project_id: str, now_seconds: float) -> dict[str, object]:
    """Raises ValueError, saying why."""
    claims = _claims(token)
    audience, issuer, app_id, expires = (claims.get(name) for name in ("aud", "iss", "sub", "exp"))
    if not isinstance(audience, list) or f"projects/{project_id}" not in audience:
        raise ValueError(f"the App Check token is not for `projects/{project_id}`: its `aud` is `{audience}`")
    if not isinstance(issuer, str) or not issuer.startswith(_ISSUER):
        raise ValueError(f"the App Check token's `iss` is `{issuer}`, it must begin with `{_ISSUER}`")
    if not isinstance(app_id, str) or not app_id:
        raise ValueError("the App Check token names no app: its `sub` is empty")
    if not isinstance(expires, (int, float)) or isinstance(expires, bool) or expires <= now_seconds:
        raise ValueError("the App Check token has expired; exchange the debug token for a new one")
    return {**claims, "app_id": app_id}


def _claims(token: str) -> dict[str, object]:
    parts = token.split(".") if isinstance(token, str) else []
    claims = None
    if len(parts) == 3:
        with contextlib.suppress(ValueError, RecursionError):
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(claims, dict):
        raise ValueError("the App Check token is not a JSON Web Token; exchange a debug token for one")
    return claims


def _already_consumed(token: str, project_id: str) -> bool:
    """Instances are many, so what was used up is kept where the tokens come from."""
    host = os.environ["FIREBASE_AUTH_EMULATOR_HOST"]
    answer = _ask(f"http://{host}/v1beta/projects/{project_id}:verifyAppCheckToken", {"app_check_token": token})
    return answer.get("alreadyConsumed") is True


def _now_seconds() -> float:
    """The suite's time, by which it made the token; this machine's where there is no hub to ask."""
    hub = os.environ.get("FIREBASE_EMULATOR_HUB")
    if not hub:
        return time.time()
    return datetime.fromisoformat(_ask(f"http://{hub}/control/clock")["now"]).timestamp()


def _ask(url: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """Past any proxy: the suite is on this machine."""
    import urllib.request

    request = urllib.request.Request(  # noqa: S310 — the suite's own address
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"content-type": "application/json", "authorization": "Bearer owner"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
