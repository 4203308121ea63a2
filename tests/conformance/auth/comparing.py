"""Whether two answers say the same, but for what each service makes up by itself: ids, codes, tokens and times."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

_IDS = frozenset(
    (
        "localId", "mfaEnrollmentId", "tenantId", "user_id", "sub", "uid", "second_factor_identifier", "tenant", "name",
        "id",
    )
)  # fmt: skip
_MADE_UP = frozenset(
    (
        "refreshToken", "refresh_token", "sessionInfo", "oobCode", "sessionId", "mfaPendingCredential",
        "temporaryProof", "code", "salt", "challenge", "event_id",
    )
)  # fmt: skip
_TIMES = frozenset(
    (
        "createdAt", "lastLoginAt", "lastRefreshAt", "passwordUpdatedAt", "validSince", "enrolledAt", "iat", "exp",
        "auth_time", "enrollment_time", "creation_time", "last_sign_in_time",
    )
)  # fmt: skip
_TOKENS = frozenset(("idToken", "id_token", "access_token", "sessionCookie", "jwt", "oauthIdToken"))
_MADE_UP_IN_TEXT = (
    # Words for people, in either service's own manner: SDKs read what stands before " : ".
    (re.compile(r"\(\(.*\)\)", re.DOTALL), "((WORDS))"),
    (re.compile(r"(?<=^Invalid JSON payload received\. )(?!/| must).*", re.DOTALL), "WORDS"),
    (re.compile(r"http://(127\.0\.0\.1|localhost):\d+"), "http://HOST"),
    (re.compile(r"oobCode=[\w-]+"), "oobCode=CODE"),
    (re.compile(r"salt=fakeSalt\w+"), "salt=SALT"),
)
_NAMES_OF_TENANTS = (
    (re.compile(r"tenantId=[\w-]+"), "tenantId=TENANT"),
    (re.compile(r"tenants/[\w-]+"), "tenants/TENANT"),
)


class Comparison:
    """Of one section: an id of the one service stands for the same id of the other, from its first sight on."""

    def __init__(self) -> None:
        self._ours_of: dict[str, str] = {}

    def differences(self, official: Any, ours: Any) -> Iterator[str]:
        """Of two answers: status, body, and where they lead. A refusal of what is not there is one in any words."""
        yield from self._between(_unworded(official), _unworded(ours), "", "")

    def _between(self, official: Any, ours: Any, key: str, place: str) -> Iterator[str]:
        if isinstance(official, dict) and isinstance(ours, dict):
            for name in sorted(official.keys() | ours.keys()):
                if name == "providerUserInfo" and not official.get(name) and not ours.get(name):
                    continue  # an empty list and none: SDKs know no difference
                if name not in ours or name not in official:
                    side = "official" if name in official else "ours"
                    yield f"{place}.{name}: only {side}: {(official if name in official else ours)[name]!r}"
                else:
                    yield from self._between(official[name], ours[name], name, f"{place}.{name}")
        elif isinstance(official, list) and isinstance(ours, list):
            if len(official) != len(ours):
                yield f"{place}: {len(official)} and {len(ours)} items: {official!r} and {ours!r}"
            for number, (one, other) in enumerate(zip(official, ours, strict=False)):
                yield from self._between(one, other, key, f"{place}.{number}")
        elif key in _TOKENS and isinstance(official, dict) and isinstance(ours, str) and ours.startswith("eyJ"):
            yield from self._between(official["claims"], _claims(ours), "", f"{place}(claims)")
        elif isinstance(official, str) and isinstance(ours, str):
            yield from self._texts(official, ours, key, place)
        elif type(official) is not type(ours) or (official != ours and key not in _TIMES):
            yield f"{place}: {official!r} and {ours!r}"

    def _texts(self, official: str, ours: str, key: str, place: str) -> Iterator[str]:
        if key in _TOKENS and official.startswith("eyJ") and ours.startswith("eyJ"):
            yield from self._between(_claims(official), _claims(ours), "", f"{place}(claims)")
        elif key == "rawUserInfo":
            yield from self._between(json.loads(official), json.loads(ours), "", f"{place}(JSON)")
        elif official == ours or _same_kind(key, official, ours):
            return
        elif key in _IDS and _looks_made_up(official) and _looks_made_up(ours):
            if self._ours_of.setdefault(official, ours) != ours:
                yield f"{place}: `{ours}` is not the id that stood for `{official}` before"
        elif self._plain(official, translate=True) != self._plain(ours, translate=False):
            yield f"{place}: {official!r} and {ours!r}"

    def _plain(self, text: str, *, translate: bool) -> str:
        if translate:
            for theirs, ours in self._ours_of.items():
                text = text.replace(theirs, ours)
        for pattern, put in (*_MADE_UP_IN_TEXT, *_NAMES_OF_TENANTS):
            text = pattern.sub(put, text)
        return text


def masked(answer: Any, key: str = "") -> Any:
    """For the record: without words for people, without what is made up, tokens as what they say."""
    if isinstance(answer, dict):
        answer = _unworded(answer) if key == "" and "status" in answer else answer
        return {name: masked(value, name) for name, value in answer.items()}
    if isinstance(answer, list):
        return [masked(value, key) for value in answer]
    if not isinstance(answer, str):
        return answer
    if key in _TOKENS and answer.startswith("eyJ"):
        return {"claims": _claims(answer)}
    if key in _MADE_UP and answer:
        return "MADE-UP"
    for pattern, put in _MADE_UP_IN_TEXT:
        answer = pattern.sub(put, answer)
    return answer


def _unworded(answer: dict[str, Any]) -> dict[str, Any]:
    body = answer["body"]
    if answer["status"] == 405 or "location" in answer:
        return {**answer, "body": "WORDS"}
    if isinstance(body, dict) and isinstance(body.get("error"), dict) and answer["status"] in (404, 501):
        error = {**body["error"], "message": "WORDS"}
        error["errors"] = [{**entry, "message": "WORDS"} for entry in error.get("errors", [])]
        return {**answer, "body": {"error": error}}
    if isinstance(body, dict) and isinstance(body.get("authEmulator"), dict):
        told = {name: value for name, value in body["authEmulator"].items() if not name.startswith("instructions")}
        return {**answer, "body": {"authEmulator": told}}
    return answer


def _same_kind(key: str, official: str, ours: str) -> bool:
    if key in _TIMES:
        return _shape(official) == _shape(ours)
    return key in _MADE_UP and bool(official) == bool(ours)


def _looks_made_up(text: str) -> bool:
    return "@" not in text and len(text) >= 20


def _shape(text: str) -> str:
    return re.sub(r"\d", "9", re.sub(r"\d{9,}", "9", text))


def _claims(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
