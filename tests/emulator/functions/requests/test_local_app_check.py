"""App Check tokens where functions run: the same verdict as the suite's Auth gives."""

from __future__ import annotations

from typing import Any

import pytest

from afterimage_emulator.auth.app_check import (
    AppCheckError,
    make_app_check_token,
    verify_app_check_token,
)
from afterimage_emulator.auth.tokens.unsigned_jwt import unsigned_jwt
from afterimage_emulator.functions.host import local_app_check

GOOD = {"aud": ["projects/p"], "iss": "https://firebaseappcheck.googleapis.com/1", "sub": "app", "exp": 200}


@pytest.mark.parametrize(
    ("token", "good"),
    [
        (unsigned_jwt(GOOD), True),
        (make_app_check_token(app_id="a", project_id="p", now_seconds=50), True),
        *((unsigned_jwt({**GOOD, **wrong}), False) for wrong in (
            {"aud": ["projects/q"]}, {"aud": "projects/p"}, {"iss": "x"}, {"sub": ""}, {"exp": 100}, {"exp": True},
        )),
        ("d-e-b-u-g", False),
        ("a.b.c", False),
    ],
)  # fmt: skip
def test_the_host_and_the_suite_agree_about_every_token(token: str, good: bool) -> None:
    """The host cannot import the suite, so its checks stand twice; they never drift apart."""
    verdicts: list[Any] = []
    for verify in (verify_app_check_token, local_app_check.verified_claims):
        try:
            verify(token, project_id="p", now_seconds=100)
            verdicts.append(True)
        except (AppCheckError, ValueError):
            verdicts.append(False)
    assert verdicts == [good, good]


def test_tokens_verify_locally_only_beside_a_local_auth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the suite's Auth, Google's own verification stays in place; with it, it comes back afterwards."""
    from firebase_admin import app_check

    official = app_check.verify_token
    monkeypatch.delenv("FIREBASE_AUTH_EMULATOR_HOST", raising=False)
    local_app_check.install()
    assert app_check.verify_token is official
    monkeypatch.setenv("FIREBASE_AUTH_EMULATOR_HOST", "127.0.0.1:1")
    local_app_check.install()
    assert app_check.verify_token is local_app_check.verify_token
    local_app_check.uninstall()
    assert app_check.verify_token is official
