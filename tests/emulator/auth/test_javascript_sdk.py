"""The official JavaScript SDKs in Node against the local Auth; the cases stand in tests/node/auth*.test.mjs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.emulator.auth.conftest import ADMIN, PROJECT, RestClient, RunningAuth

NODE_TESTS = Path(__file__).resolve().parents[2] / "node"


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
def test_the_javascript_sdks_work_against_this_service(running: RunningAuth) -> None:
    """Client and admin SDK, unmodified and over real sockets, do what apps do every day."""
    finished = subprocess.run(
        [
            "node",
            "--test",
            "--test-reporter=spec",
            "auth.test.mjs",
            "auth_providers.test.mjs",
            "auth_every_call.test.mjs",
        ],
        cwd=NODE_TESTS,
        env={**os.environ, "FIREBASE_AUTH_EMULATOR_HOST": running.address, "GCLOUD_PROJECT": PROJECT},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


def _routes_of_the_sdks() -> set[str]:
    """What the sources of the client SDK (both builds) and of the admin SDK spell, below the service's host."""
    modules = NODE_TESTS / "node_modules"
    clients = [
        path for build in ("node", "browser-cjs") for path in (modules / "@firebase/auth/dist" / build).glob("*.js")
    ]
    text = "".join(path.read_text() for path in clients)
    found = {route for route in re.findall(r"\"(/v[12]/[A-Za-z/]+:?[A-Za-z]*)\"", text) if "projects" not in route}
    admin = (modules / "firebase-admin/lib/auth/auth-api-request.js").read_text()
    for path in re.findall(r"ApiSettings\('(/?[A-Za-z/]*:?[A-Za-z]+)'", admin):
        version = "v1" if "accounts" in path or path.startswith(":") else "v2"
        found.add(f"/{version}/projects/{PROJECT}{path}")
    return found


@pytest.mark.skipif(not (NODE_TESTS / "node_modules").is_dir(), reason="`make node` installs the SDKs")
def test_every_route_of_the_official_sdks_is_known(client: RestClient) -> None:
    """A call of theirs is worked on, refused in Auth's own words, or named as not here; none meets a bare 404."""
    routes = _routes_of_the_sdks()
    assert len(routes) > 30, routes
    unknown, refused = set(), set()
    for route in routes:
        for method in ("GET", "POST"):
            host = "securetoken" if route == "/v1/token" else "identitytoolkit"
            path = f"/{host}.googleapis.com{route}"
            answer = client.http.request(method, path, params={"key": "any"}, json={}, headers=ADMIN)
            if answer.status_code == 404 and "no route" in answer.text:
                unknown.add(route)
            elif answer.status_code == 501:
                refused.add(route)
    assert unknown == set()
    # What is left of the SDKs' routes; passkeys are in none of them.
    assert refused == {"/v2/accounts:revokeToken", "/v2/recaptchaConfig"}
