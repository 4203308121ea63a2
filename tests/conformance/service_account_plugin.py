"""A pytest plugin for google-cloud-storage's own tests: gives their clients a service account made up on the spot.

Most of those tests skip themselves without a service account. The local suite asks nobody for credentials, so a fresh
key that no one has ever seen will do.
"""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.cloud import storage
from google.oauth2 import service_account


class MadeUpCredentials(service_account.Credentials):  # type: ignore[misc]  # google.auth has no types
    """A service account that never asks anybody for a token."""

    def refresh(self, request: Any) -> None:
        self.token = "owner"


def _made_up_credentials() -> MadeUpCredentials:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    credentials: MadeUpCredentials = MadeUpCredentials.from_service_account_info(
        {
            "type": "service_account",
            "project_id": "demo-conformance",
            "private_key_id": "local",
            "private_key": pem,
            "client_email": "tests@demo-conformance.iam.gserviceaccount.com",
            "token_uri": "http://127.0.0.1:9/never-asked",
        }
    )
    return credentials


def pytest_configure(config: Any) -> None:
    del config
    original = storage.Client.__init__
    credentials = _made_up_credentials()

    def with_credentials(self: Any, *arguments: Any, **options: Any) -> None:
        if len(arguments) < 2 and "credentials" not in options:
            options["credentials"] = credentials
        original(self, *arguments, **options)

    storage.Client.__init__ = with_credentials
