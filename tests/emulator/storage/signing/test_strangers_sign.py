"""Signed URLs as programs make them that know nothing of the suite but the variables it sets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.iam import Signer
from google.auth.transport.requests import Request
from google.cloud import storage
from google.oauth2.service_account import Credentials

from afterimage_emulator.background import BackgroundSuite

NODE_TESTS = Path(__file__).resolve().parents[3] / "node"
NODE_CASES = 6

STRANGER = """
import datetime, sys, requests
import firebase_admin, google.auth
from firebase_admin import storage as firebase_storage
from google.cloud import storage

hour = datetime.timedelta(hours=1)
credentials, _ = google.auth.default()
firebase_admin.initialize_app()
for bucket in (firebase_storage.bucket(), storage.Client(credentials=credentials).bucket("a-bucket-of-my-own")):
    for version in ("v2", "v4"):
        blob = bucket.blob("reports/" + version + " of ü.txt")
        put = blob.generate_signed_url(version=version, expiration=hour, method="PUT", content_type="text/plain")
        requests.put(put, b"hello", headers={"Content-Type": "text/plain"}).raise_for_status()
        get = blob.generate_signed_url(version=version, expiration=hour)
        assert requests.get(get).content == b"hello"
        assert requests.get(get.replace("reports", "secrets")).status_code == 403
        assert requests.put(get, b"other").status_code == 403
blob = storage.Client().bucket("a-bucket-of-my-own").blob("one")
assert requests.put(blob.generate_signed_url(version="v4", expiration=hour, method="PUT", credentials=credentials)).ok
"""


def test_python_programs_sign_and_use_urls(suite: BackgroundSuite) -> None:
    """firebase-admin needs nothing; google-cloud-storage is handed the credentials, since it takes none by itself."""
    ended = subprocess.run(
        [sys.executable, "-c", STRANGER], env=os.environ | suite.environment(), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(
    not (NODE_TESTS / "node_modules/@google-cloud/storage").is_dir(), reason="`make node` installs the SDKs"
)
def test_node_programs_sign_and_use_urls(suite: BackgroundSuite) -> None:
    """The cases of tests/node/storage/signed_urls.test.mjs: getSignedUrl and POST policies of the official SDKs."""
    finished = subprocess.run(
        ["node", "--test", "--test-force-exit", "--test-timeout=30000", "--test-reporter=tap",
         "storage/signed_urls.test.mjs"],
        cwd=NODE_TESTS, env=os.environ | suite.environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [passed] = re.findall(r"^# pass (\d+)", finished.stdout, re.MULTILINE)
    assert int(passed) == NODE_CASES


class IamOfTheSuite:
    """google-auth's transport, which leads what is meant for IAM's credentials API to the suite's hub."""

    def __init__(self, hub: str) -> None:
        self._request = Request()
        self._hub = hub

    def __call__(self, url: str, *arguments: Any, **options: Any) -> Any:
        return self._request(
            url.replace("https://iamcredentials.googleapis.com", f"http://{self._hub}"), *arguments, **options
        )


def test_an_account_without_a_key_signs_through_the_hub(suite: BackgroundSuite) -> None:
    """google-auth's own IAM signer, led to the suite by its transport: what it signs is accepted, changed it is not."""
    environment = suite.environment()
    email = "app@demo-somewhere.iam.gserviceaccount.com"
    signer = Signer(IamOfTheSuite(environment["FIREBASE_EMULATOR_HUB"]), AnonymousCredentials(), email)
    credentials = Credentials(signer, email, "unused")
    client = storage.Client(
        project="demo", credentials=AnonymousCredentials(),
        client_options={"api_endpoint": environment["STORAGE_EMULATOR_HOST"]},
    )  # fmt: skip
    blob = client.bucket("signed-by-iam").blob("one")
    for version in ("v2", "v4"):
        url = blob.generate_signed_url(
            version=version, expiration=timedelta(minutes=5), method="PUT", credentials=credentials
        )
        assert requests.put(url, b"here", timeout=30).status_code == 200
        assert requests.put(url.replace("/one", "/two"), b"here", timeout=30).status_code == 403
    client.close()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"payload": 5}', b'{"payload": "???"}', b"{"])
def test_what_cannot_be_signed_is_refused(suite: BackgroundSuite, body: bytes) -> None:
    """A missing or broken payload is the caller's fault and is named."""
    hub = suite.environment()["FIREBASE_EMULATOR_HUB"]
    answer = requests.post(f"http://{hub}/v1/projects/-/serviceAccounts/a@b.c:signBlob", body, timeout=30)
    assert answer.status_code == 400, answer.text
